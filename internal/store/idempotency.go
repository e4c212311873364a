package store

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// IdempotencyExpiry is how long an answer is remembered after its request began.
const IdempotencyExpiry = 24 * time.Hour

// IdempotencyPatience is how long a request may be in progress before its process counts as dead: from then on the same request may
// begin again. It is longer than the largest upload takes.
const IdempotencyPatience = 10 * time.Minute

// ErrIdempotencyReused: the key came before with another request.
var ErrIdempotencyReused = fault.New(fault.Conflict, "idempotency_key_reused",
	"This Idempotency-Key was used for a different request; send a new key with a new request")

// ErrIdempotencyInProgress: the first request with this key has no answer yet.
var ErrIdempotencyInProgress = fault.New(fault.Conflict, "idempotency_in_progress",
	"A request with this Idempotency-Key is in progress; repeat it a little later to get its answer")

// Saved is the answer of a finished request, to be given again.
type Saved struct {
	// Status is the HTTP status, ContentType the value of that header.
	Status      int
	ContentType string
	Body        []byte
}

// Idempotency remembers the answers of requests that carry an Idempotency-Key, so that a client that lost an answer repeats its request
// and gets the same answer instead of a second effect. The adapters are in internal/store/...; store/storetest says how they behave.
//
// A key is what the caller of this port makes of the client and its header: two clients with the same header must give two keys, so the
// client's identity is part of it, joined in a way that no two pairs share. A fingerprint is a digest of everything that makes the request what it is
// (method, path, body).
type Idempotency interface {
	// Begin takes a key for a request that starts now. A nil answer says: go on, and call Finish or Release. An answer says: give this
	// one again and do nothing. Of two calls at once only one goes on. Errors: ErrIdempotencyReused, ErrIdempotencyInProgress.
	Begin(ctx context.Context, key, fingerprint string, at time.Time) (*Saved, error)
	// Finish stores the answer; the first one stands. ErrNotFound when the key was never begun, or was released or expired.
	Finish(ctx context.Context, key string, answer Saved) error
	// Release gives up a key whose request had no effect (it was refused, or may be tried again), so that the next request begins anew.
	// A key that is finished or does not exist stays as it is.
	Release(ctx context.Context, key string) error
}

// Request is what a store knows of a key. Its answer has no status until it is finished.
type Request struct {
	Fingerprint string
	BegunAt     time.Time
	Answer      Saved
}

// Verdict says what a request gets that comes again at a time; neither an answer nor an error: it begins anew. It is the rule of
// Idempotency.Begin, which every adapter follows.
func (r Request) Verdict(fingerprint string, at time.Time) (*Saved, error) {
	age := at.Sub(r.BegunAt)
	switch {
	case age >= IdempotencyExpiry:
		return nil, nil
	case r.Fingerprint != fingerprint:
		return nil, ErrIdempotencyReused
	case r.Answer.Status != 0:
		return &r.Answer, nil
	case age < IdempotencyPatience:
		return nil, ErrIdempotencyInProgress
	}
	return nil, nil
}

// CheckRequest refuses what is no request.
func CheckRequest(key, fingerprint string, at time.Time) error {
	if key == "" || fingerprint == "" || at.IsZero() {
		return fault.New(fault.Invalid, "bad_idempotency_key", "An idempotent request needs a key, a fingerprint and a time")
	}
	return nil
}

// CheckAnswer refuses an answer that would not count as one.
func CheckAnswer(answer Saved) error {
	if answer.Status == 0 {
		return fault.New(fault.Invalid, "bad_answer", "A finished request has a status")
	}
	return nil
}
