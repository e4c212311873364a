// Package feed gives the facts of EVENTS to many readers in one process, each in order, without a gap and without a repetition.
//
// Nouns: Feed (follows the log once, for everybody, and holds its latest facts), Fact (one of them, encoded once for all its readers), Reader (a
// place in the log and what it wants), Log (the port).
//
// A reader owns neither a goroutine nor a buffer: it takes what is behind its place from what the feed holds. Where the feed does not reach back that
// far, it reads the log until it does. So there is one place, whatever is read, and no seam between old facts and new ones. A reader that has
// caught up once and then falls behind what is held is too slow, and is told so: the feed waits for nobody.
//
// Caller: internal/api. It must never know how facts are transported or shown, nor who may see them, and keeps nothing that the log does not have.
package feed

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// Log is the log of facts.
type Log interface {
	// FactSpan tells which facts there are.
	FactSpan(ctx context.Context) (events.Span, error)
	// ReadFacts gives the first facts behind a sequence, at most limit, and what there is. None: there is none up to the span's last.
	ReadFacts(ctx context.Context, after uint64, limit int) ([]events.Recorded, events.Span, error)
	// FollowFacts calls take with every fact behind a sequence, in order and each once, until the context ends (nil) or it cannot go on.
	FollowFacts(ctx context.Context, after uint64, take func(events.Recorded)) error
}

// The defaults of Options.
const (
	DefaultHeld      = 4096
	DefaultHeldBytes = 16 << 20
)

const (
	// followAgainAfter is the wait before a log that could not be followed is followed again.
	followAgainAfter = time.Second
	// readersOfLog is how many readers read the log at once: a thousand that come back together must not crowd out the work of the day.
	readersOfLog = 4
)

// Options are the parts of a Feed. Log and Encode are required.
type Options struct {
	Log Log
	// Encode makes of a fact what readers are sent.
	Encode func(events.Recorded) []byte
	// Held and HeldBytes bound the latest facts that are held: their number, and their encoded size; zero: the defaults.
	Held, HeldBytes int
	// Logger is told when the log cannot be followed; nil: nobody is.
	Logger *slog.Logger
}

// Fact is one fact, shared by its readers, who must not change it.
type Fact struct {
	Sequence uint64
	Kind     string
	About    events.About
	// Encoded is nil for an entry of the log that is no fact; no reader is given one.
	Encoded []byte
}

// Feed follows the log. Its methods may be called from any goroutine.
type Feed struct {
	options Options
	// reading has a place for each reader that reads the log.
	reading chan struct{}
	// started is closed, by start, when the log is followed for the first time.
	started chan struct{}
	start   func()

	mu sync.RWMutex
	// edition counts the logs that were followed, from 1: one that ends before what was seen of it is another one.
	edition int
	// held has every fact behind base up to last.
	held       []*Fact
	heldBytes  int
	base, last uint64
	// changed is closed at the next fact.
	changed chan struct{}
}

// New checks the options and makes a Feed.
func New(options Options) (*Feed, error) {
	if options.Log == nil || options.Encode == nil {
		return nil, errors.New("feed: Log and Encode are required")
	}
	if options.Held == 0 {
		options.Held = DefaultHeld
	}
	if options.HeldBytes == 0 {
		options.HeldBytes = DefaultHeldBytes
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	started := make(chan struct{})
	return &Feed{options: options, reading: make(chan struct{}, readersOfLog), changed: make(chan struct{}),
		started: started, start: sync.OnceFunc(func() { close(started) })}, nil
}

// Run follows the log until the context ends.
func (f *Feed) Run(ctx context.Context) error {
	for {
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was stopped
		}
		f.options.Logger.WarnContext(ctx, "events not followed; trying again", "class", fault.Of(err).Label(), "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followAgainAfter):
		}
	}
}

func (f *Feed) follow(ctx context.Context) error {
	span, err := f.options.Log.FactSpan(ctx)
	if err != nil {
		return err
	}
	return f.options.Log.FollowFacts(ctx, f.begin(span), f.take)
}

// begin gives the place to follow from: where the feed was, if the log still has what comes then, else so far back that what is held is full: those who
// come again after a restart then find what they missed.
func (f *Feed) begin(span events.Span) (after uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.edition > 0 && span.First <= f.last+1 && f.last <= span.Last {
		return f.last
	}
	if f.edition == 0 || span.Last < f.last {
		f.edition++
	}
	f.base = max(span.First, 1) - 1
	if held := uint64(f.options.Held); span.Last > f.base+held { // #nosec G115 -- a small number
		f.base = span.Last - held
	}
	f.last, f.held, f.heldBytes = f.base, nil, 0
	f.start()
	f.wake()
	return f.last
}

// wake tells everybody who waits to look; the lock is held.
func (f *Feed) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Feed) take(recorded events.Recorded) {
	fact := f.fact(recorded)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held, f.last = append(f.held, fact), fact.Sequence
	f.heldBytes += len(fact.Encoded)
	for len(f.held) > f.options.Held || f.heldBytes > f.options.HeldBytes {
		f.base = f.held[0].Sequence
		f.heldBytes -= len(f.held[0].Encoded)
		f.held[0], f.held = nil, f.held[1:]
	}
	f.wake()
}

func (f *Feed) fact(recorded events.Recorded) *Fact {
	fact := &Fact{Sequence: recorded.Sequence, Kind: recorded.Kind}
	if recorded.Validate() == nil {
		fact.About, fact.Encoded = recorded.About(), f.options.Encode(recorded)
	}
	return fact
}

// after gives facts behind a place in an edition of the log, at most takenAtOnce, and the place behind them. errNotHeld: it does not reach back that far.
func (f *Feed) after(edition int, place uint64) (facts []*Fact, next uint64, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	switch {
	case edition != f.edition:
		return nil, place, ErrOtherLog
	case place < f.base:
		return nil, place, errNotHeld
	}
	from, _ := slices.BinarySearchFunc(f.held, place+1, func(fact *Fact, sequence uint64) int { return cmp.Compare(fact.Sequence, sequence) })
	facts = f.held[from:]
	if len(facts) > takenAtOnce {
		facts = facts[:takenAtOnce]
		return slices.Clone(facts), facts[takenAtOnce-1].Sequence, nil
	}
	return slices.Clone(facts), max(place, f.last), nil
}
