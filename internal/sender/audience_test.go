package sender

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

// endless makes deliveries as they are asked for and forgets them, so that what is left in memory is the runner's. It measures the heap.
type endless struct {
	campaign.Deliveries
	size     int
	claimed  int
	recorded atomic.Int64
	heap     []uint64
}

func (e *endless) Claim(_ context.Context, claim campaign.Claim) ([]campaign.Delivery, error) {
	if e.claimed%(e.size/20) < claim.Limit {
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		e.heap = append(e.heap, now.HeapAlloc)
	}
	batch := make([]campaign.Delivery, 0, claim.Limit)
	for len(batch) < claim.Limit && e.claimed < e.size {
		e.claimed++
		phone := fmt.Sprintf("+54911%08d", e.claimed)
		batch = append(batch, campaign.Delivery{ID: campaign.MessageID(claim.CampaignID, phone), CampaignID: claim.CampaignID, Sequence: e.claimed,
			Phone: phone, Fields: map[string]string{"nombre": fmt.Sprint("Nombre ", e.claimed)}, State: campaign.Sending, Attempts: 1})
	}
	return batch, nil
}

func (e *endless) Record(_ context.Context, outcomes []campaign.Outcome) (int, error) {
	if len(outcomes) > campaign.MaxBatch {
		return 0, errors.New("the batch is too long")
	}
	e.recorded.Add(int64(len(outcomes)))
	return 0, nil
}

func (e *endless) Counts(context.Context, campaign.ID) (campaign.Counts, error) {
	return campaign.Counts{campaign.Sent: int(e.recorded.Load()), campaign.Pending: e.size - int(e.recorded.Load())}, nil
}

// accepts sends everything.
type accepts struct{ sent atomic.Int64 }

func (a *accepts) RequestSend(context.Context, events.SendRequest) (events.SendReply, error) {
	a.sent.Add(1)
	return events.SendReply{SentAt: time.Now()}, nil
}

// TestMemoryDoesNotGrowWithTheAudience runs alone: it measures the heap of the whole process.
func TestMemoryDoesNotGrowWithTheAudience(t *testing.T) { //nolint:paralleltest // see above
	m, q := newMemory(), newQueue()
	m.campaigns["cmp_a"] = campaign.Campaign{ID: "cmp_a", SessionID: "ses_a", Text: "Hola {{nombre}}", Columns: []string{"nombre"}, State: campaign.Queued, Slice: 1}
	m.sessions["ses_a"] = session.Session{ID: "ses_a", State: session.Ready}
	audience, holder := &endless{size: 100_000}, &accepts{}
	runner, err := NewRunner(RunnerOptions{Sessions: memorySessions{m}, Campaigns: memoryCampaigns{m}, Deliveries: audience,
		Suppressions: memorySuppressions{memory: m}, Queue: q, Sends: holder, Batch: 64, Slice: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Handle(t.Context(), events.RunCampaign{CampaignID: "cmp_a", SessionID: "ses_a", Slice: 1}); err != nil {
		t.Fatal(err)
	}
	same(t, "state", m.campaigns["cmp_a"].State, campaign.Completed)
	same(t, "sent", holder.sent.Load(), 100_000)
	same(t, "recorded", audience.recorded.Load(), 100_000)
	if len(audience.heap) < 20 {
		t.Fatalf("measured %d times", len(audience.heap))
	}
	first, last := audience.heap[1], audience.heap[len(audience.heap)-1]
	const grown = 1 << 20
	if last > first+grown {
		t.Errorf("the heap grew from %d to %d kB over 100 000 recipients", first>>10, last>>10)
	}
	t.Logf("heap behind 5 000 recipients %d kB, behind 100 000 %d kB", first>>10, last>>10)
}
