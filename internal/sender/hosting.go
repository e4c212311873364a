package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// hosting is one session in a host's hands: its lease, its connection, its pace.
type hosting struct {
	host     *Host
	id       session.ID
	egress   string
	lease    Lease
	pacer    *pace.Pacer
	gate     gate
	receipts *receiptBook
	// look holds a wish to read the record again.
	look chan struct{}
	// ended holds why the connection ended for good.
	ended chan endedError
	// closing is closed by beginClosing, when the connection is about to be closed.
	closing      chan struct{}
	beginClosing func()
	wasReady     atomic.Bool
	// heard asks the connection how long it has brought nothing; nil while there is none.
	heard heard
	// linked is the record as the hosting began; set before the connection is opened.
	linked    session.Session
	stability *stability
	phone     phoneWatch
	journal   *journal
	// own is what was said about the pace; uploads, refused and lookedUp belong to the answers, which are given one at a time.
	own      ownLimits
	uploads  map[string]session.Upload
	refused  map[string]bool
	lookedUp time.Time
	// connection is set before requests are served.
	connection Connection
}

// endedError says that the connection ended for good, and why; renewed: what caused it is put right.
type endedError struct {
	reason  session.Reason
	renewed bool
}

// Error names the reason.
func (e *endedError) Error() string { return "the connection ended: " + string(e.reason) }

func newHosting(h *Host, found session.Session, claimed Lease) *hosting {
	pacer, _ := pace.New(pace.Options{MinGap: h.options.Limits.MinGap, MaxGap: h.options.Limits.MaxGap}) // NewHost validated the options
	closing := make(chan struct{})
	return &hosting{host: h, id: found.ID, egress: found.EgressName(), lease: claimed, pacer: pacer, receipts: newReceiptBook(),
		uploads: map[string]session.Upload{}, refused: map[string]bool{}, look: make(chan struct{}, 1), ended: make(chan endedError, 1),
		stability: newStability(h.metrics.stable), phone: newPhoneWatch(), journal: newJournal(), closing: closing, beginClosing: sync.OnceFunc(func() { close(closing) })}
}

// lookAgain makes the hosting read its record soon.
func (s *hosting) lookAgain() {
	select {
	case s.look <- struct{}{}:
	default:
	}
}

const (
	// openTimeout bounds the dialling of one session, as the others of its egress wait for it.
	openTimeout = 30 * time.Second
	// drainTime bounds the send that is in flight when a session is given up.
	drainTime = 10 * time.Second
	// closeTimeout bounds what has to be written when a session or a slice ends.
	closeTimeout = 5 * time.Second
)

// run holds the session until the context ends, its lease is lost, its connection ended for good, or a person removes it.
//
// The stop order is the flow order: no more requests are taken, and who waits for its turn is sent elsewhere; the send in flight is
// finished; the connection is closed; the record says that the session is offline; the lease is given back; and only then the others are
// told, so that the next host finds it free. A lost lease turns the order round: the connection is closed at once, and nothing is
// written, because the session may have another owner.
func (s *hosting) run(ctx context.Context) error {
	held, cut := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-s.lease.Done():
			cut()
		case <-held.Done():
		}
	})
	err := s.serve(ctx, held, cut)
	s.stability.broken()
	s.endPhoneWatch()
	s.forgetCaps()
	cut()
	watching.Wait()

	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	s.journal.due.Stop()
	s.flushSends(leaving)
	left, changed, leaveErr := s.apply(leaving, toOffline(session.ReasonNone))
	if releaseErr := s.lease.Release(leaving); releaseErr != nil {
		s.host.options.Log.WarnContext(ctx, "lease could not be given back and will expire", "session", string(s.id), "error", releaseErr)
	}
	if changed {
		leaveErr = s.announce(leaving, left)
	}
	if leaveErr != nil {
		s.host.options.Log.WarnContext(ctx, "session's end could not be written or told", "session", string(s.id), "error", leaveErr)
	}
	return err
}

// serve connects the session and answers for it until its end. held ends when the lease is lost; cut ends it.
func (s *hosting) serve(ctx, held context.Context, cut func()) error {
	current, err := s.begin(held)
	if err != nil || !slices.Contains(wanted(), current.State) {
		return err
	}
	if current.State == session.Removing && current.Device.IsZero() {
		return s.erase(ctx, current)
	}
	if err := s.open(ctx, held, current); err != nil {
		return s.cannotOpen(held, current, err)
	}
	stopServing, err := s.host.options.Sends.ServeSends(held, s.id, s.answer)
	if err != nil {
		s.hangUp(cut)
		return fmt.Errorf("serve sends: %w", err)
	}
	stopServing = sync.OnceFunc(stopServing)
	current, err = s.hold(ctx, current)
	s.pacer.Stop()
	if s.lease.Held() {
		overdue := time.AfterFunc(drainTime, cut)
		stopServing()
		overdue.Stop()
	}
	removing := err == nil && current.State == session.Removing && ctx.Err() == nil
	if removing {
		err = s.logout(held)
	}
	s.hangUp(cut)
	stopServing()
	if removing && err == nil {
		return s.erase(ctx, current)
	}
	return err
}

