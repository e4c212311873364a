package bus

import (
	"cmp"
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

// LiveJobs gives the commands in the queue that are in one of the states (all, when none is named), in the order in which they were queued, from the one
// behind a sequence on, at most limit of them. next is the sequence to go on behind; zero when there is nothing more.
func (b *Bus) LiveJobs(ctx context.Context, states []events.JobState, after uint64, limit int) (jobs []events.LiveJob, next uint64, err error) {
	s, err := b.survey(ctx)
	if err != nil {
		return nil, 0, err
	}
	walk := s.walk
	if len(states) > 0 && !slices.Contains(states, events.JobPending) && !slices.Contains(states, events.JobScheduled) {
		walk = s.walkInHand // They are few, however long the queue is.
	}
	err = walk(ctx, after, func(job events.LiveJob) bool {
		if len(states) > 0 && !slices.Contains(states, job.State) {
			return true
		}
		if len(jobs) == limit {
			next = jobs[limit-1].Sequence
			return false
		}
		jobs = append(jobs, job)
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	return jobs, next, nil
}

// walk shows the commands behind a sequence until see wants no more.
func (s *survey) walk(ctx context.Context, after uint64, see func(events.LiveJob) bool) error {
	return s.walkSubject(ctx, "commands.>", after, math.MaxUint64, see)
}

// walkInHand shows those that were given out.
func (s *survey) walkInHand(ctx context.Context, after uint64, see func(events.LiveJob) bool) error {
	var found []events.LiveJob
	for _, c := range s.consumers {
		err := s.walkSubject(ctx, c.filter, max(after, c.settled), c.delivered, func(job events.LiveJob) bool {
			found = append(found, job)
			return true
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(found, func(a, b events.LiveJob) int { return cmp.Compare(a.Sequence, b.Sequence) })
	for _, job := range found {
		if !see(job) {
			return nil
		}
	}
	return nil
}

// walkSubject shows the commands with a subject behind a sequence, up to the last one.
func (s *survey) walkSubject(ctx context.Context, subject string, after, last uint64, see func(events.LiveJob) bool) error {
	for after < last {
		m, err := s.stream.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Sequence > last {
			return nil
		}
		if err != nil {
			return queueUnreadable(err)
		}
		after = m.Sequence
		job, err := s.describe(ctx, m)
		if err != nil {
			return err
		}
		if !see(job) {
			return nil
		}
	}
	return nil
}

// LiveJob gives one command in the queue; fault.NotFound when it is not there.
func (b *Bus) LiveJob(ctx context.Context, sequence uint64) (events.LiveJob, error) {
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
		return fault.New(fault.Conflict, "job_in_hand", "A worker has this job, or it waits for its next attempt; cancel its link, or pause its campaign")
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
