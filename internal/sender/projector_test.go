package sender

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// slowDeliveries takes a while to write a batch.
type slowDeliveries struct {
	memoryDeliveries
	took time.Duration
}

func (d slowDeliveries) Record(ctx context.Context, outcomes []campaign.Outcome) (int, error) {
	if err := sleep(ctx, d.took); err != nil {
		return 0, err
	}
	return d.memoryDeliveries.Record(ctx, outcomes)
}

func (w *world) projector(took time.Duration) (*Projector, *prometheus.Registry) {
	w.t.Helper()
	registry := prometheus.NewRegistry()
	projector, err := NewProjector(slowDeliveries{w.deliveries(), took}, registry)
	if err != nil {
		w.t.Fatal(err)
	}
	w.start(projector.Run)
	return projector, registry
}

func receipt(kind session.ReceiptKind, ids ...string) events.MessageReceipt {
	return events.MessageReceipt{Version: 1, CampaignID: "cmp_a", MessageIDs: ids, Receipt: kind, At: time.Now()}
}

func TestReceiptsAreWrittenTogether(t *testing.T) {
	inWorld(t, func(w *world) {
		w.planned("cmp_a", "ses_a", 300)
		projector, registry := w.projector(10 * time.Millisecond)
		began := time.Now()
		var handling sync.WaitGroup
		for _, delivery := range w.all("cmp_a") {
			handling.Go(func() {
				if err := projector.Handle(w.t.Context(), receipt(session.ReceiptDelivered, delivery.ID)); err != nil {
					t.Error(err)
				}
				w.memory.mu.Lock()
				defer w.memory.mu.Unlock()
				if state := w.memory.deliveries[delivery.ID].State; state != campaign.Delivered {
					t.Errorf("done, and the delivery is %s", state)
				}
			})
		}
		handling.Wait()
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("300 receipts took %s of writes of 10 ms", took)
		}
		if writes := len(w.memory.recorded); writes > 4 {
			t.Errorf("%d writes", writes)
		}
		same(t, "counted", metric(t, registry, "receipts_projected_total"), 300)
		same(t, "delays", metric(t, registry, "receipt_delay_seconds"), 300)
	})
}

func TestReceiptsOutOfOrderDowngradeNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.planned("cmp_a", "ses_a", 1)
		projector, registry := w.projector(0)
		id := w.all("cmp_a")[0].ID
		for _, kind := range []session.ReceiptKind{session.ReceiptRead, session.ReceiptDelivered, session.ReceiptPlayed} {
			if err := projector.Handle(w.t.Context(), receipt(kind, id, "unknown")); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Read: 1})
		same(t, "missing", metric(t, registry, "receipts_without_delivery_total"), 3)
	})
}

func TestLongReceiptsFitIntoBatches(t *testing.T) {
	inWorld(t, func(w *world) {
		projector, _ := w.projector(time.Millisecond)
		var handling sync.WaitGroup
		for size := range 40 {
			handling.Go(func() {
				ids := make([]string, 13*size)
				for i := range ids {
					ids[i] = fmt.Sprint(size, "-", i)
				}
				if err := projector.Handle(w.t.Context(), receipt(session.ReceiptRead, ids[:min(len(ids), campaign.MaxBatch)]...)); err != nil {
					t.Error(err)
				}
			})
		}
		handling.Wait()
		total := 0
		for _, batch := range w.memory.recorded {
			if total += batch; batch > campaign.MaxBatch {
				t.Errorf("a batch of %d", batch)
			}
		}
		want := campaign.MaxBatch // the last one
		for size := range 39 {
			want += 13 * size
		}
		same(t, "outcomes", total, want)
	})
}

func TestReceiptThatCannotBeWrittenComesAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.planned("cmp_a", "ses_a", 2)
		projector, _ := w.projector(0)
		down := fault.New(fault.RetryLater, "store_unavailable", "The store does not answer")
		w.memory.failWith(func(string) error { return down })
		for _, delivery := range w.all("cmp_a") {
			if err := projector.Handle(w.t.Context(), receipt(session.ReceiptRead, delivery.ID)); !errors.Is(err, down) {
				t.Errorf("got %v", err)
			}
		}
		w.memory.failWith(nil)
		if err := projector.Handle(w.t.Context(), receipt(session.ReceiptRead, w.all("cmp_a")[0].ID)); err != nil {
			t.Error(err)
		}
	})
}

func TestReceiptsThatMakeNoSensePoison(t *testing.T) {
	inWorld(t, func(w *world) {
		projector, _ := w.projector(0)
		timeless := receipt(session.ReceiptRead, "x")
		timeless.At = time.Time{}
		for name, fact := range map[string]events.MessageReceipt{
			"of an unknown kind": receipt("forwarded", "x"),
			"too long":           receipt(session.ReceiptRead, make([]string, campaign.MaxBatch+1)...),
			"without a time":     timeless,
		} {
			if err := projector.Handle(w.t.Context(), fact); fault.Of(err) != fault.Poison {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := projector.Handle(w.t.Context(), receipt(session.ReceiptRead)); err != nil {
			t.Errorf("of nothing: %v", err)
		}
	})
}

func TestReceiptsWaitNoLongerThanTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		projector, err := NewProjector(memoryDeliveries{memory: newMemory()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := projector.Handle(ctx, receipt(session.ReceiptRead, "x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a writer: %v", err)
		}
	})
	if _, err := NewProjector(nil, nil); err == nil {
		t.Error("a projector without deliveries")
	}
}
