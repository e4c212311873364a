package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// Prompts holds what a person has to see to go on with a link, in the memory-only bucket "qr". A prompt is a secret: it is in no log and no error,
// and it disappears by itself.
type Prompts struct {
	bucket *Bucket
}

// Prompts opens the prompts.
func (b *Bus) Prompts(ctx context.Context) (*Prompts, error) {
	bucket, err := b.Bucket(ctx, BucketQR)
	if err != nil {
		return nil, err
	}
	return &Prompts{bucket: bucket}, nil
}

// prompt is session.Prompt on the wire.
type prompt struct {
	LinkID   string    `json:"link_id"`
	QR       string    `json:"qr,omitempty"`
	Code     string    `json:"code,omitempty"`
	Passkey  []byte    `json:"passkey,omitempty"`
	Index    int       `json:"index,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"`
}

// Show replaces the prompt of a session.
func (p *Prompts) Show(ctx context.Context, id session.ID, shown session.Prompt) error {
	value, err := json.Marshal(prompt(shown))
	if err == nil {
		_, err = p.bucket.Put(ctx, string(id), value)
	}
	if err != nil {
		return fmt.Errorf("show the prompt of %s: %w", id, err)
	}
	return nil
}

// Get gives the prompt of a session; found is false when there is none.
func (p *Prompts) Get(ctx context.Context, id session.ID) (shown session.Prompt, found bool, err error) {
	value, _, err := p.bucket.Get(ctx, string(id))
	if errors.Is(err, ErrMissing) {
		return session.Prompt{}, false, nil
	}
	var stored prompt
	if err == nil && json.Unmarshal(value, &stored) != nil {
		err = errors.New("it is not understood") // The decoder's own error could quote the secret.
	}
	if err != nil {
		return session.Prompt{}, false, fmt.Errorf("read the prompt of %s: %w", id, err)
	}
	return session.Prompt(stored), true, nil
}

// Clear removes the prompt of a session; no error when there is none.
func (p *Prompts) Clear(ctx context.Context, id session.ID) error {
	if err := p.bucket.Remove(ctx, string(id)); err != nil {
		return fmt.Errorf("clear the prompt of %s: %w", id, err)
	}
	return nil
}
