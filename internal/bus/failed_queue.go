package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unique"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// FailedQueue is what operators do with FAILED: find, look at, edit, replay and discard jobs that the workers gave up.
//
// FAILED is a log, which JetStream can read by number only. So a FailedQueue remembers of each entry what it is found by, not its payload, and
// brings that up to date with the stream before each answer: it reads what is new, and forgets what the stream no longer has, whoever removed it.
// Equal texts are kept once: thousands of jobs fail for one reason.
type FailedQueue struct {
	bus     *Bus
	repairs *repairs

	mu sync.Mutex
	// made is when the stream was made, seen the last entry that was read; entries has what the stream has up to there, in its order.
	made    time.Time
	seen    uint64
	entries []FailedJob
}

// NewFailedQueue makes a FailedQueue; it reads nothing until it is asked.
func (b *Bus) NewFailedQueue() *FailedQueue {
	return &FailedQueue{bus: b, repairs: &repairs{bus: b}}
}

// errNoFailedJob answers for an entry that is not there: it was replayed, discarded, or is older than FAILED keeps.
func errNoFailedJob() error {
	return fault.New(fault.NotFound, "no_failed_job", "There is no such failed job; it may have been replayed or discarded")
}

func failedUnavailable(err error) error {
	return fault.Wrap(fmt.Errorf("read failed jobs: %w", err), fault.RetryLater, "queue_unavailable", "The failed jobs could not be read; try again")
}

// List gives failed jobs in the order in which they were given up, from the one behind an entry on, at most limit of them, without payloads and headers. next is
// the entry to go on behind; zero when there is nothing more.
func (q *FailedQueue) List(ctx context.Context, filter events.FailedFilter, after uint64, limit int) (jobs []FailedJob, next uint64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.refresh(ctx); err != nil {
		return nil, 0, failedUnavailable(err)
	}
	from, _ := slices.BinarySearchFunc(q.entries, after+1, byEntry)
	for _, job := range q.entries[from:] {
		if !filter.Takes(job) {
			continue
		}
		if len(jobs) == limit {
			return jobs, jobs[limit-1].Entry, nil
		}
		jobs = append(jobs, job)
	}
	return jobs, 0, nil
}

// Stats counts failed jobs by kind and class, the largest group first.
func (q *FailedQueue) Stats(ctx context.Context, filter events.FailedFilter) ([]events.FailedGroup, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.refresh(ctx); err != nil {
		return nil, failedUnavailable(err)
	}
	type name struct {
		kind  string
		class fault.Class
	}
	places := map[name]int{}
	var groups []events.FailedGroup
	for _, job := range q.entries {
		if !filter.Takes(job) {
			continue
		}
		place, known := places[name{job.Kind, job.LastError.Class}]
		if !known {
			place = len(groups)
			places[name{job.Kind, job.LastError.Class}] = place
			groups = append(groups, events.FailedGroup{Kind: job.Kind, Class: job.LastError.Class, Oldest: job.FailedAt, Newest: job.FailedAt})
		}
		group := &groups[place]
		group.Count++
		group.Last = job.Entry
		group.Oldest, group.Newest = earlier(group.Oldest, job.FailedAt), later(group.Newest, job.FailedAt)
	}
	slices.SortStableFunc(groups, func(a, b events.FailedGroup) int { return b.Count - a.Count })
	return groups, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func byEntry(job FailedJob, entry uint64) int { return cmp.Compare(job.Entry, entry) }

// refresh makes what is remembered equal to the stream.
func (q *FailedQueue) refresh(ctx context.Context) error {
	stream, err := q.bus.js.Stream(ctx, events.StreamFailed)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	if !info.Created.Equal(q.made) || info.State.LastSeq < q.seen { // Another stream of this name, or an older copy of it.
		q.made, q.seen, q.entries = info.Created, 0, nil
	}
	if info.State.LastSeq > q.seen {
		if err := q.read(ctx, stream, info.State.LastSeq); err != nil {
			return err
		}
	}
	first, _ := slices.BinarySearchFunc(q.entries, info.State.FirstSeq, byEntry)
	q.entries = q.entries[first:]
	if uint64(len(q.entries)) == info.State.Msgs { // #nosec G115 -- a length
		return nil
	}
	detailed, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return err
	}
	gone := map[uint64]bool{}
	for _, entry := range detailed.State.Deleted {
		gone[entry] = true
	}
	q.entries = slices.DeleteFunc(q.entries, func(job FailedJob) bool { return gone[job.Entry] || job.Entry < detailed.State.FirstSeq })
	return nil
}

