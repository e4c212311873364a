package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
)

// Waiting tells whether a command with this subject exists: in the queue, in a worker's hands, or given up in FAILED, where it waits for an
// operator. Who finds none may publish it anew.
func (b *Bus) Waiting(ctx context.Context, subject string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	for stream, name := range map[string]string{events.StreamCommands: subject, events.StreamFailed: "failed." + subject} {
		found, err := b.holds(ctx, stream, name)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (b *Bus) holds(ctx context.Context, stream, subject string) (bool, error) {
	opened, err := b.js.Stream(ctx, stream)
	if err == nil {
		_, err = opened.GetLastMsgForSubject(ctx, subject)
	}
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	}
	return false, fmt.Errorf("look for %s in %s: %w", subject, stream, err)
}
