package sender

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// hosting is one session in a host's hands: its lease, its connection, its pace.
type hosting struct {
	host       *Host
	id         session.ID
	egress     string
	pacer      *pace.Pacer
	look       chan struct{}
	ended      chan endedError
	receipts   *receiptBook
	lease      Lease
	connection Connection
	gate       gate
}

// endedError says that the connection ended for good, and why.
type endedError struct{ reason session.Reason }

// Error names the reason.
func (e *endedError) Error() string { return "the connection ended: " + string(e.reason) }

func newHosting(h *Host, found session.Session) *hosting {
	pacer, _ := pace.New(h.options.Pace) // NewHost validated the options
	return &hosting{host: h, id: found.ID, egress: found.Egress, pacer: pacer, look: make(chan struct{}, 1),
		ended: make(chan endedError, 1), receipts: newReceiptBook()}
}

// lookAgain makes the hosting read its record soon.
func (s *hosting) lookAgain() {
	select {
	case s.look <- struct{}{}:
	default:
	}
}

// closeTimeout bounds what has to be written when a session is given up.
const closeTimeout = 5 * time.Second

// run holds the session until the context ends, its lease is lost, or its connection ended for good. The stop order is the flow order:
// requests, the send in flight, the connection, the lease.
func (s *hosting) run(ctx context.Context) error {
	lease, err := s.host.options.Leases.Claim(ctx, s.id)
	if err != nil {
		return err
	}
	s.lease = lease
	defer s.release(ctx)
	current, err := s.host.options.Sessions.Get(ctx, s.id)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	if !current.State.Linked() && current.State != session.Removing {
		return nil
	}
	if err := s.open(ctx, current); err != nil {
		return s.cannotOpen(ctx, current, err)
	}
	defer s.connection.Close()
	stop, err := s.host.options.Sends.ServeSends(ctx, s.id, s.answer)
	if err != nil {
		return fmt.Errorf("serve sends: %w", err)
	}
	defer stop()
	return s.hold(ctx, current)
}

// open dials, one session at a time, after a random wait.
func (s *hosting) open(ctx context.Context, current session.Session) error {
	select {
	case s.host.dialling <- struct{}{}:
		defer func() { <-s.host.dialling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if longest := s.host.options.ConnectJitter; longest > 0 {
		if err := sleep(ctx, rand.N(longest)); err != nil { //nolint:gosec // spreads load, guards no secret
			return err
		}
	}
	if !s.lease.Held() {
		return fault.New(fault.RetryLater, "lease_lost", "Another worker took the session over")
	}
	s.gate.set(current)
	connection, err := s.host.options.WhatsApp.Open(ctx, session.OpenRequest{
		Session: s.id, Device: current.Device, Identity: session.IdentityFor(current.UserID),
		Signals: func(signal session.Signal) { s.signal(ctx, signal) },
	})
	if err != nil {
		return fmt.Errorf("open connection: %w", err)
	}
	s.connection = connection
	return nil
}

// cannotOpen writes down what a failed opening means: keys that are gone are a logout that nobody saw.
func (s *hosting) cannotOpen(ctx context.Context, current session.Session, err error) error {
	if fault.Of(err) != fault.Relink {
		return err
	}
	if current.State == session.Removing {
		return s.remove(ctx, current)
	}
	return errors.Join(err, s.change(ctx, toLoggedOut(session.ReasonLoggedOut)))
}

// hold waits for the end, looking at the record when it is nudged.
func (s *hosting) hold(ctx context.Context, current session.Session) error {
	for {
		if current.State == session.Removing {
			return s.remove(ctx, current)
		}
		select {
		case <-ctx.Done():
			s.markOffline(ctx)
			return nil
		case <-s.lease.Done():
			return fault.New(fault.RetryLater, "lease_lost", "Another worker took the session over")
		case ended := <-s.ended:
			return &ended
		case <-s.look:
		}
		found, err := s.host.options.Sessions.Get(ctx, s.id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			current = found
			s.gate.set(found)
		}
	}
}

// markOffline says that a stopping host leaves the session, so that nobody takes an old "ready" for the truth.
func (s *hosting) markOffline(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := s.change(ctx, toOffline(session.ReasonNone)); err != nil {
		s.host.options.Log.Warn("session could not be marked offline", "session", string(s.id), "error", err)
	}
}

func (s *hosting) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := s.lease.Release(ctx); err != nil {
		s.host.options.Log.Warn("lease could not be given back and will expire", "session", string(s.id), "error", err)
	}
}

// remove unlinks the device, deletes its keys and its record, and says so.
func (s *hosting) remove(ctx context.Context, current session.Session) error {
	if s.connection != nil {
		if err := s.logout(ctx); err != nil {
			return err
		}
		s.connection.Close()
	}
	if err := s.host.options.WhatsApp.Forget(ctx, current.Device); err != nil {
		return fmt.Errorf("delete keys: %w", err)
	}
	if err := s.host.options.Sessions.Delete(ctx, s.id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("delete session: %w", err)
	}
	s.host.options.Log.Info("session removed", "session", string(s.id))
	return s.host.options.Queue.PublishFact(ctx, events.SessionChanged{Version: events.FactVersion, SessionID: s.id, UserID: current.UserID,
		State: session.Removed, Reason: current.Reason, At: time.Now().UTC()})
}

// logoutPatience is how long a session that is being removed may take to be logged in, so that it can be logged out.
const logoutPatience = 20 * time.Second

// logout waits until the device is logged in; a device that WhatsApp has removed already needs no more.
func (s *hosting) logout(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, logoutPatience)
	defer cancel()
	select {
	case <-s.gate.connected():
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fault.New(fault.RetryLater, "logout_waits", "The device is not connected and cannot be logged out yet; it is tried again")
	}
	if err := s.connection.Logout(ctx); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}

// answer is how a request to send is served: gate, pace, send (stages.go).
func (s *hosting) answer(ctx context.Context, request events.SendRequest) events.SendReply {
	work := &errand{hosting: s, request: request}
	if err := runStages(ctx, work, hostStages()); err != nil {
		s.host.metrics.sends.WithLabelValues(fault.Of(err).Label()).Inc()
		return events.FailedReply(err)
	}
	s.host.metrics.sends.WithLabelValues("ok").Inc()
	return events.SendReply{SentAt: work.sentAt}
}

// sleep waits, or ends early with the context's error.
func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
