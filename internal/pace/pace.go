// Package pace says when a session may send its next message.
//
// Nouns: Options (the rules of a session), Pacer (one session's clock: it hands out turns with a random gap between them).
//
// The default is a gap of 4 to 9 seconds, drawn anew for each message: what a person needs to write a short text. Even gaps are a
// machine's mark (peers.md §2.2: a fixed gap of five seconds was followed by a ban after five messages); and no pacing can promise that a
// number is not blocked. Options that are zero send without gaps, which only suits a simulator.
//
// Callers: the host in internal/sender, one Pacer per hosted session, whoever asks to send. It must never know what is sent or to whom.
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

// Pacer hands out turns. Its methods may be called at the same time; each turn is given to one caller.
type Pacer struct {
	options Options
	draw    func(time.Duration) time.Duration

	mu   sync.Mutex
	next time.Time
}

// New makes a pacer whose first turn is free.
func New(options Options) (*Pacer, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	return &Pacer{options: options, draw: rand.N[time.Duration]}, nil
}

// Wait takes the next turn and returns when it has come. A context that ends first gives its error; the turn is then lost, so that a caller
// who gives up cannot make the session faster.
func (p *Pacer) Wait(ctx context.Context) error {
	wait := time.Until(p.take())
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Next is the earliest time of the next turn; in the past when it is free now.
func (p *Pacer) Next() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// take gives the time of the next turn and draws the one after.
func (p *Pacer) take() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	turn := time.Now()
	if p.next.After(turn) {
		turn = p.next
	}
	p.next = turn.Add(p.gap())
	return turn
}

func (p *Pacer) gap() time.Duration {
	if spread := p.options.MaxGap - p.options.MinGap; spread > 0 {
		return p.options.MinGap + p.draw(spread)
	}
	return p.options.MinGap
}
