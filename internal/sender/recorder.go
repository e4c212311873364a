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

// recorder writes the outcomes of all runs of a process in batches, beside the sending, so that a send does not wait for the disk, and several
// campaigns wait for it once.
type recorder struct {
	deliveries campaign.Deliveries
	// recorded counts what was written, by state.
	recorded *prometheus.CounterVec
	// limit is the length of a full batch.
	limit int
	// due is started by the first outcome of a batch.
	due     *time.Timer
	full    chan struct{}
	flushes chan chan error

	// door holds a token while a run comes or goes; runs are those that are there. With the first the writer begins, with the last it ends.
	door    chan struct{}
	runs    int
	done    chan struct{}
	writing sync.WaitGroup

	mu       sync.Mutex
	outcomes []campaign.Outcome
	// spare has the room of the batch that was written last.
	spare []campaign.Outcome
	err   error
}

func newRecorder(deliveries campaign.Deliveries, recorded *prometheus.CounterVec, limit int) *recorder {
	due := time.NewTimer(recordEvery)
	due.Stop()
	return &recorder{deliveries: deliveries, recorded: recorded, limit: limit, due: due, full: make(chan struct{}), flushes: make(chan chan error),
		door: make(chan struct{}, 1)}
}

// attend lets a run hand outcomes over, until it calls leave. What a run before could not write is written first, or the reason given why it cannot.
func (r *recorder) attend() (leave func(), err error) {
	r.door <- struct{}{}
	if r.runs++; r.runs == 1 {
		r.done = make(chan struct{})
		r.writing.Go(r.run)
	}
	<-r.door
	return r.leave, r.flush()
}

func (r *recorder) leave() {
	r.door <- struct{}{}
	if r.runs--; r.runs == 0 {
		close(r.done)
		r.writing.Wait()
	}
	<-r.door
}

// add hands an outcome over. Only one that fills a batch wakes the writer, and waits while the batch before is written. One that no store would take is
// refused here, as it would keep those of other runs from being written.
func (r *recorder) add(outcome campaign.Outcome) error {
	if err := campaign.CheckOutcomes([]campaign.Outcome{outcome}); err != nil {
		return fmt.Errorf("record an outcome: %w", err)
	}
	r.mu.Lock()
	r.outcomes = append(r.outcomes, outcome)
	waiting := len(r.outcomes)
	r.mu.Unlock()
	switch {
	case waiting >= r.limit:
		r.full <- struct{}{}
	case waiting == 1:
		r.due.Reset(recordEvery)
	}
	return nil
}

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

// run writes while runs are there. Its writes outlive their contexts: what was sent must be accounted for.
func (r *recorder) run() {
	defer r.due.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-r.full:
			r.writeAll()
		case <-r.due.C:
			r.writeAll()
		case written := <-r.flushes:
			r.writeAll()
			written <- r.failure()
		}
	}
}

// writeAll writes what was handed over. What could not be written is written with the next.
func (r *recorder) writeAll() {
	r.mu.Lock()
	batch := r.outcomes
	r.outcomes, r.spare = r.spare, nil
	r.mu.Unlock()
	left, err := r.write(batch)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	if len(left) > 0 {
		r.outcomes = append(left, r.outcomes...)
	} else {
		r.spare = batch[:0]
	}
}

// write writes a batch down and gives what is left of it.
func (r *recorder) write(batch []campaign.Outcome) (left []campaign.Outcome, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for len(batch) > 0 {
		part := batch[:min(len(batch), campaign.MaxBatch)]
		if _, err := r.deliveries.Record(ctx, part); err != nil {
			return batch, fmt.Errorf("record outcomes: %w", err)
		}
		batch = batch[len(part):]
		for _, outcome := range part {
			r.recorded.WithLabelValues(string(outcome.State)).Inc()
		}
	}
	return nil, nil
}
