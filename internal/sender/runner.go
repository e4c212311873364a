package sender

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
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
	// Batch is how many deliveries are taken at once, 1 to campaign.MaxBatch; zero: 1. After a crash as many, but not more than those of the last
	// recordEvery, may be sent again, under the same ids.
	Batch int
	// SendTimeout bounds one message, its wait for the session's pace included; zero: DefaultSendTimeout.
	SendTimeout time.Duration
	// Patience is how long a message is tried again while its session cannot send, before its campaign is paused until something
	// changes; zero: DefaultPatience. For what concerns only its recipient it is a third of that.
	Patience time.Duration
	// MaxAttempts is how often a message without a known outcome is sent, under the same id; zero: DefaultMaxAttempts.
	MaxAttempts int
	// ConsecutiveFailures pauses a campaign after so many failed recipients in a row; zero: DefaultConsecutiveFailures.
	ConsecutiveFailures int
	// Log takes what happens to campaigns; nil: it is dropped.
	Log *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Runner runs campaigns, one slice a job.
type Runner struct {
	options  RunnerOptions
	metrics  *runnerMetrics
	recorder *recorder

	mu sync.Mutex
	// running has a channel for each campaign that is run here, closed when its run ends.
	running map[campaign.ID]chan struct{}
	// failing has the failures in a row at the end of a campaign's last slice here.
	failing map[campaign.ID]int

	// stopping is closed when the stop begins, abandoned when it no longer waits for messages in hand.
	stopping, abandoned chan struct{}
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
	if options.Slice < 0 || options.SendTimeout < 0 || options.Patience < 0 || options.MaxAttempts < 0 || options.ConsecutiveFailures < 0 {
		return nil, errors.New("runner: times and limits must not be negative")
	}
	options.Batch = orDefault(options.Batch, 1)
	options.Slice = orDefault(options.Slice, DefaultSlice)
	options.SendTimeout = orDefault(options.SendTimeout, DefaultSendTimeout)
	options.Patience = orDefault(options.Patience, DefaultPatience)
	options.MaxAttempts = orDefault(options.MaxAttempts, DefaultMaxAttempts)
	options.ConsecutiveFailures = orDefault(options.ConsecutiveFailures, DefaultConsecutiveFailures)
	options.Log = orDiscard(options.Log)
	metrics, err := newRunnerMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	return &Runner{options: options, metrics: metrics, recorder: newRecorder(options.Deliveries, metrics.recorded, options.Batch), running: map[campaign.ID]chan struct{}{}, failing: map[campaign.ID]int{},
		stopping: make(chan struct{}), abandoned: make(chan struct{})}, nil
}

// lastMessageTime is how long a stop waits for the messages in hand. The holder of a session may have died with one of them, and a worker must
// not stay for it until it is killed itself.
const lastMessageTime = 5 * time.Second

// Run waits for the end of the context, which begins the stop: from then on each slice ends behind the message that it has in hand, or without it
// after lastMessageTime, and its campaign is queued for another worker. Without it a slice goes on until its job's own context ends.
func (r *Runner) Run(ctx context.Context) error {
	<-ctx.Done()
	close(r.stopping)
	time.AfterFunc(lastMessageTime, func() { close(r.abandoned) })
	return nil
}

func (r *Runner) isStopping() bool { return isClosed(r.stopping) }

// untilAbandoned bounds the messages in hand by the end of a stop's patience.
func (r *Runner) untilAbandoned(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-r.abandoned:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// rest waits; a stop ends it early.
func (r *Runner) rest(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	case <-r.stopping:
	}
	return nil
}

func isClosed(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}

// Handle runs one slice of a campaign: it sends what it can, writes down what came of it, and then completes the campaign, leaves it paused, or
// queues its next slice. A job that is out of date, because its campaign went on, was paused or has ended, is done at once.
func (r *Runner) Handle(ctx context.Context, job events.RunCampaign) error {
	if err := r.enter(ctx, job.CampaignID); err != nil {
		return err
	}
	defer r.exit(job.CampaignID)
	current, mine, err := r.start(ctx, job)
	if err != nil {
		return err
	}
	if !mine {
		return r.follow(ctx, current)
	}
	log := r.options.Log.With("campaign", string(current.ID), "session", string(current.SessionID))
	run, err := newRun(r, current)
	if err != nil {
		return r.fail(ctx, current, err)
	}
	log.InfoContext(ctx, "campaign slice started", "slice", current.Slice)
	run.failures = r.failuresOf(current.ID)
	end, err := run.work(ctx)
	r.remember(current.ID, end, run.failures)
	if err != nil {
		return fmt.Errorf("run campaign %s: %w", current.ID, err)
	}
	r.metrics.slices.WithLabelValues(cmp.Or(string(end.event), endedElsewhere)).Inc()
	r.suspect(ctx, current, log)
	log.InfoContext(ctx, "campaign slice ended", "slice", current.Slice, "how", string(end.event), "reason", end.reason)
	return r.conclude(ctx, current, end)
}

// suspect looks whether so few of a campaign's messages arrive that WhatsApp may drop them silently. It only tells: a phone may be off, and people look.
func (r *Runner) suspect(ctx context.Context, ran campaign.Campaign, log *slog.Logger) {
	if ran.StartedAt.IsZero() || time.Since(ran.StartedAt) < campaign.SuspectedAfter {
		return
	}
	counts, err := r.options.Deliveries.Counts(ctx, ran.ID)
	if err == nil && counts.Suspicious() {
		r.metrics.suspected.Inc()
		log.WarnContext(ctx, "few of the sent messages arrive: WhatsApp may be dropping them", "sent", counts.AtLeast(campaign.Sent), "delivered", counts.AtLeast(campaign.Delivered))
	}
}

