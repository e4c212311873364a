package feed

import (
	"context"
	"errors"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

const (
	// takenAtOnce bounds the facts that one Take gives.
	takenAtOnce = 128
	// openTimeout bounds how long a reader waits to be opened.
	openTimeout = 5 * time.Second
)

// What ends a reader; from its Position it may be opened again.
var (
	// ErrTooSlow: it fell behind what is held.
	ErrTooSlow = errors.New("the reader is too slow")
	// ErrOtherLog: the log was made anew, or put back to what it was before.
	ErrOtherLog = errors.New("the log is another one")

	errNotHeld = errors.New("not held any more")
)

// Wants tells whether a reader wants a fact, and may see it.
type Wants func(context.Context, *Fact) (bool, error)

// Gap says that facts behind After are gone, and that what comes next is from First on.
type Gap struct{ After, First uint64 }

// Batch is what a reader has next: a gap, if there is one, before the facts.
type Batch struct {
	Gap   *Gap
	Facts []*Fact
	// More: there may be more at once.
	More bool
}

// Reader is a place in the log and what it wants there. It is used by one goroutine, and needs no closing.
type Reader struct {
	feed    *Feed
	wants   Wants
	place   uint64
	edition int
	gap     *Gap
	// live: it had everything that was held at some time.
	live bool
}

// Open makes a reader of the facts behind a sequence; nil: of those from now on.
func (f *Feed) Open(ctx context.Context, wants Wants, after *uint64) (*Reader, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	select {
	case <-f.started:
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.RetryLater, "queue_unavailable", "The events cannot be followed yet; try again")
	}
	f.mu.RLock()
	r := &Reader{feed: f, wants: wants, edition: f.edition}
	f.mu.RUnlock()
	span, err := f.options.Log.FactSpan(ctx)
	switch {
	case err != nil:
		return nil, err
	case after == nil:
		r.place = span.Last
	case *after > span.Last: // It is from another log.
		r.place, r.gap = span.Last, &Gap{After: *after, First: span.Last + 1}
	default:
		r.place = *after
	}
	return r, nil
}

// Position is the sequence up to which the reader has seen everything that it wants.
func (r *Reader) Position() uint64 { return r.place }

// Changed is closed when there is something new. It is asked for before Take, so that nothing is missed between the two.
func (r *Reader) Changed() <-chan struct{} {
	r.feed.mu.RLock()
	defer r.feed.mu.RUnlock()
	return r.feed.changed
}

// Take gives what is next; nothing, when there is nothing yet. ErrTooSlow and ErrOtherLog end the reader; another error leaves it where it was.
func (r *Reader) Take(ctx context.Context) (Batch, error) {
	if gap := r.gap; gap != nil {
		r.gap = nil
		return Batch{Gap: gap, More: true}, nil
	}
	facts, next, err := r.feed.after(r.edition, r.place)
	switch {
	case errors.Is(err, errNotHeld) && r.live:
		return Batch{}, ErrTooSlow
	case errors.Is(err, errNotHeld):
		return r.catchUp(ctx)
	case err != nil:
		return Batch{}, err
	}
	more := len(facts) == takenAtOnce
	wanted, err := r.wanted(ctx, facts)
	if err != nil {
		return Batch{}, err
	}
	r.place, r.live = next, r.live || !more
	return Batch{Facts: wanted, More: more}, nil
}

// catchUp reads the log.
func (r *Reader) catchUp(ctx context.Context) (Batch, error) {
	select {
	case r.feed.reading <- struct{}{}:
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	}
	recorded, span, err := r.feed.options.Log.ReadFacts(ctx, r.place, takenAtOnce)
	<-r.feed.reading
	if err != nil {
		return Batch{}, err
	}
	batch, next := Batch{More: true}, max(r.place, span.Last)
	if span.First > r.place+1 {
		batch.Gap = &Gap{After: r.place, First: span.First}
	}
	facts := make([]*Fact, len(recorded))
	for i := range recorded {
		facts[i] = r.feed.fact(recorded[i])
		next = facts[i].Sequence
	}
	if batch.Facts, err = r.wanted(ctx, facts); err != nil {
		return Batch{}, err
	}
	r.place = next
	return batch, nil
}

// wanted keeps, of its own list, the facts that are wanted.
func (r *Reader) wanted(ctx context.Context, facts []*Fact) ([]*Fact, error) {
	wanted := facts[:0]
	for _, fact := range facts {
		if fact.Encoded == nil {
			continue
		}
		wants, err := r.wants(ctx, fact)
		if err != nil {
			return nil, err
		}
		if wants {
			wanted = append(wanted, fact)
		}
	}
	return wanted, nil
}
