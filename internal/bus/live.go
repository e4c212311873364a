package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// errNoJob answers for a job that is not in the queue.
func errNoJob() error {
	return fault.New(fault.NotFound, "no_job", "There is no such job in the queue; it has ended, or it failed and is among the failed jobs")
}

func queueUnreadable(err error) error {
	return fault.Wrap(fmt.Errorf("read the queue: %w", err), fault.RetryLater, "queue_unavailable", "The queue could not be read; try again")
}

// survey is what is needed to tell the state of a command: which of them each consumer has given out so far.
type survey struct {
	bus       *Bus
	stream    jetstream.Stream
	consumers []surveyed
	running   *Bucket
	attempts  *ledger
}

// surveyed is one consumer of commands.
type surveyed struct {
	consumer
	// delivered is the highest job that was given out. A job up to there that is still in the stream is in hand, or waits for its next attempt.
	delivered uint64
	// settled is the job up to which all have ended.
	settled uint64
	policy  Policy
}

// survey reads the state of the consumers. What is given out after it may be told as pending still.
func (b *Bus) survey(ctx context.Context) (*survey, error) {
	s := &survey{bus: b, attempts: &ledger{}}
	var err error
	if s.stream, err = b.js.Stream(ctx, events.StreamCommands); err != nil {
		return nil, queueUnreadable(err)
	}
	if s.running, err = b.Bucket(ctx, BucketRunning); err != nil {
		return nil, queueUnreadable(err)
	}
	if s.attempts.bucket, err = b.Bucket(ctx, BucketAttempts); err != nil {
		return nil, queueUnreadable(err)
	}
	for _, c := range b.consumers() {
		if c.stream != events.StreamCommands {
			continue
		}
		found, err := b.js.Consumer(ctx, c.stream, c.name)
		if err != nil {
			return nil, queueUnreadable(err)
		}
		info := found.CachedInfo()
		s.consumers = append(s.consumers, surveyed{consumer: c, delivered: info.Delivered.Stream, settled: info.AckFloor.Stream, policy: policies()[c.kind]})
	}
	return s, nil
}

// of gives the consumer that hands a subject out; nil for a job that waits for its time, or that nobody takes.
func (s *survey) of(subject string) *surveyed {
	for i := range s.consumers {
		if strings.HasPrefix(subject, strings.TrimSuffix(s.consumers[i].filter, ">")) {
			return &s.consumers[i]
		}
	}
	return nil
}

// describe tells the state of one command.
func (s *survey) describe(ctx context.Context, m *jetstream.RawStreamMsg) (events.LiveJob, error) {
	job := liveJob(m)
	c := s.of(m.Subject)
	switch {
	case strings.HasPrefix(m.Subject, schedulePrefix):
		job.State, job.Subject = events.JobScheduled, orDefault(m.Header.Get(headerScheduleTarget), m.Subject)
		if at, err := time.Parse(time.RFC3339, strings.TrimPrefix(m.Header.Get(headerSchedule), "@at ")); err == nil {
			job.DueAt = at
		}
		if c = s.of(job.Subject); c != nil {
			job.MaxAttempts = c.policy.Attempts
		}
		return job, nil
	case c == nil || m.Sequence > c.delivered:
		job.State = events.JobPending
	default:
		if err := s.inHand(ctx, c, &job); err != nil {
			return job, queueUnreadable(err)
		}
	}
	if c != nil {
		job.MaxAttempts = c.policy.Attempts
	}
	return job, nil
}

// inHand tells who has a job that was given out, or what it waits for.
func (s *survey) inHand(ctx context.Context, c *surveyed, job *events.LiveJob) error {
	beat, alive, err := s.bus.lastHeartbeat(ctx, s.running, c.name, job.Sequence)
	if err != nil {
		return err
	}
	known, err := s.attempts.read(ctx, keyOf(c.stream, c.name, job.Sequence))
	if err != nil {
		return err
	}
	job.Attempt, job.LastError = max(1, known.Attempts), known.Last
	switch {
	case alive && time.Since(beat.at) <= s.bus.options.AckWait:
		job.State, job.Worker, job.Since, job.Heartbeat = events.JobRunning, beat.Worker, beat.Since, beat.at
		job.Attempt = max(1, beat.Delivery-known.HandedBack)
	case known.NextAt.After(time.Now()):
		job.State, job.NextAttemptAt = events.JobRetrying, known.NextAt
	default:
		job.State = events.JobUnattended
	}
	return nil
}

