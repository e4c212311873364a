package bus

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// headerOnly names the one consumer that a fact is replayed for; the others let it pass.
const headerOnly = "only"

// replayed ends the identity of a job that was replayed: how often.
var replayed = regexp.MustCompile(`:r(\d+)$`)

// replayID gives the identity of the next replay of a job. It must differ from the job's own, which may still be in the queue's window of
// de-duplication, and it is the same for the same failed job, so that a replay that is asked for twice is one job.
func replayID(id string) string {
	if found := replayed.FindStringSubmatch(id); found != nil {
		if times, err := strconv.Atoi(found[1]); err == nil {
			return strings.TrimSuffix(id, found[0]) + ":r" + strconv.Itoa(times+1)
		}
	}
	return id + ":r1"
}

// inDoubt tells whether a replay was begun so long ago that the queue may not know any more whether it was published: its window of de-duplication,
// less what clocks may differ by.
func (r repair) inDoubt(job FailedJob) bool {
	window := commandDedupe
	if job.Stream == events.StreamEvents {
		window = factDedupe
	}
	return r.Replaying != "" && time.Since(r.at) > window-time.Minute
}

// Replay publishes a failed job anew, with its edited payload if it has one, and takes it out of FAILED. It gives the new job's identity.
//
// It publishes once, however often it is asked for and wherever it is interrupted. First the identity is written down, then the job is published under it,
// then the entry is deleted. Whoever comes to an entry with an identity publishes under the same one, which the queue knows: the second is dropped. After the
// queue's window of de-duplication nobody can know any more whether the first was published, so such a replay is fault.Conflict without force.
//
// It is fault.Conflict, too, when the job's class says that a replay is not safe, without force; and when a job with its subject is in the queue: running
// two of them would be worse than waiting. The queue itself sees to that, so two replays at the same moment cannot both be published.
func (q *FailedQueue) Replay(ctx context.Context, entry uint64, force bool) (id string, err error) {
	job, done, err := q.get(ctx, entry)
	if err != nil {
		return "", err
	}
	if err := mayReplay(job, done, force); err != nil {
		return "", err
	}
	m, err := replayMessage(job)
	if err != nil {
		return "", err
	}
	id = done.Replaying
	if id == "" || done.inDoubt(job) {
		id = replayID(orDefault(id, job.MessageID))
		next := done
		next.Replaying = id
		if err := q.repairs.write(ctx, entry, next); err != nil {
			return "", err
		}
	}
	m.Header.Set(jetstream.MsgIDHeader, id)
	if err := q.publishReplay(ctx, m, job); err != nil {
		return "", q.notReplayed(ctx, job, err)
	}
	return id, q.remove(ctx, entry)
}

// mayReplay tells whether a job may be replayed, and if not, why.
func mayReplay(job FailedJob, done repair, force bool) error {
	safe, why := job.ReplayAdvice()
	switch {
	case force:
		return nil
	case !safe:
		return fault.New(fault.Conflict, "replay_unsafe", fmt.Sprintf("A replay is not safe: %s. Ask for it with force if it is to be done all the same", why))
	case done.inDoubt(job):
		return fault.New(fault.Conflict, "replay_interrupted", "An earlier replay of this job was interrupted, and it may have run. "+
			"Look whether it did, then discard it, or ask for the replay with force")
	}
	return nil
}

// replayMessage makes the message of a replay, without its identity.
func replayMessage(job FailedJob) (*nats.Msg, error) {
	m := nats.NewMsg(job.Subject)
	m.Data = job.Payload
	for key, value := range job.Headers {
		m.Header.Set(key, value)
	}
	switch job.Stream {
	case events.StreamCommands:
	case events.StreamEvents:
		m.Header.Set(headerOnly, job.Consumer)
	default:
		return nil, fault.New(fault.Conflict, "not_a_job", "This entry is no job that could run again; discard it")
	}
	if job.Edit != nil {
		command, err := job.CheckPayload(job.Edit.Payload)
		if err != nil {
			return nil, err
		}
		m.Data = job.Edit.Payload
		m.Header.Set(headerKind, command.Kind())
		m.Header.Set(headerVersion, strconv.Itoa(command.SchemaVersion()))
	}
	return m, nil
}

