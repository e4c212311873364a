package sender

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// run is one slice of one campaign at work. It holds one batch in memory, whatever the size of the audience.
type run struct {
	runner     *Runner
	options    *RunnerOptions
	campaign   campaign.Campaign
	templates  campaign.Templates
	deadline   time.Time
	suppressed *suppressed
	// size is how many deliveries the next batch takes.
	size int
	// failures counts recipients in a row that got no message.
	failures int
}

func newRun(r *Runner, current campaign.Campaign) (*run, error) {
	templates, err := current.Templates()
	if err != nil {
		return nil, err
	}
	return &run{runner: r, options: &r.options, campaign: current, templates: templates, deadline: time.Now().Add(r.options.Slice),
		size: min(firstBatch, r.options.Batch)}, nil
}

// work sends until every delivery is settled or something ends the slice. What the store holds is always at least what was sent: an
// error in between loses nothing but work.
func (r *run) work(ctx context.Context) (ending, error) {
	leave, err := r.runner.recorder.attend()
	defer leave()
	if err != nil {
		return ending{}, err
	}
	end, err := r.passes(ctx)
	if flushErr := r.runner.recorder.flush(); err == nil {
		err = flushErr
	}
	return end, err
}

// passes takes everything that is open, and then again what has no known outcome, until nothing is left.
func (r *run) passes(ctx context.Context) (ending, error) {
	for {
		taken, err := r.pass(ctx)
		var stopped *stop
		if errors.As(err, &stopped) {
			return stopped.ending, nil
		}
		if err == nil {
			err = r.runner.recorder.flush()
		}
		if err != nil {
			return ending{}, err
		}
		counts, err := r.options.Deliveries.Counts(ctx, r.campaign.ID)
		if err != nil {
			return ending{}, fmt.Errorf("count deliveries: %w", err)
		}
		switch {
		case counts.Open() == 0:
			return ending{event: campaign.Complete}, nil
		case taken == 0:
			return ending{}, fault.New(fault.RetryLater, "deliveries_busy", "Deliveries are open that nobody gives out; the job is tried again")
		}
	}
}

// pass takes every delivery that is open, once: those that an earlier run or pass left behind, then the pending ones. How often a delivery was
// taken does not count here, as a pause or a crash makes it taken again without having been sent; it bounds the unknown ones in verdict.go. It
// gives how many it took.
//
// The next batch is taken while the second half of the one before is sent, so that no message waits for it. A batch of one is taken when it is needed.
func (r *run) pass(ctx context.Context) (taken int, err error) {
	name := uuid.NewString() // a delivery is claimed once by a name
	next, err := r.take(ctx, name)
	for err == nil && len(next.deliveries) > 0 {
		taken += len(next.deliveries)
		next, err = r.sendBatch(ctx, name, next)
	}
	return taken, err
}

// firstBatch is the size of a run's first batch, unless all are smaller, so that its first message does not wait long; each one that follows is twice as
// large, up to RunnerOptions.Batch.
const firstBatch = 16

// batch is what a run takes at once.
type batch struct {
	deliveries []campaign.Delivery
	suppressed *suppressed
	// last: nothing was left to be taken with it.
	last bool
}

// take takes the next batch of a pass.
func (r *run) take(ctx context.Context, pass string) (batch, error) {
	size := r.size
	r.size = min(2*size, r.options.Batch)
	deliveries, err := r.options.Deliveries.Claim(ctx, campaign.Claim{CampaignID: r.campaign.ID, Run: pass, Limit: size, At: time.Now().UTC()})
	if err != nil {
		return batch{}, fmt.Errorf("take deliveries: %w", err)
	}
	return batch{deliveries, newSuppressed(r.options.Suppressions, deliveries), len(deliveries) < size}, nil
}

// sendBatch sends one batch and gives the next.
func (r *run) sendBatch(ctx context.Context, pass string, current batch) (batch, error) {
	if err := r.stillMine(ctx); err != nil {
		return batch{}, err
	}
	r.suppressed = current.suppressed
	var next batch
	var nextErr error
	takeNext := func() {
		if !current.last {
			next, nextErr = r.take(ctx, pass)
		}
	}
	var ahead sync.WaitGroup
	defer ahead.Wait()
	half := len(current.deliveries) / 2
	sending, end := r.runner.untilAbandoned(ctx)
	defer end()
	var message parcel // one for all: it is large, and garbage at each message would be felt
	for i, delivery := range current.deliveries {
		if i == half && half > 0 {
			ahead.Go(takeNext)
		}
		if err := r.deliver(sending, delivery, &message); err != nil {
			return batch{}, err
		}
	}
	if half == 0 {
		takeNext()
	}
	ahead.Wait()
	return next, nextErr
}

// stillMine ends the run of a campaign that another has taken, which its state alone does not tell: it was paused and resumed between two messages, or
// the queue gave the job out again although this worker has it, as a broker may that was killed.
func (r *run) stillMine(ctx context.Context) error {
	current, err := r.options.Campaigns.Get(ctx, r.campaign.ID)
	switch {
	case err != nil:
		return fmt.Errorf("read the campaign: %w", err)
	case current.Run != r.campaign.Run:
		return &stop{}
	}
	return nil
}

// deliver brings one delivery to an outcome, trying again what may pass by itself. The message is made in a given place.
func (r *run) deliver(ctx context.Context, delivery campaign.Delivery, message *parcel) error {
	began := time.Now()
	for {
		*message = parcel{run: r, delivery: delivery}
		err := through(ctx, runnerStages, message)
		if err == nil {
			return nil
		}
		again, err := r.judge(ctx, delivery, err, began)
		if !again {
			return err
		}
	}
}

func (r *run) record(outcome campaign.Outcome) error { return r.runner.recorder.add(outcome) }

// settle records a failure.
func (r *run) settle(delivery campaign.Delivery, state campaign.DeliveryState, failure *fault.Error) error {
	return r.record(campaign.Outcome{DeliveryID: delivery.ID, State: state, At: time.Now().UTC(), Class: failure.Class, Code: failure.Code, Reason: failure.Message})
}