// liveJob is what the message itself says.
func liveJob(m *jetstream.RawStreamMsg) events.LiveJob {
	var about struct {
		SessionID  string `json:"session_id"`
		CampaignID string `json:"campaign_id"`
	}
	_ = json.Unmarshal(m.Data, &about) // What cannot be read has no ids; its worker will say what is wrong with it.
	return events.LiveJob{
		Sequence: m.Sequence, Subject: m.Subject, MessageID: orDefault(m.Header.Get(jetstream.MsgIDHeader), fmt.Sprintf("%s:%d", events.StreamCommands, m.Sequence)), Kind: m.Header.Get(headerKind),
		SessionID: about.SessionID, CampaignID: about.CampaignID, TraceID: traceID(m.Header.Get(headerTrace)), QueuedAt: m.Time.UTC(), Payload: m.Data,
	}
}

// mostExamined bounds how many jobs one call of LiveJobs looks at: thousands of deliveries may wait for one receiver that is down.
const mostExamined = 1000

// LiveJobs gives the commands in the queue that are in one of the states (all, when none is named), in the order in which they were queued, from the one
// behind a sequence on, at most limit of them. next is the sequence to go on behind; zero when there is nothing more. A page may have fewer jobs
// than there are, and a next all the same.
func (b *Bus) LiveJobs(ctx context.Context, states []events.JobState, after uint64, limit int) (jobs []events.LiveJob, next uint64, err error) {
	s, err := b.survey(ctx)
	if err != nil {
		return nil, 0, err
	}
	walk := s.walk
	if len(states) > 0 && !slices.Contains(states, events.JobPending) && !slices.Contains(states, events.JobScheduled) {
		walk = s.walkInHand // However long the queue is.
	}
	examined, last := 0, after
	err = walk(ctx, after, func(job events.LiveJob) bool {
		wanted := len(states) == 0 || slices.Contains(states, job.State)
		if examined == mostExamined || wanted && len(jobs) == limit {
			next = last
			return false
		}
		if wanted {
			jobs = append(jobs, job)
		}
		examined, last = examined+1, job.Sequence
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	return jobs, next, nil
}

// walk shows the commands behind a sequence until see wants no more.
func (s *survey) walk(ctx context.Context, after uint64, see func(events.LiveJob) bool) error {
	for {
		m, err := s.find(ctx, "commands.>", after, math.MaxUint64)
		if m == nil {
			return err
		}
		after = m.Sequence
		if goOn, err := s.show(ctx, m, see); err != nil || !goOn {
			return err
		}
	}
}

// walkInHand shows those that were given out: of what each consumer gave out, the oldest comes first.
func (s *survey) walkInHand(ctx context.Context, after uint64, see func(events.LiveJob) bool) error {
	heads := make([]*jetstream.RawStreamMsg, len(s.consumers))
	advance := func(i int, after uint64) (err error) {
		heads[i], err = s.find(ctx, s.consumers[i].filter, after, s.consumers[i].delivered)
		return err
	}
	for i, c := range s.consumers {
		if err := advance(i, max(after, c.settled)); err != nil {
			return err
		}
	}
	for {
		first := -1
		for i, head := range heads {
			if head != nil && (first < 0 || head.Sequence < heads[first].Sequence) {
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		if goOn, err := s.show(ctx, heads[first], see); err != nil || !goOn {
			return err
		}
		if err := advance(first, heads[first].Sequence); err != nil {
			return err
		}
	}
}

// find gives the first command with a subject behind a sequence, up to the last one; nil when there is none.
func (s *survey) find(ctx context.Context, subject string, after, last uint64) (*jetstream.RawStreamMsg, error) {
	if after >= last {
		return nil, nil //nolint:nilnil // none, and no failure
	}
	m, err := s.stream.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Sequence > last {
		return nil, nil //nolint:nilnil // the same
	}
	if err != nil {
		return nil, queueUnreadable(err)
	}
	return m, nil
}

// show hands one command on with its state, and tells whether more are wanted.
func (s *survey) show(ctx context.Context, m *jetstream.RawStreamMsg, see func(events.LiveJob) bool) (goOn bool, err error) {
	job, err := s.describe(ctx, m)
	return err == nil && see(job), err
}

// LiveJob gives one command in the queue; fault.NotFound when it is not there.
func (b *Bus) LiveJob(ctx context.Context, sequence uint64) (events.LiveJob, error) {
	if sequence == 0 { // JetStream counts from 1, and takes a 0 for a request that is not understood.
		return events.LiveJob{}, errNoJob()
	}
	s, err := b.survey(ctx)
	if err != nil {
		return events.LiveJob{}, err
	}
	m, err := s.stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return events.LiveJob{}, errNoJob()
	}
	if err != nil {
		return events.LiveJob{}, queueUnreadable(err)
	}
	return s.describe(ctx, m)
}

// RemoveJob takes a command that no worker has out of the queue; fault.NotFound when it is not there, fault.Conflict when a worker has it. Who removes one
// has ended what it was for before: a worker that took it at this moment finds nothing to do.
func (b *Bus) RemoveJob(ctx context.Context, sequence uint64) error {
	job, err := b.LiveJob(ctx, sequence)
	if err != nil {
		return err
	}
	if job.State != events.JobPending && job.State != events.JobScheduled {
		return fault.New(fault.Conflict, "job_in_hand", "A worker has this job, or it waits for its next attempt; cancel its link, pause its campaign, or disable its webhook")
	}
	stream, err := b.js.Stream(ctx, events.StreamCommands)
	if err != nil {
		return queueUnreadable(err)
	}
	if err := stream.DeleteMsg(ctx, sequence); err != nil {
		if _, missing := stream.GetMsg(ctx, sequence); errors.Is(missing, jetstream.ErrMsgNotFound) {
			return errNoJob()
		}
		return queueUnreadable(err)
	}
	return nil
}

// Queues tells the state of each durable consumer that hands out jobs or facts.
func (b *Bus) Queues(ctx context.Context) ([]events.Queue, error) {
	var queues []events.Queue
	for _, c := range b.consumers() {
		found, err := b.js.Consumer(ctx, c.stream, c.name)
		if err != nil {
			return nil, queueUnreadable(err)
		}
		info := found.CachedInfo()
		queue := events.Queue{Consumer: c.name, Stream: c.stream, Description: c.description, Pending: int(info.NumPending), // #nosec G115 -- a count of messages
			InHand: info.NumAckPending, MaxInHand: c.inFlight, Redelivered: info.NumRedelivered}
		if policy, known := policies()[c.kind]; known {
			queue.Retries = events.RetryPolicy{Kind: c.kind, Attempts: policy.Attempts, MinDelay: policy.MinDelay, MaxDelay: policy.MaxDelay}
		}
		if queue.Oldest, err = b.oldest(ctx, c, info.AckFloor.Stream); err != nil {
			return nil, queueUnreadable(err)
		}
		queues = append(queues, queue)
	}
	return queues, nil
}

// oldest gives when the first message came that a consumer has not settled; zero when there is none.
func (b *Bus) oldest(ctx context.Context, c consumer, settled uint64) (time.Time, error) {
	stream, err := b.js.Stream(ctx, c.stream)
	if err != nil {
		return time.Time{}, err
	}
	m, err := stream.GetMsg(ctx, settled+1, jetstream.WithGetMsgSubject(c.filter))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return m.Time.UTC(), nil
}