// publishReplay publishes a command only when no other one with its subject is in the queue. A fact may stand beside others with its subject.
func (q *FailedQueue) publishReplay(ctx context.Context, m *nats.Msg, job FailedJob) error {
	if job.Stream != events.StreamCommands {
		return q.bus.publish(ctx, m)
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := q.bus.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(0))
	if !refused(err) {
		return q.bus.unpublished(m.Subject, err)
	}
	stream, err := q.bus.js.Stream(ctx, events.StreamCommands)
	if err != nil {
		return failedUnavailable(err)
	}
	switch active, err := stream.GetLastMsgForSubject(ctx, m.Subject); {
	case errors.Is(err, jetstream.ErrMsgNotFound): // It ended at this moment.
		return errJobActive()
	case err != nil:
		return failedUnavailable(err)
	case active.Header.Get(jetstream.MsgIDHeader) == m.Header.Get(jetstream.MsgIDHeader):
		return nil // The one in the queue is this replay.
	}
	return errJobActive()
}

func errJobActive() error {
	return fault.New(fault.Conflict, "job_active", "A job for the same thing is in the queue already; wait until it has ended")
}

// notReplayed takes the identity of a replay back that the queue surely refused. Otherwise it may have been published, and the identity stands.
func (q *FailedQueue) notReplayed(ctx context.Context, job FailedJob, err error) error {
	if fault.Of(err) != fault.Conflict {
		return err
	}
	done, failure := q.repairs.read(ctx, job.Entry)
	if failure == nil {
		done.Replaying = ""
		failure = q.repairs.write(ctx, job.Entry, done)
	}
	if failure != nil && fault.Of(failure) != fault.Conflict { // Else another replay of it is under way, and the identity is that one's.
		return errors.Join(err, failure)
	}
	return err
}

// Edit puts a payload in the place of a failed job's own, for its replay; the original stays in the entry. fault.Invalid with the reason when
// it is not what the job's subject carries, fault.Conflict while a replay is under way.
func (q *FailedQueue) Edit(ctx context.Context, entry uint64, payload []byte, by string) (FailedJob, error) {
	job, done, err := q.get(ctx, entry)
	if err != nil {
		return FailedJob{}, err
	}
	if done.Replaying != "" {
		return FailedJob{}, fault.New(fault.Conflict, "replay_interrupted", "A replay of this job was begun with the payload that it has; finish it first")
	}
	if _, err := job.CheckPayload(payload); err != nil {
		return FailedJob{}, err
	}
	job.Edit = &events.Edit{Payload: payload, By: by, At: time.Now().UTC().Truncate(time.Millisecond)}
	done.Edit = job.Edit
	return job, q.repairs.write(ctx, entry, done)
}

// Discard takes a failed job out of FAILED for good; fault.NotFound when it is not there.
func (q *FailedQueue) Discard(ctx context.Context, entry uint64) error {
	if _, err := q.Get(ctx, entry); err != nil { // The server says of a message that is not there only that it could not be deleted.
		return err
	}
	return q.remove(ctx, entry)
}

// remove deletes an entry and what was done to it, in this order: an entry that is gone is replayed by nobody.
func (q *FailedQueue) remove(ctx context.Context, entry uint64) error {
	stream, err := q.bus.js.Stream(ctx, events.StreamFailed)
	if err != nil {
		return failedUnavailable(err)
	}
	if err := stream.DeleteMsg(ctx, entry); err != nil {
		if _, missing := stream.GetMsg(ctx, entry); !errors.Is(missing, jetstream.ErrMsgNotFound) {
			return failedUnavailable(err)
		}
	}
	return q.repairs.forget(ctx, entry)
}
