package lease_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/lease"
)

// errUnreachable is what a link reports when its keeper gets no answer.
var errUnreachable = errors.New("no answer from the server")

// memory is a bucket as a JetStream server keeps it: keys expire by the age of their last write, in the server's time, a deleted key's
// marker takes a revision, and every write is conditional.
type memory struct {
	ttl time.Duration

	mu       sync.Mutex
	sequence uint64
	entries  map[string]entry
	watchers map[int]func(string)
}

type entry struct {
	value    []byte
	revision uint64
	stored   time.Time
	deleted  bool
}

func newMemory(ttl time.Duration) *memory {
	return &memory{ttl: ttl, entries: map[string]entry{}, watchers: map[int]func(string){}}
}

// last gives the key's last write that has not expired. The caller holds mu.
func (m *memory) last(key string) entry {
	last := m.entries[key]
	if time.Since(last.stored) >= m.ttl {
		return entry{deleted: true}
	}
	return last
}

func (m *memory) put(key string, value []byte, deleted bool) uint64 {
	m.sequence++
	m.entries[key] = entry{value: value, revision: m.sequence, stored: time.Now(), deleted: deleted}
	return m.sequence
}

func (m *memory) Create(_ context.Context, key string, value []byte) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.last(key).deleted {
		return 0, lease.ErrKeyExists
	}
	return m.put(key, value, false), nil
}

func (m *memory) Update(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.last(key); last.deleted || last.revision != revision {
		return 0, lease.ErrRevision
	}
	return m.put(key, value, false), nil
}

func (m *memory) Get(_ context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.last(key)
	if last.deleted {
		return nil, 0, lease.ErrKeyNotFound
	}
	return last.value, last.revision, nil
}

func (m *memory) Delete(_ context.Context, key string, revision uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.last(key); last.deleted || last.revision != revision {
		return lease.ErrRevision
	}
	m.put(key, nil, true)
	for _, freed := range m.watchers {
		freed(key)
	}
	return nil
}

func (m *memory) Watch(ctx context.Context, freed func(string)) error {
	m.mu.Lock()
	id := len(m.watchers)
	m.watchers[id] = freed
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	delete(m.watchers, id)
	m.mu.Unlock()
	return nil
}

// overwrite changes a key without asking for its revision, as an operator could.
func (m *memory) overwrite(key string, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(key, value, false)
}

// trouble says what happens to one exchange between a keeper and the bucket.
type trouble struct {
	// before passes until the request reaches the bucket, after until the answer is read.
	before, after time.Duration
	// dropped: the request never arrives. unanswered: it arrives, its answer does not.
	dropped, unanswered bool
	// frozen: the keeper's process stands still meanwhile, so that its own time-outs do not end the wait.
	frozen bool
}

// link is one keeper's way to the bucket. Trouble is asked for each exchange; nil: none.
type link struct {
	*memory

	// wires are the requests under way.
	wires sync.WaitGroup

	mu      sync.Mutex
	trouble func() trouble
}

func (l *link) set(trouble func() trouble) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = trouble
}

func (l *link) next() trouble {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble == nil {
		return trouble{}
	}
	return l.trouble()
}

// exchange carries out one request under the link's present trouble. The request goes its own way, as on a wire: the keeper's time-out
// does not take it back.
func exchange[T any](ctx context.Context, l *link, request func() (T, error)) (T, error) {
	var zero T
	trouble := l.next()
	if trouble.frozen {
		ctx = context.WithoutCancel(ctx)
	}
	type answer struct {
		result T
		err    error
	}
	answers := make(chan answer, 1)
	if !trouble.dropped {
		l.wires.Go(func() {
			<-time.After(trouble.before)
			result, err := request()
			<-time.After(trouble.after)
			if !trouble.unanswered {
				answers <- answer{result, err}
			}
		})
	}
	select {
	case a := <-answers:
		return a.result, a.err
	case <-ctx.Done():
		return zero, errors.Join(errUnreachable, ctx.Err())
	}
}

func (l *link) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return exchange(ctx, l, func() (uint64, error) { return l.memory.Create(ctx, key, value) })
}

func (l *link) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return exchange(ctx, l, func() (uint64, error) { return l.memory.Update(ctx, key, value, revision) })
}

func (l *link) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	type found struct {
		value    []byte
		revision uint64
	}
	f, err := exchange(ctx, l, func() (found, error) {
		value, revision, err := l.memory.Get(ctx, key)
		return found{value, revision}, err
	})
	return f.value, f.revision, err
}

func (l *link) Delete(ctx context.Context, key string, revision uint64) error {
	_, err := exchange(ctx, l, func() (struct{}, error) { return struct{}{}, l.memory.Delete(ctx, key, revision) })
	return err
}
