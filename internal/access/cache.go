package access

import (
	"sync"
	"time"
)

const (
	// Fresh is how long what was read of a key, a login or a link token is believed. It is how long a revocation takes to hold in every process; the
	// process that revokes does not wait.
	Fresh = 2 * time.Second
	// mostCached bounds the memory that texts of strangers can take.
	mostCached = 10_000
)

// cache remembers for a short while what was read, also that there was nothing.
type cache[T any] struct {
	mu     sync.Mutex
	known  map[string]remembered[T]
	rounds int
}

type remembered[T any] struct {
	value T
	found bool
	until time.Time
}

func (c *cache[T]) get(name string, at time.Time) (value T, found, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, known := c.known[name]
	if !known || !at.Before(entry.until) {
		return value, false, false
	}
	return entry.value, entry.found, true
}

// round changes with each forget: what was read before it is not remembered behind it.
func (c *cache[T]) round() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rounds
}

func (c *cache[T]) put(name string, entry remembered[T], round int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if round != c.rounds {
		return
	}
	if c.known == nil || len(c.known) >= mostCached {
		c.known = map[string]remembered[T]{}
	}
	c.known[name] = entry
}

func (c *cache[T]) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds++
	delete(c.known, name)
}
