package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// receiptBook remembers which campaign a message belongs to, so that most receipts need no look into the store.
type receiptBook struct {
	mu       sync.Mutex
	campaign map[string]campaign.ID
	// order has the messages in the order of their coming; next is the oldest once it is full.
	order []string
	next  int
}

// maxRemembered bounds the book: receipts of a hundred messages back are common, of thousands rare.
const maxRemembered = 4096

func newReceiptBook() *receiptBook {
	return &receiptBook{campaign: map[string]campaign.ID{}}
}

func (b *receiptBook) note(messageID string, id campaign.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.campaign[messageID]
	b.campaign[messageID] = id
	switch {
	case known:
	case len(b.order) < maxRemembered:
		b.order = append(b.order, messageID)
	default:
		delete(b.campaign, b.order[b.next])
		b.order[b.next] = messageID
		b.next = (b.next + 1) % maxRemembered
	}
}

func (b *receiptBook) find(messageID string) (campaign.ID, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, known := b.campaign[messageID]
	return id, known
}

// publishReceipt says what a contact confirmed. It returns when the queue has it, or when the connection ends: then WhatsApp repeats it.
func (s *hosting) publishReceipt(ctx context.Context, receipt session.ReceiptArrived) {
	if receipt.At.IsZero() { // a receipt need not have a time
		receipt.At = time.Now()
	}
	s.keep(ctx, func(ctx context.Context) error {
		messages, err := s.byCampaign(ctx, receipt.MessageIDs)
		if err != nil {
			return err
		}
		for owner, ids := range messages {
			if err := s.publishReceiptOf(ctx, owner, ids, receipt); err != nil {
				return err
			}
		}
		return nil
	})
}

// publishReceiptOf publishes one fact for each batch of a campaign's messages.
func (s *hosting) publishReceiptOf(ctx context.Context, owner campaign.ID, ids []string, receipt session.ReceiptArrived) error {
	for batch := range slices.Chunk(ids, campaign.MaxBatch) {
		err := s.host.options.Queue.PublishFact(ctx, events.MessageReceipt{Version: events.FactVersion, SessionID: s.id, CampaignID: owner,
			MessageIDs: batch, Receipt: receipt.Kind, At: receipt.At.UTC()})
		if err != nil {
			return err
		}
		s.host.metrics.receipts.WithLabelValues(string(receipt.Kind)).Add(float64(len(batch)))
	}
	return nil
}

// byCampaign sorts messages by their campaign. One that no campaign sent is nobody's business.
func (s *hosting) byCampaign(ctx context.Context, ids []string) (map[campaign.ID][]string, error) {
	messages := map[campaign.ID][]string{}
	for _, id := range ids {
		owner, err := s.campaignOf(ctx, id)
		if err != nil {
			return nil, err
		}
		if owner != "" {
			messages[owner] = append(messages[owner], id)
		}
	}
	return messages, nil
}

// campaignOf finds the campaign of a message, in memory or, after a restart, in the store; it is empty when there is none.
func (s *hosting) campaignOf(ctx context.Context, messageID string) (campaign.ID, error) {
	if owner, known := s.receipts.find(messageID); known {
		return owner, nil
	}
	if !maybeDelivery(messageID) {
		return "", nil
	}
	delivery, err := s.host.options.Deliveries.Get(ctx, messageID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("find the delivery of a receipt: %w", err)
	}
	s.receipts.note(messageID, delivery.CampaignID)
	return delivery.CampaignID, nil
}

// maybeDelivery tells whether a message id has the form of campaign.MessageID. The ids of WhatsApp's own clients have others, but for
// WhatsApp Web's.
func maybeDelivery(messageID string) bool {
	return len(messageID) == 22 && strings.HasPrefix(messageID, "3EB0")
}
