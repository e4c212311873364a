package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dannsalud/broadcaster/internal/session"
)

// Answers carries what a person gave for a prompt to the linker that asked, in the memory-only bucket "answers". An answer can open an account: it is
// in no log and no error, it is taken once, and it disappears by itself.
type Answers struct {
	bucket *Bucket
}

// Answers opens the answers.
func (b *Bus) Answers(ctx context.Context) (*Answers, error) {
	bucket, err := b.Bucket(ctx, BucketAnswers)
	if err != nil {
		return nil, err
	}
	return &Answers{bucket: bucket}, nil
}

// answer is session.Answer on the wire.
type answer struct {
	LinkID  string `json:"link_id"`
	Passkey []byte `json:"passkey,omitempty"`
}

// Give leaves an answer for the linker of a session, in place of an earlier one.
func (a *Answers) Give(ctx context.Context, id session.ID, given session.Answer) error {
	value, err := json.Marshal(answer(given))
	if err == nil {
		_, err = a.bucket.Put(ctx, string(id), value)
	}
	if err != nil {
		return fmt.Errorf("give the answer for %s: %w", id, err)
	}
	return nil
}

// Take gives the answer for a session and removes it; found is false when there is none.
func (a *Answers) Take(ctx context.Context, id session.ID) (taken session.Answer, found bool, err error) {
	value, _, err := a.bucket.Get(ctx, string(id))
	if errors.Is(err, ErrMissing) {
		return session.Answer{}, false, nil
	}
	var stored answer
	if err == nil && json.Unmarshal(value, &stored) != nil {
		err = errors.New("it is not understood") // The decoder's own error could quote the secret.
	}
	if err == nil {
		err = a.bucket.Remove(ctx, string(id))
	}
	if err != nil {
		return session.Answer{}, false, fmt.Errorf("take the answer for %s: %w", id, err)
	}
	return session.Answer(stored), true, nil
}
