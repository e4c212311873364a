package linker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// attempt is one link at work. Only the goroutine of Handle touches it; signals come through a channel.
type attempt struct {
	linker  *Linker
	job     events.LinkSession
	log     *slog.Logger
	user    string
	egress  string
	began   time.Time
	state   session.LinkState
	entered time.Time // the state
	signals chan session.Signal
	nudges  chan struct{}
	// inLine: others wait on the same egress. heldUntil is until when the egress is this link's; zero: it never was. keeping is when to hold it anew.
	inLine    bool
	heldUntil time.Time
	keeping   *time.Ticker
	// accepted: a phone was paired, as device, at pairedAt.
	accepted bool
	device   session.Device
	pairedAt time.Time
	// tries counts the connections; refusal is why this side refused the phone.
	tries   int
	refusal atomic.Pointer[fault.Error]
	// holder is the other session that has the phone's number.
	holder atomic.Pointer[session.ID]
	// pairing is the open connection; answering gives it what a person answered, and refusals says that WhatsApp did not accept that.
	pairing   Pairing
	answering sync.WaitGroup
	refusals  chan session.PairRefused
	answers   *time.Ticker
	// prompt is what is shown now.
	prompt session.Prompt
	// codes are those not shown yet; shown counts the others.
	codes []string
	shown int
	// deadline is armed for the state, settled once the device is logged in.
	deadline *time.Timer
	settled  <-chan time.Time
}

func newAttempt(l *Linker, job events.LinkSession, current session.Session) *attempt {
	deadline := time.NewTimer(time.Hour)
	deadline.Stop()
	return &attempt{
		linker: l, job: job, user: current.UserID, egress: current.EgressName(), keeping: time.NewTicker(keepEvery), state: current.Link.State, began: time.Now(), entered: time.Now(), deadline: deadline,
		log:    l.options.Log.With("session", string(job.SessionID), "link", job.LinkID),
		nudges: make(chan struct{}, 1), refusals: make(chan session.PairRefused, 1), answers: time.NewTicker(answerEvery),
	}
}

// stop ends the clocks.
func (a *attempt) stop() {
	a.keeping.Stop()
	a.answers.Stop()
}

// errOver ends an attempt whose link has ended, or is no longer the session's link.
var errOver = errors.New("the link has ended")

// ended turns the end of a link, and its wait, into the end of its job.
func ended(err error) error {
	if errors.Is(err, errOver) || errors.Is(err, errWaits) {
		return nil
	}
	return err
}

// closeTimeout bounds what has to be written when an attempt ends.
const closeTimeout = 5 * time.Second

// run waits for the turn, takes the lease, pairs, and drives the link to its end.
func (a *attempt) run(ctx context.Context) error {
	stopWatching, err := a.linker.options.Watcher.Watch(ctx, "events.session."+string(a.job.SessionID)+".>", func(string, []byte) { a.nudge() })
	if err != nil {
		return fmt.Errorf("watch session: %w", err)
	}
	defer stopWatching()
	if err := a.takeTurn(ctx); err != nil {
		return a.giveUp(ctx, err)
	}
	defer a.endTurn(ctx)
	if err := a.awaitConnection(ctx); err != nil {
		return a.giveUp(ctx, err)
	}
	lease, err := a.linker.options.Leases.Claim(ctx, a.job.SessionID)
	if err != nil {
		return fmt.Errorf("claim session: %w", err)
	}
	err = a.pairTwice(ctx, lease)
	a.release(ctx, lease)
	if err == nil {
		return ended(a.finish(ctx))
	}
	return a.giveUp(ctx, err)
}

func (a *attempt) nudge() {
	select {
	case a.nudges <- struct{}{}:
	default:
	}
}

// errAgain: the first connection failed for a cause that a second one may not have, and the person is still there.
var errAgain = errors.New("a second connection is worth a try")

// pairTwice pairs; a first code that fails is followed by a second one by itself, which on some phones is the one that works (peers.md W4). So is a
// connection that WhatsApp refused to an outdated client which is up to date by now.
func (a *attempt) pairTwice(ctx context.Context, lease Lease) error {
	if err := a.step(ctx, session.LinkEvent{Kind: session.EventStart, For: a.linker.options.Timing.Connect}); err != nil {
		return err
	}
	a.log.InfoContext(ctx, "link started")
	err := a.pair(ctx, lease)
	if !errors.Is(err, errAgain) {
		return err
	}
	a.linker.metrics.secondTries.Inc()
	if err := a.awaitConnection(ctx); err != nil {
		return err
	}
	reason := session.ReasonNone
	if a.job.Method == session.MethodCode {
		reason = session.ReasonSecondTry
	}
	if err := a.step(ctx, session.LinkEvent{Kind: session.EventConnect, Reason: reason, For: a.linker.options.Timing.Connect}); err != nil {
		return err
	}
	return a.pair(ctx, lease)
}

