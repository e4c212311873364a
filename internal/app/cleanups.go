package app

import (
	"errors"
	"fmt"
	"log/slog"
)

// cleanups are run last in, first out, so that each part is closed before what it stands on.
type cleanups struct {
	named []namedCleanup
}

type namedCleanup struct {
	name string
	run  func() error
}

func (c *cleanups) add(name string, run func() error) {
	c.named = append(c.named, namedCleanup{name, run})
}

// run closes everything, also when one of them fails.
func (c *cleanups) run(log *slog.Logger) error {
	var failures []error
	for i := len(c.named) - 1; i >= 0; i-- {
		log.Debug("closing", "part", c.named[i].name)
		if err := c.named[i].run(); err != nil {
			failures = append(failures, fmt.Errorf("close %s: %w", c.named[i].name, err))
		}
	}
	return errors.Join(failures...)
}
