package sender

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// run is one slice of one campaign at work.
type run struct {
	runner     *Runner
	campaign   campaign.Campaign
	template   campaign.Template
	deadline   time.Time
	suppressed map[string]campaign.Suppression
	outcomes   []campaign.Outcome
	// failures counts recipients that failed in a row.
	failures int
}

func newRun(r *Runner, current campaign.Campaign, _ int) (*run, error) {
	template, err := campaign.ParseTemplate(current.Text)
	if err != nil {
		return nil, err
	}
	return &run{runner: r, campaign: current, template: template, deadline: time.Now().Add(r.options.Slice)}, nil
}

// stop ends a run from within a message: how the slice ends. It is an error so that it passes through the loops.
type stop struct{ ending }

// Error names the end.
func (s *stop) Error() string { return fmt.Sprintf("the slice ends: %s %s", s.event, s.reason) }

// work sends batch after batch until nothing is left to take, then once more what has no known outcome. What the store holds is always
// at least what was sent: an error in between loses nothing but work.
func (r *run) work(ctx context.Context) (ending, error) {
	for pass := 1; ; pass++ {
		sent, err := r.pass(ctx)
		if flushErr := r.flush(ctx); err == nil {
			err = flushErr
		}
		if stopped, ok := err.(*stop); ok { //nolint:errorlint // a stop is never wrapped
			return stopped.ending, nil
		}
		if err != nil {
			return ending{}, err
		}
		if sent == 0 {
			return ending{event: campaign.Complete}, nil
		}
	}
}

// pass takes every delivery that is open, once. It gives how many it took.
func (r *run) pass(ctx context.Context) (int, error) {
	name := uuid.NewString() // a delivery is claimed once by a name
	taken := 0
	for {
		batch, err := r.runner.options.Deliveries.Claim(ctx, campaign.Claim{CampaignID: r.campaign.ID, Run: name,
			Limit: r.runner.options.Batch, MaxAttempts: r.runner.options.MaxAttempts, At: time.Now().UTC()})
		if err != nil {
			return taken, fmt.Errorf("take deliveries of %s: %w", r.campaign.ID, err)
		}
		if len(batch) == 0 {
			return taken, nil
		}
		taken += len(batch)
		if err := r.sendBatch(ctx, batch); err != nil {
			return taken, err
		}
		if err := r.flush(ctx); err != nil {
			return taken, err
		}
	}
}

func (r *run) sendBatch(ctx context.Context, batch []campaign.Delivery) error {
	phones := make([]string, len(batch))
	for i, delivery := range batch {
		phones[i] = delivery.Phone
	}
	suppressed, err := r.runner.options.Suppressions.Among(ctx, phones)
	if err != nil {
		return fmt.Errorf("read suppressions: %w", err)
	}
	r.suppressed = suppressed
	for _, delivery := range batch {
		if err := r.mayGoOn(ctx); err != nil {
			return err
		}
		if err := r.sendOne(ctx, delivery); err != nil {
			return err
		}
	}
	return nil
}

// mayGoOn is asked before each message, so that a pause holds from the next one on. The store is the only truth about it.
func (r *run) mayGoOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	state, err := r.runner.options.Campaigns.State(ctx, r.campaign.ID)
	switch {
	case err != nil:
		return fmt.Errorf("read state of %s: %w", r.campaign.ID, err)
	case state != campaign.Running:
		return &stop{}
	case time.Now().After(r.deadline):
		return &stop{ending{event: campaign.Queue}}
	}
	return nil
}

// sendOne brings one delivery to an outcome, trying again within the patience of the runner what may pass by itself.
func (r *run) sendOne(ctx context.Context, delivery campaign.Delivery) error {
	patience := time.Now().Add(r.runner.options.Patience)
	for {
		work := &errand{run: r, delivery: delivery}
		err := runStages(ctx, work, runnerStages())
		if err == nil {
			r.failures = 0
			r.record(campaign.Outcome{DeliveryID: delivery.ID, State: campaign.Sent, At: work.sentAt})
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err() // the delivery stays in Sending, for the next run
		}
		again, err := r.judge(ctx, delivery, err, patience)
		if !again {
			return err
		}
	}
}

// judge decides what a failure means: try the message again, settle the delivery, or end the slice. It is the only place that does.
func (r *run) judge(ctx context.Context, delivery campaign.Delivery, cause error, patience time.Time) (again bool, err error) {
	failure := fault.As(cause)
	r.runner.metrics.failures.WithLabelValues(failure.Class.Label()).Inc()
	switch failure.Class {
	case fault.RetryNow, fault.RetryLater, fault.CoolingDown:
		return r.waitAndTryAgain(ctx, failure, patience)
	case fault.PauseSession, fault.Relink, fault.Upgrade:
		return false, &stop{ending{event: campaign.Pause, reason: failure.Code, resumeAt: failure.Until}}
	case fault.UnknownOutcome:
		r.settle(delivery, campaign.Unknown, failure)
		return false, nil
	case fault.SkipRecipient:
		r.settle(delivery, campaign.Skipped, failure)
		return false, nil
	}
	r.settle(delivery, campaign.FailedDelivery, failure)
	if r.failures++; r.failures >= r.runner.options.ConsecutiveFailures {
		return false, &stop{ending{event: campaign.Pause, reason: reasonFailures}}
	}
	return false, nil
}

// The reasons for a pause that a runner gives by itself; any other is the code of the failure.
const (
	// reasonFailures: too many recipients failed in a row; a person should look.
	reasonFailures = "consecutive_failures"
)

// waitAndTryAgain waits as long as the failure asks for. What takes longer than the patience pauses the campaign, which frees its place; the
// sweeper resumes it when the wait is over or its session is back.
func (r *run) waitAndTryAgain(ctx context.Context, failure *fault.Error, patience time.Time) (again bool, err error) {
	wait := max(failure.After, shortestWait)
	if at := time.Now().Add(wait); at.After(patience) {
		return false, &stop{ending{event: campaign.Pause, reason: failure.Code, resumeAt: at.UTC()}}
	}
	if err := r.flush(ctx); err != nil {
		return false, err
	}
	if err := sleep(ctx, wait); err != nil {
		return false, err
	}
	if err := r.mayGoOn(ctx); err != nil {
		return false, err
	}
	return true, nil
}

// shortestWait keeps a failure that comes back at once from spinning.
const shortestWait = 200 * time.Millisecond

func (r *run) settle(delivery campaign.Delivery, state campaign.DeliveryState, failure *fault.Error) {
	r.record(campaign.Outcome{DeliveryID: delivery.ID, State: state, At: time.Now().UTC(), Class: failure.Class, Code: failure.Code, Reason: failure.Message})
}

func (r *run) record(outcome campaign.Outcome) { r.outcomes = append(r.outcomes, outcome) }

// flush writes the outcomes down. It outlives a stop.
func (r *run) flush(ctx context.Context) error {
	if len(r.outcomes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if _, err := r.runner.options.Deliveries.Record(ctx, r.outcomes); err != nil {
		return fmt.Errorf("record outcomes of %s: %w", r.campaign.ID, err)
	}
	r.outcomes = r.outcomes[:0]
	return nil
}