// pair holds the connection until the device is logged in and settled; nil means that it is.
func (a *attempt) pair(ctx context.Context, lease Lease) error {
	if err := lost(lease); err != nil {
		return err
	}
	a.tries++
	signals, done := make(chan session.Signal, 16), make(chan struct{})
	a.signals = signals
	pairing, err := a.linker.options.Phones.Pair(ctx, session.PairRequest{
		Session: a.job.SessionID, Epoch: lease.Epoch(), Identity: session.IdentityFor(a.user), Method: a.job.Method, Phone: a.job.Phone,
		Accept: func(device session.Device) error { return a.accept(ctx, device) },
		Signals: func(signal session.Signal) {
			select {
			case signals <- signal:
			case <-done: // nobody reads any more
			}
		},
	})
	if err != nil {
		return fmt.Errorf("open connection: %w", err)
	}
	a.pairing = pairing
	open, cancel := context.WithCancel(ctx)
	defer a.clearPrompt(ctx)
	defer func() {
		cancel()
		close(done) // lets go of a signal that nobody will read: Close waits for its handler
		pairing.Close()
		a.answering.Wait()
	}()
	for {
		err := a.wait(open, lease)
		if errors.Is(err, errSettled) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errSettled: the device is logged in and has had its time to settle.
var errSettled = errors.New("settled")

// wait handles the next thing that happens.
func (a *attempt) wait(ctx context.Context, lease Lease) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-lease.Done():
		return lost(lease)
	case signal := <-a.signals:
		return a.signal(ctx, signal)
	case <-a.deadline.C:
		return a.timeUp(ctx)
	case <-a.keeping.C:
		a.showAgain(ctx)
		return a.keep(ctx)
	case refused := <-a.refusals:
		return a.refused(ctx, refused.Reason)
	case <-a.answers.C:
		if !a.awaitsAnswer() {
			return nil
		}
		return a.takeAnswer(ctx)
	case <-a.settled:
		return errSettled
	case <-a.nudges:
		return a.stillWanted(ctx)
	}
}

// lost gives an error once the lease is not held any more.
func lost(lease Lease) error {
	select {
	case <-lease.Done():
		return fault.New(fault.RetryLater, "lease_lost", "Another worker took the session over; the link begins anew")
	default:
		return nil
	}
}

// accept refuses a phone whose number is linked to another session, or rests after a logout. WhatsApp's client asks it on a goroutine of its own,
// and only says that the phone was refused; why is kept here.
func (a *attempt) accept(ctx context.Context, device session.Device) error {
	err := a.acceptable(ctx, device)
	if err != nil {
		a.refusal.Store(fault.As(err))
	}
	return err
}

func (a *attempt) acceptable(ctx context.Context, device session.Device) error {
	holder, err := a.linker.holderOf(ctx, device.Phone, a.job.SessionID)
	if err != nil {
		return err
	}
	if holder != "" {
		a.holder.Store(&holder)
		return fault.New(fault.Conflict, string(session.ReasonDuplicate), "This number is linked to another session; unlink it there first")
	}
	until, err := a.linker.options.Limits.NumberRests(ctx, device.Phone)
	if err != nil {
		return err
	}
	if !until.IsZero() {
		return fault.New(fault.CoolingDown, string(session.ReasonNumberCooldown), session.ReasonNumberCooldown.Sentence(session.English)).
			WithAfter(time.Until(until)).WithUntil(until)
	}
	return nil
}

// stillWanted looks whether the link was cancelled or replaced.
func (a *attempt) stillWanted(ctx context.Context) error {
	current, err := a.linker.options.Sessions.Get(ctx, a.job.SessionID)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	if current.Link.ID != a.job.LinkID || current.Link.State.Ended() {
		a.count(current.Link)
		return errOver
	}
	return nil
}

func (a *attempt) clearPrompt(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := a.linker.options.Prompts.Clear(ctx, a.job.SessionID); err != nil {
		a.log.WarnContext(ctx, "prompt could not be cleared and will expire", "error", err)
	}
}

func (a *attempt) release(ctx context.Context, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := lease.Release(ctx); err != nil {
		a.log.WarnContext(ctx, "lease could not be given back and will expire", "error", err)
	}
}

// finish says that the link is ready. The connection is closed and the lease given back by now: a host may take the session at once.
func (a *attempt) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	a.remember(ctx, session.HistoryEntry{Kind: session.EntryLinked})
	return a.step(ctx, session.LinkEvent{Kind: session.EventReady})
}

// remember tells the session's history what happened. What cannot be written is missing in the story, and holds nothing up.
func (a *attempt) remember(ctx context.Context, entry session.HistoryEntry) {
	entry.At, entry.Egress = time.Now().UTC(), a.egress
	if err := session.Remember(ctx, a.linker.options.Histories, a.job.SessionID, entry); err != nil {
		a.log.WarnContext(ctx, "what happened could not be written down", "class", fault.Of(err).Label(), "error", err)
	}
}

// finishInterrupted ends a link whose phone had accepted when its worker died: the device is saved, and its host will log it in.
func (a *attempt) finishInterrupted(ctx context.Context, current session.Session) error {
	a.accepted, a.heldUntil = true, a.began // whoever began it had the egress
	defer a.endTurn(ctx)
	if current.Device.IsZero() {
		return ended(a.step(ctx, session.LinkEvent{Kind: session.EventFailed, Reason: session.ReasonInternal}))
	}
	return ended(a.finish(ctx))
}

// giveUp decides what an interruption means. Before the phone accepted, a stopping worker puts the link back into the queue; what
// may pass by itself brings the job again; anything else ends the link.
func (a *attempt) giveUp(ctx context.Context, cause error) error {
	if ended(cause) == nil {
		return nil
	}
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	paired := a.state == session.LinkPaired || a.state == session.LinkRestarting
	if paired && stopping {
		return cause // the next worker finishes it
	}
	if stopping || fault.Of(cause).Redelivered() {
		if err := a.step(ctx, session.LinkEvent{Kind: session.EventHandBack, Reason: session.ReasonQueued}); err != nil {
			return ended(err)
		}
		return cause
	}
	a.log.WarnContext(ctx, "link failed", "error", cause)
	return ended(a.step(ctx, session.LinkEvent{Kind: session.EventFailed, Reason: session.ReasonInternal}))
}
