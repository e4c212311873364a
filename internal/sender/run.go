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
	suppressed suppressed
	recorder   *recorder
	// failures counts recipients in a row that got no message.
	failures int
}

func newRun(r *Runner, current campaign.Campaign) (*run, error) {
	templates, err := current.Templates()
	if err != nil {
		return nil, err
	}
	return &run{runner: r, options: &r.options, campaign: current, templates: templates, deadline: time.Now().Add(r.options.Slice),
		suppressed: suppressed{store: r.options.Suppressions}, recorder: newRecorder(r.options.Deliveries, r.metrics.recorded, r.options.Batch)}, nil
}

// work sends until every delivery is settled or something ends the slice. What the store holds is always at least what was sent: an
// error in between loses nothing but work.
func (r *run) work(ctx context.Context) (ending, error) {
	var recording sync.WaitGroup
	done := make(chan struct{})
	recording.Go(func() { r.recorder.run(ctx, done) })
	end, err := r.passes(ctx)
	if flushErr := r.recorder.flush(); err == nil {
		err = flushErr
	}
	close(done)
	recording.Wait()
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
			err = r.recorder.flush()
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
func (r *run) pass(ctx context.Context) (taken int, err error) {
	name := uuid.NewString() // a delivery is claimed once by a name
	for {
		batch, err := r.options.Deliveries.Claim(ctx, campaign.Claim{CampaignID: r.campaign.ID, Run: name, Limit: r.options.Batch, At: time.Now().UTC()})
		if err != nil {
			return taken, fmt.Errorf("take deliveries: %w", err)
		}
		if len(batch) == 0 {
			return taken, nil
		}
		taken += len(batch)
		if err := r.stillMine(ctx); err != nil {
			return taken, err
		}
		r.suppressed.of(batch)
		for _, delivery := range batch {
			if err := r.deliver(ctx, delivery); err != nil {
				return taken, err
			}
		}
	}
}

// stillMine ends the run of a campaign that was paused, resumed and taken by another worker, all between two messages: its state alone
// would not tell.
func (r *run) stillMine(ctx context.Context) error {
	current, err := r.options.Campaigns.Get(ctx, r.campaign.ID)
	switch {
	case err != nil:
		return fmt.Errorf("read the campaign: %w", err)
	case current.Slice != r.campaign.Slice:
		return &stop{}
	}
	return nil
}

// deliver brings one delivery to an outcome, trying again what may pass by itself.
func (r *run) deliver(ctx context.Context, delivery campaign.Delivery) error {
	began := time.Now()
	for {
		err := through(ctx, runnerStages, &parcel{run: r, delivery: delivery})
		if err == nil {
			return nil
		}
		again, err := r.judge(ctx, delivery, err, began)
		if !again {
			return err
		}
	}
}

func (r *run) record(outcome campaign.Outcome) { r.recorder.add(outcome) }

// settle records a failure.
func (r *run) settle(delivery campaign.Delivery, state campaign.DeliveryState, failure *fault.Error) {
	r.record(campaign.Outcome{DeliveryID: delivery.ID, State: state, At: time.Now().UTC(), Class: failure.Class, Code: failure.Code, Reason: failure.Message})
}
