package api

import (
	"context"
	"slices"
	"strings"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// ownJobs tells which jobs are those of the caller's sessions and webhooks.
type ownJobs struct {
	all bool
	// names are the ids of the sessions and subscriptions.
	names map[string]bool
}

// ownJobs reads what the caller has. What has been deleted belongs to nobody, and its jobs are seen by who sees all.
func (a *API) ownJobs(ctx context.Context) (ownJobs, error) {
	if !access.From(ctx).Scoped() {
		return ownJobs{all: true}, nil
	}
	own := ownJobs{names: map[string]bool{}}
	sessions, err := session.ListAll(ctx, a.options.Sessions, session.Filter{})
	if err != nil {
		return own, err
	}
	for _, s := range sessions {
		own.names[string(s.ID)] = true
	}
	return own, pages(func(page store.Page) (store.List[webhook.Subscription], error) { return a.webhooks().List(ctx, page) },
		func(s webhook.Subscription) error {
			own.names[s.ID] = true
			return nil
		})
}

// sees tells whether a job is one of them, by the session that it is about, or by the subscription that it tells of something: a fact about one's own session
// may be on its way to a subscription of somebody else.
func (o ownJobs) sees(sessionID, kind, messageID string) bool {
	switch {
	case o.all:
		return true
	case kind == (events.DeliverWebhook{}).Kind():
		_, rest, _ := strings.Cut(messageID, "webhook:") // events.DeliverWebhook.MessageID
		subscription, _, _ := strings.Cut(rest, ":")
		return subscription != "" && o.names[subscription]
	}
	return sessionID != "" && o.names[sessionID]
}

func (o ownJobs) failed(job events.FailedJob) bool {
	return o.sees(job.SessionID, job.Kind, job.MessageID)
}

func (o ownJobs) live(job events.LiveJob) bool { return o.sees(job.SessionID, job.Kind, job.MessageID) }

// ownFailedJobs are the failed jobs that the caller may see.
type ownFailedJobs struct {
	FailedJobs
	api *API
}

func (o ownFailedJobs) narrow(ctx context.Context, filter events.FailedFilter) (events.FailedFilter, error) {
	own, err := o.api.ownJobs(ctx)
	if !own.all {
		filter.Only = own.failed
	}
	return filter, err
}

// List implements FailedJobReader.
func (o ownFailedJobs) List(ctx context.Context, filter events.FailedFilter, after uint64, limit int) ([]events.FailedJob, uint64, error) {
	filter, err := o.narrow(ctx, filter)
	if err != nil {
		return nil, 0, err
	}
	return o.FailedJobs.List(ctx, filter, after, limit)
}

// Stats implements FailedJobReader.
func (o ownFailedJobs) Stats(ctx context.Context, filter events.FailedFilter) ([]events.FailedGroup, error) {
	filter, err := o.narrow(ctx, filter)
	if err != nil {
		return nil, err
	}
	return o.FailedJobs.Stats(ctx, filter)
}

// Get implements FailedJobReader. The answer for a job of somebody else is that for one that does not exist.
func (o ownFailedJobs) Get(ctx context.Context, entry uint64) (events.FailedJob, error) {
	found, err := o.FailedJobs.Get(ctx, entry)
	if err != nil {
		return found, err
	}
	own, err := o.api.ownJobs(ctx)
	if err == nil && !own.failed(found) {
		err = fault.New(fault.NotFound, "no_failed_job", "There is no such failed job; it may have been replayed or discarded")
	}
	if err != nil {
		return events.FailedJob{}, err
	}
	return found, nil
}

// Edit implements FailedJobRepairer.
func (o ownFailedJobs) Edit(ctx context.Context, entry uint64, payload []byte, by string) (events.FailedJob, error) {
	if _, err := o.Get(ctx, entry); err != nil {
		return events.FailedJob{}, err
	}
	return o.FailedJobs.Edit(ctx, entry, payload, by)
}

// Replay implements FailedJobRepairer.
func (o ownFailedJobs) Replay(ctx context.Context, entry uint64, force bool) (string, error) {
	if _, err := o.Get(ctx, entry); err != nil {
		return "", err
	}
	return o.FailedJobs.Replay(ctx, entry, force)
}

// Discard implements FailedJobRepairer.
func (o ownFailedJobs) Discard(ctx context.Context, entry uint64) error {
	if _, err := o.Get(ctx, entry); err != nil {
		return err
	}
	return o.FailedJobs.Discard(ctx, entry)
}

// ownLiveJobs are the jobs in the queue that the caller may see.
type ownLiveJobs struct {
	Jobs
	api *API
}

// LiveJobs implements Jobs. As there, a page may be short.
func (o ownLiveJobs) LiveJobs(ctx context.Context, states []events.JobState, after uint64, limit int) ([]events.LiveJob, uint64, error) {
	own, err := o.api.ownJobs(ctx)
	if err != nil {
		return nil, 0, err
	}
	jobs, next, err := o.Jobs.LiveJobs(ctx, states, after, limit)
	return slices.DeleteFunc(jobs, func(job events.LiveJob) bool { return !own.live(job) }), next, err
}

// LiveJob implements Jobs.
func (o ownLiveJobs) LiveJob(ctx context.Context, sequence uint64) (events.LiveJob, error) {
	found, err := o.Jobs.LiveJob(ctx, sequence)
	if err != nil {
		return found, err
	}
	own, err := o.api.ownJobs(ctx)
	if err == nil && !own.live(found) {
		err = fault.New(fault.NotFound, "no_job", "There is no such job in the queue; it may have ended")
	}
	if err != nil {
		return events.LiveJob{}, err
	}
	return found, nil
}

// RemoveJob implements Jobs.
func (o ownLiveJobs) RemoveJob(ctx context.Context, sequence uint64) error {
	if access.From(ctx).Scoped() {
		if _, err := o.LiveJob(ctx, sequence); err != nil {
			return err
		}
	}
	return o.Jobs.RemoveJob(ctx, sequence)
}
