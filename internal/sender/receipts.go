package sender

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// receiptBook remembers which campaign a message belongs to, so that most receipts need no look into the store.
type receiptBook struct {
	mu       sync.Mutex
	campaign map[string]campaign.ID
	order    []string
	next     int
}

// maxRemembered bounds the book: receipts of a hundred messages back are common, of thousands rare.
const maxRemembered = 4096

func newReceiptBook() *receiptBook {
	return &receiptBook{campaign: map[string]campaign.ID{}, order: make([]string, 0, 16)}
}

func (b *receiptBook) note(messageID string, id campaign.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.campaign[messageID]; known {
		return
	}
	b.campaign[messageID] = id
	if len(b.order) < maxRemembered {
		b.order = append(b.order, messageID)
		return
	}
	delete(b.campaign, b.order[b.next])
	b.order[b.next] = messageID
	b.next = (b.next + 1) % maxRemembered
}

func (b *receiptBook) find(messageID string) (campaign.ID, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, known := b.campaign[messageID]
	return id, known
}

// publishReceipt says what a contact confirmed, one fact for each campaign. A message that no campaign sent is nobody's business.
func (s *hosting) publishReceipt(ctx context.Context, receipt session.ReceiptArrived) {
	messages := map[campaign.ID][]string{}
	for _, id := range receipt.MessageIDs {
		if owner, found := s.campaignOf(ctx, id); found {
			messages[owner] = append(messages[owner], id)
		}
	}
	for owner, ids := range messages {
		s.host.metrics.receipts.WithLabelValues(string(receipt.Kind)).Add(float64(len(ids)))
		s.persist(ctx, events.MessageReceipt{Version: events.FactVersion, SessionID: s.id, CampaignID: owner, MessageIDs: ids,
			Receipt: receipt.Kind, At: receipt.At.UTC()})
	}
}

// campaignOf finds the campaign of a message, in memory or, after a restart, in the store.
func (s *hosting) campaignOf(ctx context.Context, messageID string) (campaign.ID, bool) {
	if owner, known := s.receipts.find(messageID); known {
		return owner, owner != ""
	}
	if len(messageID) != messageIDLength || !strings.HasPrefix(messageID, "3EB0") {
		return "", false
	}
	for failures := 1; ; failures++ {
		delivery, err := s.host.options.Deliveries.Get(ctx, messageID)
		switch {
		case err == nil:
			s.receipts.note(messageID, delivery.CampaignID)
			return delivery.CampaignID, true
		case errors.Is(err, store.ErrNotFound), ctx.Err() != nil:
			return "", false
		}
		if sleep(ctx, retryWait(err, min(failures, 4))) != nil {
			return "", false
		}
	}
}

// messageIDLength is the length of campaign.MessageID.
const messageIDLength = 22
