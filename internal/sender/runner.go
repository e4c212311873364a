package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// The defaults of RunnerOptions.
const (
	DefaultSlice               = time.Minute
	DefaultSendTimeout         = 2 * time.Minute
	DefaultPatience            = 30 * time.Second
	DefaultMaxAttempts         = 3
	DefaultConsecutiveFailures = 10
)

// RunnerOptions are the parts of a Runner. Those without a stated default are required.
type RunnerOptions struct {
	Sessions     session.Store
	Campaigns    campaign.Store
	Deliveries   campaign.Deliveries
	Suppressions campaign.Suppressions
	Queue        Queue
	Sends        Sends
	// Slice is how long a job runs before it makes room for another campaign; zero: DefaultSlice.
	Slice time.Duration
	// Batch is how many deliveries are taken at once, 1 to campaign.MaxBatch; zero: 1. After a crash as many may be sent again, under
	// the same ids.
	Batch int
	// SendTimeout bounds one message, its wait for the session's pace included; zero: DefaultSendTimeout.
	SendTimeout time.Duration
	// Patience is how long one message is tried again before its campaign waits for something to change; zero: DefaultPatience.
	Patience time.Duration
	// MaxAttempts is how often a message without a known outcome is sent, under the same id; zero: DefaultMaxAttempts.
	MaxAttempts int
	// ConsecutiveFailures pauses a campaign after so many failed recipients in a row; zero: DefaultConsecutiveFailures.
	ConsecutiveFailures int
	Log                 *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Runner runs campaigns, one slice a job.
type Runner struct {
	options RunnerOptions
	metrics *runnerMetrics
}

// NewRunner checks the options and makes a runner.
func NewRunner(options RunnerOptions) (*Runner, error) {
	if options.Sessions == nil || options.Campaigns == nil || options.Deliveries == nil || options.Suppressions == nil {
		return nil, errors.New("runner: Sessions, Campaigns, Deliveries and Suppressions are required")
	}
	if options.Queue == nil || options.Sends == nil {
		return nil, errors.New("runner: Queue and Sends are required")
	}
	if options.Batch < 0 || options.Batch > campaign.MaxBatch {
		return nil, fmt.Errorf("runner: Batch must be 1 to %d, not %d", campaign.MaxBatch, options.Batch)
	}
	options.Batch = orDefault(options.Batch, 1)
	options.Slice = orDefault(options.Slice, DefaultSlice)
	options.SendTimeout = orDefault(options.SendTimeout, DefaultSendTimeout)
	options.Patience = orDefault(options.Patience, DefaultPatience)
	options.MaxAttempts = orDefault(options.MaxAttempts, DefaultMaxAttempts)
	options.ConsecutiveFailures = orDefault(options.ConsecutiveFailures, DefaultConsecutiveFailures)
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	metrics, err := newRunnerMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	return &Runner{options: options, metrics: metrics}, nil
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

// Handle runs one slice of a campaign: it sends what it can, writes down what came of it, and then completes the campaign, leaves it paused, or
// queues its next slice. A job that is out of date, because its campaign went on, was paused or has ended, is done at once.
func (r *Runner) Handle(ctx context.Context, job events.RunCampaign) error {
	current, err := r.start(ctx, job)
	if err != nil || current.State != campaign.Running {
		return err
	}
	r.metrics.running.Inc()
	defer r.metrics.running.Dec()
	log := r.options.Log.With("campaign", string(current.ID), "session", string(current.SessionID))
	run, err := newRun(r, current, job.Slice)
	if err != nil {
		return r.fail(ctx, current.ID, err)
	}
	log.Info("campaign slice started", "slice", job.Slice)
	end, err := run.work(ctx)
	if err != nil {
		return err
	}
	log.Info("campaign slice ended", "slice", job.Slice, "how", end.event, "reason", end.reason)
	return r.conclude(ctx, current.ID, end)
}

// start marks the campaign as running. The campaign that it gives is in another state when there is nothing to do.
func (r *Runner) start(ctx context.Context, job events.RunCampaign) (campaign.Campaign, error) {
	started := false
	current, err := campaign.Modify(ctx, r.options.Campaigns, job.CampaignID, func(c *campaign.Campaign) error {
		started = false
		if c.Slice != job.Slice || c.State != campaign.Queued {
			return campaign.ErrUnchanged
		}
		changed, err := campaign.Apply(*c, campaign.Start, time.Now().UTC())
		if err != nil {
			return err
		}
		*c, started = changed, true
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return campaign.Campaign{}, nil // deleted meanwhile
	}
	if err != nil {
		return campaign.Campaign{}, err
	}
	if current.Slice != job.Slice {
		return campaign.Campaign{}, nil
	}
	if started {
		return current, r.tell(ctx, current)
	}
	return current, nil
}

// ending is how a slice ended: the event for the campaign, and for a pause why and until when.
type ending struct {
	event    campaign.Event
	reason   string
	resumeAt time.Time
}

// conclude writes the end of a slice and publishes what follows from it. It outlives a stop: what was sent must be accounted for.
func (r *Runner) conclude(ctx context.Context, id campaign.ID, end ending) error {
	if end.event == "" {
		return nil // somebody paused, cancelled or re-queued the campaign; it is theirs
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	applied := false
	stored, err := campaign.Modify(ctx, r.options.Campaigns, id, func(c *campaign.Campaign) error {
		applied = false
		if c.State != campaign.Running {
			return campaign.ErrUnchanged
		}
		changed, err := campaign.Apply(*c, end.event, time.Now().UTC())
		if err != nil {
			return err
		}
		changed.Reason, changed.ResumeAt = end.reason, end.resumeAt
		*c, applied = changed, true
		return nil
	})
	if err != nil || !applied {
		return err
	}
	return r.tell(ctx, stored)
}

// tell publishes a campaign's state and, when it waits for a worker, its job.
func (r *Runner) tell(ctx context.Context, c campaign.Campaign) error {
	return tellCampaign(ctx, r.options.Queue, c)
}

func tellCampaign(ctx context.Context, queue Queue, c campaign.Campaign) error {
	err := queue.PublishFact(ctx, events.CampaignChanged{Version: events.FactVersion, CampaignID: c.ID, SessionID: c.SessionID,
		UserID: c.UserID, State: c.State, Reason: c.Reason, At: c.UpdatedAt})
	if err != nil || c.State != campaign.Queued {
		return err
	}
	return queue.SendCommand(ctx, events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: c.ID, SessionID: c.SessionID,
		Slice: c.Slice, RequestedAt: c.UpdatedAt})
}

// fail ends a campaign that can never be sent: its text does not hold.
func (r *Runner) fail(ctx context.Context, id campaign.ID, cause error) error {
	r.options.Log.Error("campaign cannot be sent", "campaign", string(id), "error", cause)
	return r.conclude(ctx, id, ending{event: campaign.Fail, reason: fault.As(cause).Code})
}
