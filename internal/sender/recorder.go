package sender

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// recordEvery is the longest time that an outcome stays in memory only. After a crash as much may be sent again, under the same ids.
const recordEvery = 200 * time.Millisecond

// recorder writes the outcomes of a run in batches, beside the sending, so that a send does not wait for the disk.
type recorder struct {
	deliveries campaign.Deliveries
	// recorded counts what was written, by state.
	recorded *prometheus.CounterVec
	// limit is the length of a full batch.
	limit    int
	outcomes chan campaign.Outcome
	flushes  chan chan error

	mu  sync.Mutex
	err error
}

func newRecorder(deliveries campaign.Deliveries, recorded *prometheus.CounterVec, limit int) *recorder {
	return &recorder{deliveries: deliveries, recorded: recorded, limit: limit, outcomes: make(chan campaign.Outcome, limit), flushes: make(chan chan error)}
}

// add hands an outcome over. It waits while a full batch is being written.
func (r *recorder) add(outcome campaign.Outcome) { r.outcomes <- outcome }

// flush returns when everything handed over is in the store, or with the reason why not.
func (r *recorder) flush() error {
	written := make(chan error, 1)
	r.flushes <- written
	return <-written
}

// failure tells why the last batch could not be written; nil when it was.
func (r *recorder) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// run writes until done is closed. Its writes outlive the context: what was sent must be accounted for.
func (r *recorder) run(ctx context.Context, done <-chan struct{}) {
	var batch []campaign.Outcome
	due := time.NewTimer(recordEvery)
	due.Stop()
	defer due.Stop()
	add := func(outcome campaign.Outcome) {
		if batch = append(batch, outcome); len(batch) == 1 {
			due.Reset(recordEvery)
		}
		if len(batch) >= r.limit {
			batch = r.write(ctx, batch)
		}
	}
	for {
		select {
		case <-done:
			return
		case outcome := <-r.outcomes:
			add(outcome)
		case <-due.C:
			batch = r.write(ctx, batch)
		case written := <-r.flushes:
			for range len(r.outcomes) { // who flushes adds nothing meanwhile
				add(<-r.outcomes)
			}
			batch = r.write(ctx, batch)
			written <- r.failure()
		}
	}
}

// write writes a batch down and gives what is left of it: nothing, or all of it after a failure, to be written with the next.
func (r *recorder) write(ctx context.Context, batch []campaign.Outcome) []campaign.Outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var err error
	for err == nil && len(batch) > 0 {
		part := batch[:min(len(batch), campaign.MaxBatch)]
		if _, err = r.deliveries.Record(ctx, part); err == nil {
			batch = batch[len(part):]
			for _, outcome := range part {
				r.recorded.WithLabelValues(string(outcome.State)).Inc()
			}
		}
	}
	if err != nil {
		err = fmt.Errorf("record outcomes: %w", err)
	}
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	return batch
}
