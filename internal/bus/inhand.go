package bus

import (
	"context"
	"fmt"
)

// InHand tells how many jobs a durable consumer has given out that are not settled, over the whole fleet, as the server counts them. One that
// waits for its next attempt counts.
func (b *Bus) InHand(ctx context.Context, name string) (int, error) {
	c, err := b.consumer(name)
	if err != nil {
		return 0, err
	}
	found, err := b.js.Consumer(ctx, c.stream, c.name)
	if err != nil {
		return 0, fmt.Errorf("look at consumer %s: %w", name, err)
	}
	return found.CachedInfo().NumAckPending, nil
}