// enter notes that a campaign is being run here, and waits for a run of it that has not ended: one that was paused and resumed between two
// messages, or whose job the queue gave out again because this process was frozen. The job is not handed back for a later time, which
// would have to be guessed: either way it keeps its place among those in hand.
func (r *Runner) enter(ctx context.Context, id campaign.ID) error {
	for {
		r.mu.Lock()
		ended, running := r.running[id]
		if !running {
			r.running[id] = make(chan struct{})
			r.metrics.running.Inc()
		}
		r.mu.Unlock()
		if !running {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("wait for the run before of %s: %w", id, ctx.Err())
		}
	}
}

func (r *Runner) exit(id campaign.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.running[id])
	delete(r.running, id)
	r.metrics.running.Dec()
}

// failuresOf gives how many recipients failed in a row when the last slice of a campaign ended here.
func (r *Runner) failuresOf(id campaign.ID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failing[id]
}

// remember keeps the failures in a row for the next slice; a pause or the end forgets them.
func (r *Runner) remember(id campaign.ID, end ending, failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end.event == campaign.Queue && failures > 0 {
		r.failing[id] = failures
		return
	}
	delete(r.failing, id)
}

// start marks the campaign as running, by this run. mine tells whether this job is the one to run it now: it is also when the run before this one
// crashed, and one that lives all the same ends with the batch that it has in hand.
func (r *Runner) start(ctx context.Context, job events.RunCampaign) (current campaign.Campaign, mine bool, err error) {
	if outdated, err := r.begin(ctx, job); err != nil || outdated {
		return campaign.Campaign{}, false, err
	}
	started := false
	current, err = campaign.Modify(ctx, r.options.Campaigns, job.CampaignID, func(c *campaign.Campaign) error {
		if c.Slice != job.Slice || c.State != campaign.Queued && c.State != campaign.Running {
			mine = false
			return campaign.ErrUnchanged
		}
		next, err := campaign.Apply(*c, campaign.Start, time.Now().UTC())
		mine, started = err == nil, c.State == campaign.Queued
		next.Run = uuid.NewString()
		*c = next
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return campaign.Campaign{}, false, nil // deleted meanwhile
	}
	if err != nil {
		return current, false, err
	}
	if started {
		err = tellCampaign(ctx, r.options.Queue, current)
	}
	return current, mine, err
}

// earliness is how much before its time a scheduled campaign may begin: the clocks of two machines differ.
const earliness = 2 * time.Second

// begin queues a scheduled campaign whose time has come, so that its job can start it. The job of a time that was changed meanwhile is out of date: it
// must not run beside the one that came in its place.
func (r *Runner) begin(ctx context.Context, job events.RunCampaign) (outdated bool, err error) {
	if job.Due.IsZero() {
		return false, nil
	}
	due := func(c campaign.Campaign) bool {
		return c.State == campaign.Scheduled && c.Slice+1 == job.Slice && c.Settings.ScheduledAt.Equal(job.Due) && time.Until(job.Due) < earliness
	}
	stored, _, err := change(ctx, r.options.Campaigns, job.CampaignID, due, ending{event: campaign.Queue})
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return err == nil && (stored.State == campaign.Scheduled || !stored.Settings.ScheduledAt.Equal(job.Due)), err
}

// follow finishes what the former holder of a job that is out of date may have left half done.
func (r *Runner) follow(ctx context.Context, current campaign.Campaign) error {
	switch current.State {
	case campaign.Queued: // its next slice was written down, and perhaps not published
		return tellCampaign(ctx, r.options.Queue, current)
	case campaign.Cancelled:
		return settleCancelled(ctx, r.options.Deliveries, current.ID)
	default:
		return nil
	}
}

// conclude writes the end of a slice and publishes what follows from it. It outlives a stop: what was sent must be accounted for.
func (r *Runner) conclude(ctx context.Context, ran campaign.Campaign, end ending) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	mine := func(c campaign.Campaign) bool {
		return end.event != "" && c.State == campaign.Running && c.Run == ran.Run
	}
	stored, changed, err := change(ctx, r.options.Campaigns, ran.ID, mine, end)
	if err != nil {
		return err
	}
	if !changed { // a person paused, cancelled or went on with the campaign: it is theirs
		return r.follow(ctx, stored)
	}
	return tellCampaign(ctx, r.options.Queue, stored)
}

// fail ends a campaign that can never be sent: its text does not hold.
func (r *Runner) fail(ctx context.Context, current campaign.Campaign, cause error) error {
	failure := fault.As(cause)
	r.options.Log.ErrorContext(ctx, "campaign cannot be sent", "campaign", string(current.ID), "class", failure.Class.Label(), "error", cause)
	_, err := r.options.Deliveries.SettleOpen(ctx, current.ID, campaign.Outcome{State: campaign.FailedDelivery, At: time.Now().UTC(),
		Class: failure.Class, Code: failure.Code, Reason: failure.Message})
	if err != nil {
		return fmt.Errorf("settle deliveries of %s: %w", current.ID, err)
	}
	return r.conclude(ctx, current, ending{event: campaign.Fail, reason: failure.Code})
}
