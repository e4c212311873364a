// Package pace says when a session may send its next message, and when an egress may link or connect again.
//
// Nouns: Options (the rules of a session), Pacer (one session's clock: it hands out turns, one at a time), gap (the rule that there is: a
// random time between two turns). A rule says how long a session must rest after a turn, and the longest rest counts: caps and quiet hours
// will be rules beside gap.
//
// The default is a gap of 4 to 9 seconds, drawn anew for each message: what a person needs to write a short text. Even gaps are a
// machine's mark (peers.md §2.2: a fixed gap of five seconds was followed by a ban after five messages); and no pacing can promise that a
// number is not blocked. Options that are zero send without gaps, which only suits a simulator.
//
// Links (links.go) is the other half: the clock of each egress, kept over a small key-value port (Bucket) so that it holds for all workers and over
// restarts. Egress is what it knows of one way out; the rules of rests and capacities are in internal/session.
//
// Callers: the host in internal/sender, one Pacer per hosted session, whoever asks to send; the linker, the host and the API, one Links per
// process. It must never know what is sent or to whom, nor write a number anywhere but as a digest.
package pace

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Options are the rules of a session.
type Options struct {
	// MinGap and MaxGap bound the random gap between two messages; both zero: no gap.
	MinGap time.Duration
	MaxGap time.Duration
	// Draw gives a random duration from zero to below its argument; nil: the process's own randomness. It may be called at the same time
	// by several pacers.
	Draw func(below time.Duration) time.Duration
}

// Human is the pace of a person who writes short texts.
func Human() Options { return Options{MinGap: 4 * time.Second, MaxGap: 9 * time.Second} }

// Off tells whether messages go out without gaps.
func (o Options) Off() bool { return o.MaxGap == 0 }

// Validate refuses gaps that cannot be drawn.
func (o Options) Validate() error {
	if o.MinGap < 0 || o.MaxGap < o.MinGap {
		return errors.New("pace: the gaps must not be negative, and the longest not shorter than the shortest")
	}
	return nil
}

// ErrStopped is what Wait gives once the pacer was stopped.
var ErrStopped = errors.New("pace: the session's turns have ended")

// Pacer hands out turns. Its methods may be called at the same time; each turn is given to one caller.
type Pacer struct {
	rules   []rule
	draw    func(below time.Duration) time.Duration
	stopped chan struct{}

	mu sync.Mutex
	// last is the turn before, next the earliest one by the session's own rules.
	last, next time.Time
	stopNow    sync.Once
}

// rule gives how long a session rests after a turn.
type rule func(turn time.Time) time.Duration

// New makes a pacer. Its first turn comes after a rest too: what the session's former owner sent a moment ago is not known here.
func New(options Options) (*Pacer, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	if options.Draw == nil {
		options.Draw = rand.N[time.Duration]
	}
	pacer := &Pacer{rules: []rule{gap(options)}, draw: options.Draw, stopped: make(chan struct{})}
	pacer.last = time.Now()
	pacer.next = pacer.after(pacer.last)
	return pacer, nil
}

// gap is the rule of a random time between two turns.
func gap(options Options) rule {
	spread := options.MaxGap - options.MinGap
	return func(time.Time) time.Duration {
		if spread == 0 {
			return options.MinGap
		}
		return options.MinGap + options.Draw(spread)
	}
}

// Wait takes the next turn and returns when it has come. A context that ends first gives its error, and a Stop gives ErrStopped; the turn is
// then lost, so that a caller who gives up cannot make the session faster.
func (p *Pacer) Wait(ctx context.Context) error { return p.wait(ctx, p.take) }

// WaitGap is Wait with another gap since the turn before than that of the session.
func (p *Pacer) WaitGap(ctx context.Context, shortest, longest time.Duration) error {
	return p.wait(ctx, func() time.Time { return p.takeGap(shortest, longest) })
}

func (p *Pacer) wait(ctx context.Context, take func() time.Time) error {
	select {
	case <-p.stopped:
		return ErrStopped
	default:
	}
	wait := time.Until(take())
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.stopped:
		return ErrStopped
	case <-timer.C:
		return nil
	}
}

// Stop ends the turns: who waits for one is told at once, and who asks later too.
func (p *Pacer) Stop() { p.stopNow.Do(func() { close(p.stopped) }) }

// Next is the earliest time of the next turn; in the past when it is free now.
func (p *Pacer) Next() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// take gives the time of the next turn and finds the one after.
func (p *Pacer) take() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	turn := time.Now()
	if p.next.After(turn) {
		turn = p.next
	}
	p.last, p.next = turn, p.after(turn)
	return turn
}

// takeGap is take with a gap of its own.
func (p *Pacer) takeGap(shortest, longest time.Duration) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	gap := shortest
	if longest > shortest {
		gap += p.draw(longest - shortest)
	}
	turn := p.last.Add(gap)
	if now := time.Now(); now.After(turn) {
		turn = now
	}
	p.last, p.next = turn, p.after(turn)
	return turn
}

// after gives the earliest turn after one, which is what the strictest rule allows.
func (p *Pacer) after(turn time.Time) time.Time {
	var rest time.Duration
	for _, rule := range p.rules {
		rest = max(rest, rule(turn))
	}
	return turn.Add(rest)
}
