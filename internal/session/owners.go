package session

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/dannsalud/broadcaster/internal/store"
)

// maxOwners bounds how many sessions' users are remembered.
const maxOwners = 10_000

// Owners tells whose sessions are, and remembers it: a session never changes its user, and its id is never given again.
type Owners struct {
	get func(context.Context, ID) (Session, error)

	mu    sync.Mutex
	known map[ID]string
}

// NewOwners makes one that asks get (Store.Get) for what it does not remember.
func NewOwners(get func(context.Context, ID) (Session, error)) *Owners {
	return &Owners{get: get, known: map[ID]string{}}
}

// Of gives the user of a session; empty: nobody's any more.
func (o *Owners) Of(ctx context.Context, id ID) (string, error) {
	o.mu.Lock()
	user, known := o.known[id]
	o.mu.Unlock()
	if known || id == "" {
		return user, nil
	}
	found, err := o.get(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("find whose session %s is: %w", id, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.known) >= maxOwners {
		clear(o.known)
	}
	o.known[id] = found.UserID
	return found.UserID, nil
}
