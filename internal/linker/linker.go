// Package linker is the verb that pairs a phone: it does one link job at a time, from the queue to a device that is ready to be hosted.
//
// Nouns: Linker (the job's handler, and the caller of links whose turn has come), attempt (one link at work: its turn, its lease, its connection, the
// codes it has to show). The states of a link are data in internal/session; this package feeds them events and does what their changes ask for: show a code, arm a deadline,
// save the device, close. Every change is written to the store first and published then.
//
// A link takes its egress for itself before it connects, by the clock in internal/pace. One whose turn has not come is written down as waiting and its
// job ends, so that those on other egresses go on; Run publishes it again when its turn comes (docs/decisions/006).
//
// A job may come again, after a crash or a hand-back: it goes on from what the store says. A link that a person cancelled, or that
// another attempt replaced, ends at the next step. The connection is closed and its lease given back before the link is said to be ready,
// so that its host never meets the linker.
//
// Callers: the bus worker and the process, through internal/app. It must never touch a session that is linked, nor show a code after the phone
// accepted, nor write a code anywhere but the prompts.
package linker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Pairing is a connection that pairs.
type Pairing interface {
	// AnswerPasskey gives WhatsApp the browser's answer to session.PasskeyAsked: a WebAuthn response as JSON.
	AnswerPasskey(ctx context.Context, response []byte) error
	// ConfirmPasskey tells WhatsApp that the code of session.PasskeyConfirm is the same on the phone.
	ConfirmPasskey(ctx context.Context) error
	// Close ends it; no signal is handled after it returned.
	Close()
}

// Phones opens connections that pair.
type Phones interface {
	Pair(ctx context.Context, request session.PairRequest) (Pairing, error)
}

// Facts publishes what happened; it returns when the queue has stored it.
type Facts interface {
	PublishFact(ctx context.Context, fact events.Fact) error
}

// Prompts holds what a person has to scan or type, in memory only.
type Prompts interface {
	Show(ctx context.Context, id session.ID, prompt session.Prompt) error
	Clear(ctx context.Context, id session.ID) error
}

// Watcher tells of facts as they are published: a nudge, which may be lost, to read the store.
type Watcher interface {
	Watch(ctx context.Context, filter string, changed func(subject string, data []byte)) (stop func(), err error)
}

// Lease is the right to open a session's connection.
type Lease interface {
	Epoch() uint64
	Done() <-chan struct{}
	Release(ctx context.Context) error
}

// Leases gives leases; a session that another worker holds is fault.RetryLater.
type Leases interface {
	Claim(ctx context.Context, id session.ID) (Lease, error)
}

// Timing is how long the steps of a link may take. The zero value of a field is its stated default; a negative one is no wait at all.
type Timing struct {
	// Spacing is the time between two links on one egress, from the end of one that paired, else from its beginning. Default
	// pace.DefaultSpacing.
	Spacing time.Duration
	// Jitter is the longest random wait before the connection; the shortest is a third of it. Default 3 s.
	Jitter time.Duration
	// InLine is the wait on top when others wait on the same egress. Default 2 s.
	InLine time.Duration
	// Connect bounds the time until the first code. Default 30 s.
	Connect time.Duration
	// FirstQR is how long the first code is shown, NextQR each further one. Defaults 60 s and 20 s, as WhatsApp Web does.
	FirstQR time.Duration
	NextQR  time.Duration
	// Code is how long an 8-character code holds. Default 3 min.
	Code time.Duration
	// Passkey is how long a passkey may take: WhatsApp's hand-off proof holds for 5 min (peers.md W2). Default 5 min.
	Passkey time.Duration
	// Login bounds the time from the phone's consent to the first login. Default 60 s.
	Login time.Duration
	// Settle is how long the new device stays connected before it is handed over: WhatsApp sends it its first keys. Default 2 s.
	Settle time.Duration
}

func (t Timing) complete() Timing {
	fill := func(value *time.Duration, standard time.Duration) {
		switch {
		case *value == 0:
			*value = standard
		case *value < 0:
			*value = 0
		}
	}
	fill(&t.Spacing, pace.DefaultSpacing)
	fill(&t.Jitter, 3*time.Second)
	fill(&t.InLine, 2*time.Second)
	fill(&t.Connect, 30*time.Second)
	fill(&t.FirstQR, 60*time.Second)
	fill(&t.NextQR, 20*time.Second)
	fill(&t.Code, 3*time.Minute)
	fill(&t.Passkey, 5*time.Minute)
	fill(&t.Login, 60*time.Second)
	fill(&t.Settle, 2*time.Second)
	return t
}

// Options are the parts of a Linker. Those without a stated default are required.
type Options struct {
	Sessions session.Store
	// Histories is told of the ends of links that paired.
	Histories session.Histories
	Phones    Phones
	Facts     Facts
	Prompts   Prompts
	Answers   Answers
	Watcher   Watcher
	Leases    Leases
	Commands  Commands
	Turns     Turns
	Limits    Limits
	Timing    Timing
	Log       *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Linker pairs phones.
type Linker struct {
	options Options
	metrics *metrics
}

// New checks the options and makes a linker.
func New(options Options) (*Linker, error) {
	if options.Sessions == nil || options.Histories == nil || options.Phones == nil || options.Facts == nil || options.Prompts == nil || options.Answers == nil || options.Watcher == nil ||
		options.Leases == nil || options.Commands == nil || options.Turns == nil || options.Limits == nil {
		return nil, errors.New("linker: Sessions, Histories, Phones, Facts, Prompts, Answers, Watcher, Leases, Commands, Turns and Limits are required")
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	options.Timing = options.Timing.complete()
	metrics, err := newMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	return &Linker{options: options, metrics: metrics}, nil
}

// Handle does one link job. It returns nil when the link has ended, however it ended; an error means that the job should come again.
func (l *Linker) Handle(ctx context.Context, job events.LinkSession) error {
	defer l.metrics.hold()()
	current, err := l.options.Sessions.Get(ctx, job.SessionID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // deleted meanwhile
	case err != nil:
		return fmt.Errorf("read session: %w", err)
	case current.State.Linked():
		l.metrics.refused.Inc()
		l.options.Log.InfoContext(ctx, "link ignored: the session is linked", "session", string(job.SessionID))
		return nil
	case current.Link.ID != job.LinkID || current.Link.State.Ended():
		return nil // an older attempt, or one that has ended
	}
	work := newAttempt(l, job, current)
	defer work.stop()
	switch current.Link.State {
	case session.LinkPaired, session.LinkRestarting:
		return work.finishInterrupted(ctx, current)
	case session.LinkQueued, session.LinkCoolingDown:
	default: // a crash left it half way, before the phone accepted
		if err := work.step(ctx, session.LinkEvent{Kind: session.EventHandBack, Reason: session.ReasonQueued}); err != nil {
			return ended(err)
		}
	}
	return work.run(ctx)
}
