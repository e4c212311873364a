package pace

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Bucket is the port to the keys of pacing, shared by all workers and kept over restarts. Conditional writes name the revision that they replace.
// internal/bus implements it over NATS KV.
//
// An error that is none of the sentinels below leaves the outcome of a write open. Every change made here may be made twice.
type Bucket interface {
	// Create writes a key that does not exist; ErrChanged when it does.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Update writes a key that is at the given revision; else ErrChanged, also when the key does not exist.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Get reads a key; ErrMissing when it does not exist.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Delete removes a key that is at the given revision; else ErrChanged.
	Delete(ctx context.Context, key string, revision uint64) error
	// Keys lists the keys that exist, in no order.
	Keys(ctx context.Context) ([]string, error)
}

var (
	// ErrChanged: another worker wrote the key meanwhile.
	ErrChanged = errors.New("key was changed meanwhile")
	// ErrMissing: the key does not exist.
	ErrMissing = errors.New("key does not exist")
)

// Memory is a Bucket in this process's memory, for what has no queue to share: tests. Its zero value is empty.
type Memory struct {
	mu       sync.Mutex
	revision uint64
	entries  map[string]memoryEntry
}

type memoryEntry struct {
	value    []byte
	revision uint64
}

// Create implements Bucket.
func (m *Memory) Create(_ context.Context, key string, value []byte) (uint64, error) {
	return m.write(key, value, 0)
}

// Update implements Bucket.
func (m *Memory) Update(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return 0, ErrChanged
	}
	return m.write(key, value, revision)
}

func (m *Memory) write(key string, value []byte, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[key].revision != revision {
		return 0, ErrChanged
	}
	if m.entries == nil {
		m.entries = map[string]memoryEntry{}
	}
	m.revision++
	m.entries[key] = memoryEntry{value: slices.Clone(value), revision: m.revision}
	return m.revision, nil
}

// Get implements Bucket.
func (m *Memory) Get(_ context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.entries[key]
	if !ok {
		return nil, 0, ErrMissing
	}
	return slices.Clone(found.value), found.revision, nil
}

// Delete implements Bucket.
func (m *Memory) Delete(_ context.Context, key string, revision uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if revision == 0 || m.entries[key].revision != revision {
		return ErrChanged
	}
	delete(m.entries, key)
	return nil
}

// Keys implements Bucket.
func (m *Memory) Keys(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.entries)), nil
}
