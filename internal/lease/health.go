package lease

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// round is one turn of the loop that renews the leases.
type round struct {
	at  time.Time
	err error
}

// Health tells whether the loop goes round and its last renewals succeeded. A worker without that loses its sessions.
func (k *Keeper) Health(context.Context) error {
	last := k.last.Load()
	if last == nil {
		return errors.New("the loop of the leases has not begun")
	}
	if age := time.Since(last.at); age > k.ttl {
		return fmt.Errorf("the loop of the leases has stood still for %s", age.Round(time.Second))
	}
	if last.err != nil {
		return fmt.Errorf("renew the leases: %w", last.err)
	}
	return nil
}
