package sender

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

// signal handles what the connection reports. It is called one at a time and never at once with itself; what it does is idempotent, as
// WhatsApp repeats itself.
func (s *hosting) signal(ctx context.Context, signal session.Signal) {
	switch signal := signal.(type) {
	case session.Connected:
		s.connected(ctx)
	case session.Disconnected, session.Restarting:
		s.gate.setOnline(false)
		s.report(ctx, toOffline(session.ReasonConnectionLost))
	case session.Ended:
		s.gate.setOnline(false)
		s.report(ctx, toEnded(signal))
		select {
		case s.ended <- endedError{reason: signal.Reason}:
		default: // one end is enough
		}
	case session.Restricted:
		s.report(ctx, toRestricted(signal))
	case session.QROffered:
		s.host.metrics.qrIgnored.Inc()
		s.host.options.Log.Info("QR ignored: the session is linked", "session", string(s.id))
	case session.ReceiptArrived:
		s.publishReceipt(ctx, signal)
	case session.RetryAsked:
		s.host.metrics.retries.Inc()
	case session.MessageArrived:
		s.persist(ctx, events.MessageReceived{Version: events.FactVersion, SessionID: s.id, MessageIn: signal.MessageID,
			Phone: signal.Phone, LID: signal.LID, Text: signal.Text, At: signal.At})
	case session.KeepAliveLate:
		s.host.options.Log.Warn("WhatsApp does not answer keep-alives", "session", string(s.id), "since", signal.Since)
	case session.StreamFailed:
		s.host.options.Log.Warn("WhatsApp reported a stream error", "session", string(s.id), "code", signal.Code)
	}
}

// connected opens the gate. WhatsApp's client reports it after every reconnect and sometimes twice: then nothing happens but a counter.
func (s *hosting) connected(ctx context.Context) {
	s.gate.setOnline(true)
	changed := s.report(ctx, toReady())
	if !changed {
		s.host.metrics.readyDuplicates.Inc()
	}
}

// transition alters a session's record as a signal asks for. It gives false when nothing is to change.
type transition func(current *session.Session, now time.Time) bool

func toReady() transition {
	return func(current *session.Session, now time.Time) bool {
		limited := current.State == session.Paused && (current.Until.IsZero() || now.Before(current.Until))
		if current.State == session.Ready || current.State == session.Removing || limited {
			return false
		}
		current.State, current.Reason, current.Until = session.Ready, session.ReasonNone, time.Time{}
		return true
	}
}

func toOffline(reason session.Reason) transition {
	return func(current *session.Session, _ time.Time) bool {
		if current.State != session.Ready {
			return false
		}
		current.State, current.Reason = session.Offline, reason
		return true
	}
}

func toLoggedOut(reason session.Reason) transition {
	return func(current *session.Session, _ time.Time) bool {
		if current.State == session.LoggedOut || current.State == session.Removing {
			return false
		}
		current.State, current.Reason, current.Until, current.Device = session.LoggedOut, reason, time.Time{}, session.Device{}
		return true
	}
}

// endings says which state an end leads to. An end that is not listed leaves the session offline, to be connected again.
var endings = map[session.Reason]session.State{
	session.ReasonRemoved:      session.LoggedOut,
	session.ReasonLoggedOut:    session.LoggedOut,
	session.ReasonBanned:       session.LoggedOut,
	session.ReasonTemporaryBan: session.Paused,
	session.ReasonReplaced:     session.Replaced,
	session.ReasonOutdated:     session.Outdated,
}

func toEnded(ended session.Ended) transition {
	state, listed := endings[ended.Reason]
	switch {
	case !listed:
		return toOffline(ended.Reason)
	case state == session.LoggedOut:
		return toLoggedOut(ended.Reason)
	}
	return func(current *session.Session, _ time.Time) bool {
		if current.State == session.Removing || (current.State == state && current.Reason == ended.Reason) {
			return false
		}
		current.State, current.Reason, current.Until = state, ended.Reason, ended.Until
		return true
	}
}

func toRestricted(restricted session.Restricted) transition {
	return func(current *session.Session, _ time.Time) bool {
		switch {
		case restricted.Active && (current.State == session.Ready || current.State == session.Offline || current.State == session.Paused):
			current.State, current.Reason, current.Until = session.Paused, session.ReasonReachOutLock, restricted.Until
			return true
		case !restricted.Active && current.State == session.Paused && current.Reason == session.ReasonReachOutLock:
			current.State, current.Reason, current.Until = session.Ready, session.ReasonNone, time.Time{}
			return true
		}
		return false
	}
}

// report writes a transition down and says so; it tells whether there was one. What cannot be written now is put right by the next signal
// or the next look at the record, so that a failing store does not stop the connection.
func (s *hosting) report(ctx context.Context, change transition) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	changed, err := s.changed(ctx, change)
	if err != nil {
		s.host.options.Log.Error("session's state could not be written", "session", string(s.id), "error", err)
	}
	return changed
}

func (s *hosting) change(ctx context.Context, change transition) error {
	_, err := s.changed(ctx, change)
	return err
}

func (s *hosting) changed(ctx context.Context, change transition) (bool, error) {
	now := time.Now().UTC()
	altered := false
	stored, err := session.Modify(ctx, s.host.options.Sessions, s.id, func(current *session.Session) error {
		altered = change(current, now)
		if !altered {
			return session.ErrUnchanged
		}
		current.UpdatedAt = now
		return nil
	})
	if err != nil || !altered {
		return false, err
	}
	s.gate.set(stored)
	s.host.options.Log.Info("session changed", "session", string(s.id), "state", string(stored.State), "reason", string(stored.Reason))
	return true, s.host.options.Queue.PublishFact(ctx, events.SessionChanged{Version: events.FactVersion, SessionID: s.id,
		UserID: stored.UserID, State: stored.State, Reason: stored.Reason, Until: stored.Until, At: now})
}

// persist publishes a fact that WhatsApp will not repeat once it is confirmed: it tries until the queue has it, or the host stops and leaves
// it unconfirmed.
func (s *hosting) persist(ctx context.Context, fact events.Fact) {
	for failures := 1; ; failures++ {
		err := s.host.options.Queue.PublishFact(ctx, fact)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.host.options.Log.Warn("fact could not be published and is tried again", "session", string(s.id), "error", err)
		if sleep(ctx, retryWait(err, min(failures, 4))) != nil {
			return
		}
	}
}
