package linker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Commands publishes link jobs.
type Commands interface {
	SendCommand(ctx context.Context, command events.Command) error
	// Waiting tells whether a command with this subject is in the queue, in a worker's hands, or given up and waiting for an operator.
	Waiting(ctx context.Context, subject string) (bool, error)
}

const (
	// callEvery is how often the lines are looked at when nothing is said about them. It bounds how late a link begins whose turn comes by time.
	callEvery = 2 * time.Second
	// keepHouseEvery is how often numbers are forgotten that do not cool down any more, and the spacing is said that this linker keeps.
	keepHouseEvery = time.Hour
	// abandonedAfter is how long the first of a line may stay untouched, while nothing holds it up, before it is ended: its job was given up, and
	// the person who waits should hear of it. A job that is only late finds its link ended and does nothing.
	abandonedAfter = time.Hour
)

// Run calls the links whose turn has come: it publishes the job of the first in the line of each egress that is free, when that has no job. Several
// linkers may do so at once, as each finds the same and publishes the same message. It blocks until the context ends.
func (l *Linker) Run(ctx context.Context) error {
	nudges := make(chan struct{}, 1)
	stop, err := l.options.Watcher.Watch(ctx, "events.session.*.link", func(string, []byte) {
		select {
		case nudges <- struct{}{}:
		default: // it is going to look anyway
		}
	})
	switch {
	case ctx.Err() != nil: // stopped before it had begun
		if err == nil {
			stop()
		}
		return nil
	case err != nil:
		return fmt.Errorf("watch links: %w", err)
	}
	defer stop()
	ticker := time.NewTicker(callEvery)
	defer ticker.Stop()
	var kept time.Time
	for {
		err := l.call(ctx)
		if time.Since(kept) >= keepHouseEvery {
			kept = time.Now()
			err = errors.Join(err, l.options.Limits.SetSpacing(ctx, l.options.Timing.Spacing), l.options.Limits.Prune(ctx))
		}
		if err != nil && ctx.Err() == nil {
			l.options.Log.WarnContext(ctx, "waiting links could not be called and are looked at again", "class", fault.Of(err).Label(), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-nudges:
		case <-ticker.C:
		}
	}
}

// call looks at every line once.
func (l *Linker) call(ctx context.Context) error {
	found, err := session.ListAll(ctx, l.options.Sessions, session.Filter{States: []session.State{session.Linking}})
	if err != nil {
		return fmt.Errorf("look for waiting links: %w", err)
	}
	waiting := 0
	var failed error
	for egress, line := range session.Lines(found) {
		waiting += len(line)
		if err := l.callLine(ctx, egress, line); err != nil {
			failed = errors.Join(failed, fmt.Errorf("call the links of an egress: %w", err))
		}
	}
	l.metrics.waiting.Set(float64(waiting))
	return failed
}

// callLine calls the first link of a line that may begin. One that does not begin although it could holds the others up for a while only.
func (l *Linker) callLine(ctx context.Context, id string, line session.Line) error {
	egress, err := l.options.Turns.Egress(ctx, id)
	if err != nil {
		return err
	}
	now := time.Now()
	spacing := l.options.Timing.Spacing
	for _, s := range line {
		if at, why := egress.FreeFor(s.Link.ID, spacing, now); why != session.ReasonNone && now.Before(at) {
			return nil
		}
		called, err := l.callOne(ctx, s)
		if called || err != nil {
			return err
		}
		if egress.KeepsOrder(spacing, now) {
			return nil
		}
		if now.Sub(s.UpdatedAt) > abandonedAfter {
			if err := l.abandon(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// callOne publishes the job of a link that has none. It gives false when there is one: in the queue, in work, or given up.
func (l *Linker) callOne(ctx context.Context, s session.Session) (bool, error) {
	job := again(s)
	waiting, err := l.options.Commands.Waiting(ctx, job.Subject())
	if waiting || err != nil {
		return false, err
	}
	if time.Since(s.UpdatedAt) < lostAfter && s.Link.State == session.LinkQueued && s.UpdatedAt.Equal(s.Link.QueuedAt) {
		return true, nil // its first job is being published just now
	}
	if err := l.options.Commands.SendCommand(ctx, job); err != nil {
		return false, err
	}
	l.options.Log.InfoContext(ctx, "link called", "session", string(s.ID), "link", s.Link.ID)
	return true, nil
}

// lostAfter is how long the API may take to publish the job of a link that it has stored, before it counts as lost.
const lostAfter = 10 * time.Second

// abandon ends a link that nobody works on.
func (l *Linker) abandon(ctx context.Context, s session.Session) error {
	work := newAttempt(l, again(s), s)
	defer work.stop()
	work.log.WarnContext(ctx, "link ended: nobody works on it")
	return ended(work.step(ctx, session.LinkEvent{Kind: session.EventFailed, Reason: session.ReasonInternal}))
}
