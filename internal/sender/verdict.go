package sender

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// stop ends a run from within a message: how the slice ends. It is an error so that it passes through the stages.
type stop struct{ ending }

// Error names the end.
func (s *stop) Error() string { return fmt.Sprintf("the slice ends: %s %s", s.event, s.reason) }

// broken is a part of ours that failed, which says nothing about the message: the job is tried again.
type broken struct {
	err   error
	doing string
}

// Error says what was being done.
func (b *broken) Error() string { return b.doing + ": " + b.err.Error() }

// Unwrap gives the cause.
func (b *broken) Unwrap() error { return b.err }

// unanswered says that a request to send had no answer, so that the failure is none of the recipient's.
type unanswered struct{ error }

// Unwrap gives the cause.
func (u *unanswered) Unwrap() error { return u.error }

const (
	// reasonFailures pauses a campaign of which too many recipients failed in a row: a person should look.
	reasonFailures = "consecutive_failures"
	// failuresRest is how long a campaign waits after too many failures that may pass by themselves.
	failuresRest = 5 * time.Minute
	// shortestWait keeps a failure that comes back at once from spinning.
	shortestWait = 200 * time.Millisecond
)

// judge decides what the end of a message's way means: try it again, settle the delivery, or end the slice. It is the only place that does.
func (r *run) judge(ctx context.Context, delivery campaign.Delivery, cause error, began time.Time) (again bool, err error) {
	var stopped *stop
	var failed *broken
	switch {
	case errors.As(cause, &stopped), errors.As(cause, &failed):
		return false, cause
	case ctx.Err() != nil:
		return false, fmt.Errorf("the job was interrupted: %w", ctx.Err()) // the delivery stays in Sending, for the next run
	}
	failure := fault.As(cause)
	r.runner.metrics.failures.WithLabelValues(failure.Class.Label()).Inc()
	switch failure.Class {
	case fault.RetryNow, fault.RetryLater, fault.CoolingDown, fault.Internal: // Internal is ours, and may pass: a full disk, a defect that one more try goes around
		return r.tryAgain(ctx, delivery, cause, began)
	case fault.PauseSession, fault.Relink, fault.Upgrade:
		return false, pausedBy(failure)
	case fault.SkipRecipient:
		return false, r.settle(delivery, campaign.Skipped, failure)
	case fault.UnknownOutcome:
		return false, r.putAside(delivery, failure, ending{event: campaign.Pause, reason: reasonFailures})
	default: // the message itself is wrong
		if err := r.settle(delivery, campaign.FailedDelivery, failure); err != nil {
			return false, err
		}
		return false, r.countFailure(ending{event: campaign.Pause, reason: reasonFailures})
	}
}

// tryAgain waits as long as the failure asks for. What takes longer than the patience has one of two ends. When the session cannot send, the
// campaign is paused, which frees its place, and the sweeper resumes it. When it is about this recipient alone, the others go on.
func (r *run) tryAgain(ctx context.Context, delivery campaign.Delivery, cause error, began time.Time) (again bool, err error) {
	ready, err := r.sessionIsReady(ctx)
	if err != nil {
		return false, err
	}
	failure := fault.As(cause)
	wait := max(failure.After, shortestWait)
	var noAnswer *unanswered
	everybody := !ready || errors.As(cause, &noAnswer) || wait > r.options.Patience
	patience := r.options.Patience
	if !everybody {
		patience /= 3
	}
	switch {
	case time.Since(began)+wait <= patience:
		return true, r.runner.rest(ctx, wait)
	case everybody:
		return false, &stop{ending{event: campaign.Pause, reason: failure.Code, resumeAt: time.Now().Add(wait).UTC()}}
	}
	tooMany := ending{event: campaign.Pause, reason: reasonFailures}
	if failure.Class != fault.Internal { // which a person should look at
		tooMany.resumeAt = time.Now().Add(failuresRest).UTC()
	}
	return false, r.putAside(delivery, failure, tooMany)
}

// sessionIsReady reads whether the session is connected. A record that says that waiting is no use ends the slice.
func (r *run) sessionIsReady(ctx context.Context) (ready bool, err error) {
	owner, err := r.options.Sessions.Get(ctx, r.campaign.SessionID)
	if errors.Is(err, store.ErrNotFound) {
		owner, err = session.Session{State: session.Removed}, nil
	}
	if err != nil {
		return false, &broken{err, "read the session"}
	}
	if refused := refusal(owner, time.Now()); refused != nil {
		return false, pausedBy(fault.As(refused))
	}
	return owner.State == session.Ready, nil
}

// pausedBy pauses the campaign until the failure's own time, or until its session is ready again. A limit without an end and a session that
// was removed wait for a person.
func pausedBy(failure *fault.Error) error {
	end := ending{event: campaign.Pause, reason: failure.Code, resumeAt: failure.Until}
	if failure.Class != fault.PauseSession && failure.Code != string(session.ReasonUnlinked) {
		end.resumeAt = time.Now().Add(failure.After).UTC()
	}
	return &stop{end}
}

// putAside leaves a delivery without a known outcome to the end of the run, where it is sent once more under the same id. One that was sent
// often enough is given up; a receipt may still prove that it arrived. The end is for when it is one too many.
func (r *run) putAside(delivery campaign.Delivery, failure *fault.Error, tooMany ending) error {
	state := campaign.Unknown
	if delivery.Attempts >= r.options.MaxAttempts {
		state = campaign.FailedDelivery
	}
	if err := r.settle(delivery, state, failure); err != nil {
		return err
	}
	return r.countFailure(tooMany)
}

// countFailure ends the slice when too many recipients in a row got no message.
func (r *run) countFailure(tooMany ending) error {
	if r.failures++; r.failures < r.options.ConsecutiveFailures {
		return nil
	}
	return &stop{tooMany}
}