// begin reads the record, now that the lease is held. A former owner that died has left it as ready, which it is not.
func (s *hosting) begin(held context.Context) (session.Session, error) {
	current, err := s.host.options.Sessions.Get(held, s.id)
	if errors.Is(err, store.ErrNotFound) {
		return session.Session{}, nil
	}
	if err != nil {
		return current, fmt.Errorf("read session: %w", err)
	}
	s.linked = current
	s.gate.set(current)
	if current.EgressName() != s.egress { // what the host knew of it was out of date
		s.host.nudges.session(s.id, nudge{read: true})
		return current, errOtherWay
	}
	if current.State == session.Ready {
		s.report(held, toOffline(session.ReasonConnectionLost))
	}
	return current, nil
}

// open dials, one session of an egress at a time, after a random wait.
func (s *hosting) open(ctx, held context.Context, current session.Session) error {
	dial, cancel := context.WithCancel(held)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if err := s.awaitTurn(dial); err != nil {
		return err
	}
	dialled, begun := s.host.dials.begin(dial, s.egress)
	if !begun {
		return errMoving()
	}
	defer dialled()
	dial, cancelDial := context.WithTimeout(dial, openTimeout)
	defer cancelDial()
	if !s.lease.Held() || dial.Err() != nil {
		return errMoving()
	}
	inTime := context.AfterFunc(dial, s.beginClosing) // Open closes what it has begun, and a signal must not hold it up
	connection, err := s.host.options.WhatsApp.Open(dial, session.OpenRequest{
		Session: s.id, Epoch: s.lease.Epoch(), Device: current.Device, Identity: session.IdentityFor(current.UserID),
		Signals: func(signal session.Signal) { s.signal(held, signal) }, Again: s.again,
	})
	if err != nil {
		return fmt.Errorf("open connection: %w", err)
	}
	if !inTime() {
		connection.Close()
		return errMoving()
	}
	s.connection = connection
	silence := connection.Silence
	s.heard.Store(&silence)
	return nil
}

// cannotOpen decides what a failed opening means: keys that are gone are a logout that nobody saw.
func (s *hosting) cannotOpen(held context.Context, current session.Session, err error) error {
	if fault.Of(err) != fault.Relink {
		return err
	}
	if current.State == session.Removing {
		return s.erase(held, current)
	}
	s.note(held, session.EntryEnded, session.ReasonLoggedOut, "keys gone")
	s.recordLogout(held, session.Ended{Reason: session.ReasonLoggedOut})
	s.report(held, toLoggedOut(session.ReasonLoggedOut))
	return nil
}

// errOtherWay ends a connection whose session was given another way out: it must not use the old one any longer.
var errOtherWay = fault.New(fault.RetryLater, "egress_changed", "The session has another way out; it is connected anew")

// hold waits for the end, looking at the record when it is nudged. It gives the record as it is then.
func (s *hosting) hold(ctx context.Context, current session.Session) (session.Session, error) {
	for slices.Contains(wanted(), current.State) && current.State != session.Removing {
		select {
		case <-ctx.Done():
			return current, nil
		case <-s.lease.Done():
			return current, errMoving()
		case ended := <-s.ended:
			return current, &ended
		case <-s.stability.due.C:
			s.tellStable(ctx, current.UserID)
			continue
		case <-s.phone.due.C:
			s.lookAtPhone(ctx, current)
			continue
		case <-s.journal.due.C:
			s.flushSends(ctx)
			s.showCapsAgain(ctx)
			continue
		case <-s.look:
		}
		found, err := s.host.options.Sessions.Get(ctx, s.id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return session.Session{}, nil
		case err != nil && ctx.Err() == nil:
			s.host.options.Log.WarnContext(ctx, "session could not be read and is looked at again", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
			continue
		case err != nil:
			continue
		}
		if found.EgressName() != s.egress {
			return found, errOtherWay
		}
		current = s.mend(ctx, found)
		s.phoneIsBack(current)
	}
	return current, nil
}

// mend brings record and connection together: a limit that has run out, and what could not be written when it happened.
func (s *hosting) mend(ctx context.Context, found session.Session) session.Session {
	s.gate.set(found)
	change := toOffline(session.ReasonConnectionLost)
	if s.gate.isOnline() {
		change = toReady()
	}
	if mended, changed := s.report(ctx, change); changed {
		return mended
	}
	return found
}

// hangUp ends the connection, if there is one. The signal being handled may take a while to be written down, but not for ever.
func (s *hosting) hangUp(cut func()) {
	s.beginClosing()
	overdue := time.AfterFunc(closeTimeout, cut)
	defer overdue.Stop()
	s.connection.Close()
}

// answer is how a request to send is served (hostStages).
func (s *hosting) answer(ctx context.Context, request events.SendRequest) events.SendReply {
	began := time.Now()
	if len(request.Lookup) > 0 {
		lookups, err := s.lookUp(ctx, request)
		if err != nil {
			return events.FailedReply(err)
		}
		return events.SendReply{Lookups: lookups}
	}
	work := &order{hosting: s, request: request}
	err := through(ctx, hostStages, work)
	s.host.metrics.sent(err, time.Since(began))
	if fault.Of(err) == fault.Internal { // the reply leaves its cause out
		s.host.options.Log.ErrorContext(ctx, "message could not be sent for a reason of our own", "session", string(s.id), "campaign", string(request.CampaignID),
			"delivery", request.MessageID, "class", fault.Of(err).Label(), "error", err)
	}
	if err != nil {
		return events.FailedReply(err)
	}
	return events.SendReply{SentAt: work.sentAt}
}
