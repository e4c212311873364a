package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// ErrHeld: another worker holds the lease, or this one has not released it yet.
var ErrHeld = errors.New("lease held")

// ErrStopped: the keeper stopped; this worker gets no leases any more.
var ErrStopped = errors.New("lease keeper stopped")

// HeldError says who holds a lease that was asked for. It matches ErrHeld.
type HeldError struct {
	Session session.ID
	// Worker is the holder's name; empty when the holder changed while it was asked for.
	Worker string
	// Since is when the holder claimed it, by the holder's clock.
	Since time.Time
}

// Error names the session and its holder.
func (e *HeldError) Error() string {
	if e.Worker == "" {
		return fmt.Sprintf("lease of %s is changing hands", e.Session)
	}
	return fmt.Sprintf("lease of %s is held by %s since %s", e.Session, e.Worker, e.Since.UTC().Format(time.RFC3339))
}

// Unwrap gives ErrHeld.
func (e *HeldError) Unwrap() error { return ErrHeld }

// holder is the value of a key. Instance names the run of a worker's process and Claim counts its claims, so that a key left by a write of
// ours that had no answer is known from everybody else's, and from our own later ones.
type holder struct {
	Worker   string    `json:"worker"`
	Instance string    `json:"instance"`
	Claim    uint64    `json:"claim"`
	Since    time.Time `json:"since"`
}

// encode cannot fail: a holder has only strings, a number and a time of this century.
func (h holder) encode() []byte {
	value, _ := json.Marshal(h)
	return value
}

// decodeHolder reads a key's value. A value that it cannot read belongs to nobody that we know, and is respected all the same.
func decodeHolder(value []byte) holder {
	var h holder
	if err := json.Unmarshal(value, &h); err != nil {
		return holder{Worker: "unknown"}
	}
	return h
}
