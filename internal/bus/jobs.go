package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// errNoFailedJob answers for an entry that is not there: it was replayed, discarded, or is older than FAILED keeps.
func errNoFailedJob() error {
	return fault.New(fault.NotFound, "no_failed_job", "There is no such failed job; it may have been replayed or discarded")
}

// FailedJobs lists failed jobs in the order in which they were given up, from the one behind an entry on, at most limit of them. next is the entry to go on
// behind; zero when there is nothing more.
func (b *Bus) FailedJobs(ctx context.Context, filter events.FailedFilter, after uint64, limit int) (jobs []FailedJob, next uint64, err error) {
	stream, err := b.js.Stream(ctx, events.StreamFailed)
	if err != nil {
		return nil, 0, failedUnavailable(err)
	}
	for position := after + 1; ; {
		m, err := stream.GetMsg(ctx, position, jetstream.WithGetMsgSubject(events.AllFailed))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return jobs, 0, nil
		}
		if err != nil {
			return nil, 0, failedUnavailable(err)
		}
		position = m.Sequence + 1
		job, err := decodeFailed(m)
		if err != nil {
			return nil, 0, err
		}
		if !filter.Takes(job) {
			continue
		}
		if len(jobs) == limit {
			return jobs, jobs[limit-1].Entry, nil
		}
		jobs = append(jobs, job)
	}
}

func failedUnavailable(err error) error {
	return fault.Wrap(fmt.Errorf("read failed jobs: %w", err), fault.RetryLater, "queue_unavailable", "The failed jobs could not be read; try again")
}

func decodeFailed(m *jetstream.RawStreamMsg) (FailedJob, error) {
	var job FailedJob
	if err := json.Unmarshal(m.Data, &job); err != nil {
		return job, fmt.Errorf("read failed job %d: %w", m.Sequence, err)
	}
	job.Entry = m.Sequence
	return job, nil
}

// FailedJob gives one failed job; fault.NotFound when there is none with this entry.
func (b *Bus) FailedJob(ctx context.Context, entry uint64) (FailedJob, error) {
	stream, err := b.js.Stream(ctx, events.StreamFailed)
	if err != nil {
		return FailedJob{}, failedUnavailable(err)
	}
	m, err := stream.GetMsg(ctx, entry)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return FailedJob{}, errNoFailedJob()
	}
	if err != nil {
		return FailedJob{}, failedUnavailable(err)
	}
	return decodeFailed(m)
}

// replayed ends the identity of a job that was replayed: how often.
var replayed = regexp.MustCompile(`:r(\d+)$`)

// replayID gives the identity of the next replay of a job. It must differ from the job's own, which may still be in the queue's window of
// de-duplication, and it is the same for the same failed job, so that a replay that is asked for twice is one job.
func replayID(id string) string {
	if found := replayed.FindStringSubmatch(id); found != nil {
		times, err := strconv.Atoi(found[1])
		if err == nil {
			return strings.TrimSuffix(id, found[0]) + ":r" + strconv.Itoa(times+1)
		}
	}
	return id + ":r1"
}

// Replay publishes a failed job anew and takes it out of FAILED. It is fault.Conflict when a job with its subject is in the queue again: running two of them
// would be worse than waiting. A crash between the two steps leaves the entry; replaying it again publishes nothing twice while the first one is
// in the queue or within its window of de-duplication. It gives the new job's identity.
func (b *Bus) Replay(ctx context.Context, entry uint64) (id string, err error) {
	job, err := b.FailedJob(ctx, entry)
	if err != nil {
		return "", err
	}
	if job.Stream != events.StreamCommands {
		return "", fault.New(fault.Conflict, "not_a_command", "This is not a job but a fact that a worker could not handle; discard it when its cause is removed")
	}
	active, err := b.holds(ctx, events.StreamCommands, job.Subject)
	if err != nil {
		return "", failedUnavailable(err)
	}
	id = replayID(job.MessageID)
	if active {
		return "", fault.New(fault.Conflict, "job_active", "A job for the same thing is in the queue already; wait until it has ended")
	}
	m := nats.NewMsg(job.Subject)
	m.Data = job.Payload
	for key, value := range job.Headers {
		m.Header.Set(key, value)
	}
	m.Header.Set(jetstream.MsgIDHeader, id)
	if err := b.publish(ctx, m); err != nil {
		return "", err
	}
	return id, b.Discard(ctx, entry)
}

// Discard takes a failed job out of FAILED for good; fault.NotFound when it is not there.
func (b *Bus) Discard(ctx context.Context, entry uint64) error {
	if _, err := b.FailedJob(ctx, entry); err != nil { // the server says of a message that is not there only that it could not be deleted
		return err
	}
	stream, err := b.js.Stream(ctx, events.StreamFailed)
	if err == nil {
		err = stream.DeleteMsg(ctx, entry)
	}
	if err != nil {
		return failedUnavailable(err)
	}
	return nil
}