// readBatch is how many entries one request brings.
const readBatch = 256

// read reads the entries behind the last one that was seen, up to another one.
func (q *FailedQueue) read(ctx context.Context, stream jetstream.Stream, last uint64) error {
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: q.seen + 1, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, InactiveThreshold: time.Minute, Replicas: 1,
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := detached(ctx, confirmTimeout)
		defer cancel()
		_ = stream.DeleteConsumer(ctx, consumer.CachedInfo().Name) // Else the server does, after its InactiveThreshold.
	}()
	for left := consumer.CachedInfo().NumPending; left > 0; {
		batch, err := consumer.Fetch(int(min(left, readBatch)), jetstream.FetchMaxWait(publishTimeout)) // #nosec G115 -- at most readBatch
		if err != nil {
			return err
		}
		read := uint64(0)
		for m := range batch.Messages() {
			if err := q.remember(m); err != nil {
				return err
			}
			read++
		}
		if err := batch.Error(); err != nil {
			return err
		}
		if read == 0 {
			return fmt.Errorf("%d entries did not come in time", left)
		}
		left -= min(left, read)
	}
	q.seen = max(q.seen, last)
	return nil
}

// remember keeps of an entry what it is found and listed by.
func (q *FailedQueue) remember(m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	job := decodeFailed(m.Subject(), meta.Sequence.Stream, meta.Timestamp, m.Data())
	job.Payload, job.Headers = nil, nil
	for _, text := range []*string{&job.Subject, &job.Stream, &job.Consumer, &job.Kind, &job.SessionID, &job.CampaignID, &job.Worker,
		&job.FirstError.Code, &job.FirstError.Message, &job.FirstError.Detail, &job.LastError.Code, &job.LastError.Message, &job.LastError.Detail} {
		*text = unique.Make(*text).Value()
	}
	q.entries = append(q.entries, job)
	q.seen = job.Entry
	return nil
}

// decodeFailed reads an entry. One that another program wrote and that is no failed job is shown as it stands, so that it can be discarded.
func decodeFailed(subject string, entry uint64, at time.Time, data []byte) FailedJob {
	var job FailedJob
	if err := json.Unmarshal(data, &job); err != nil {
		failure := *failureOf(fault.Wrap(err, fault.Poison, "foreign_entry", "This is no failed job of ours; discard it"), at)
		job = FailedJob{Subject: subject, Payload: data, FailedAt: failure.At, FirstError: failure, LastError: failure}
	}
	job.Entry = entry
	return job
}

// Get gives one failed job with its payload, its headers and the edit, if there is one; fault.NotFound when there is none with this entry.
func (q *FailedQueue) Get(ctx context.Context, entry uint64) (FailedJob, error) {
	job, _, err := q.get(ctx, entry)
	return job, err
}

func (q *FailedQueue) get(ctx context.Context, entry uint64) (FailedJob, repair, error) {
	if entry == 0 { // JetStream counts from 1, and takes a 0 for a request that is not understood.
		return FailedJob{}, repair{}, errNoFailedJob()
	}
	stream, err := q.bus.js.Stream(ctx, events.StreamFailed)
	if err != nil {
		return FailedJob{}, repair{}, failedUnavailable(err)
	}
	m, err := stream.GetMsg(ctx, entry)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return FailedJob{}, repair{}, errNoFailedJob()
	}
	if err != nil {
		return FailedJob{}, repair{}, failedUnavailable(err)
	}
	job := decodeFailed(m.Subject, m.Sequence, m.Time, m.Data)
	done, err := q.repairs.read(ctx, entry)
	job.Edit = done.Edit
	return job, done, err
}
