package sender

import (
	"context"
	"errors"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// signal handles what the connection reports. It is never called twice at the same time, and what it does is idempotent, as WhatsApp
// repeats itself. Its context ends when the lease is lost.
func (s *hosting) signal(ctx context.Context, signal session.Signal) {
	log := s.host.options.Log
	switch signal := signal.(type) {
	case session.Connected:
		s.connected(ctx)
	case session.Disconnected, session.Restarting:
		s.gate.setOnline(false)
		if s.stability.broken() {
			s.note(ctx, session.EntryDisconnected, session.ReasonConnectionLost, "")
		}
		s.report(ctx, toOffline(session.ReasonConnectionLost))
	case session.Ended:
		s.end(ctx, signal)
	case session.Restricted:
		s.note(ctx, restrictionKind(signal), session.ReasonReachOutLock, "")
		s.restricted(ctx, signal)
	case session.QROffered:
		s.host.metrics.qrIgnored.Inc()
		log.InfoContext(ctx, "QR ignored: the session is linked", "session", string(s.id))
	case session.ReceiptArrived:
		s.publishReceipt(ctx, signal)
	case session.PhoneSeen:
		s.phoneSeen(ctx, signal)
	case session.RetryAsked:
		s.host.metrics.retries.Inc()
	case session.MessageArrived:
		s.journal.wrote(signal.Phone)
		s.keep(ctx, func(ctx context.Context) error {
			return s.host.options.Queue.PublishFact(ctx, events.MessageReceived{Version: events.FactVersion, SessionID: s.id,
				MessageIn: signal.MessageID, Phone: signal.Phone, LID: signal.LID, Text: signal.Text, At: signal.At.UTC()})
		})
	case session.KeepAliveLate:
		log.WarnContext(ctx, "WhatsApp does not answer keep-alives", "session", string(s.id), "since", signal.Since)
	case session.StreamFailed:
		log.WarnContext(ctx, "WhatsApp reported a stream error", "session", string(s.id), "code", signal.Code)
		s.note(ctx, session.EntryStreamError, session.ReasonNone, signal.Code)
	}
}

func restrictionKind(signal session.Restricted) session.EntryKind {
	if signal.Active {
		return session.EntryRestricted
	}
	return session.EntryUnrestricted
}

// connected opens the gate. WhatsApp's client reports it after every reconnect and sometimes twice: then nothing happens but a counter.
func (s *hosting) connected(ctx context.Context) {
	s.wasReady.Store(true)
	s.gate.setOnline(true)
	if s.stability.begin() {
		s.note(ctx, session.EntryConnected, session.ReasonNone, "")
	}
	stored, changed := s.report(ctx, toReady())
	if !changed && stored.State == session.Ready {
		s.host.metrics.readyDuplicates.Inc()
	}
}

// end closes the gate, writes down what the end means, and ends the hosting.
func (s *hosting) end(ctx context.Context, signal session.Ended) {
	s.gate.setOnline(false)
	s.stability.broken()
	s.host.options.Log.WarnContext(ctx, "connection ended", "session", string(s.id), "reason", string(signal.Reason), "detail", signal.Detail)
	s.note(ctx, session.EntryEnded, signal.Reason, signal.Detail)
	s.recordLogout(ctx, signal)
	if signal.Reason == session.ReasonTemporaryBan {
		s.trouble(ctx)
	}
	s.report(ctx, toEnded(signal))
	select {
	case s.ended <- endedError{reason: signal.Reason, renewed: signal.Renewed}:
	default: // one end is enough
	}
}

// restricted follows the account's lock; when it is lifted the session is as ready as its connection.
func (s *hosting) restricted(ctx context.Context, signal session.Restricted) {
	_, changed := s.report(ctx, func(current *session.Session, now time.Time) bool {
		changed := toRestricted(signal)(current, now)
		if changed && s.gate.isOnline() {
			toReady()(current, now)
		}
		return changed
	})
	if changed && signal.Active { // WhatsApp repeats itself
		s.trouble(ctx)
	}
}

// report writes a transition down and says so. It gives the record, and whether it changed. What cannot be written now is put right by the next
// signal or the next look at the record, so that a failing store does not stop the connection.
func (s *hosting) report(ctx context.Context, change transition) (stored session.Session, changed bool) {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	stored, changed, err := s.apply(ctx, change)
	if changed {
		err = s.announce(ctx, stored)
	}
	if err != nil {
		s.host.options.Log.ErrorContext(ctx, "session's state could not be written or told", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
	}
	return stored, changed
}

// apply writes a transition down. Only the owner writes: a connection that was replaced because the session has moved has nothing to say.
func (s *hosting) apply(ctx context.Context, change transition) (stored session.Session, changed bool, err error) {
	if !s.lease.Held() {
		return session.Session{}, false, nil
	}
	now := time.Now().UTC()
	stored, err = session.Modify(ctx, s.host.options.Sessions, s.id, func(current *session.Session) error {
		changed = change(current, now)
		if !changed {
			return session.ErrUnchanged
		}
		current.UpdatedAt = now
		return nil
	})
	if err != nil {
		return session.Session{}, false, err
	}
	s.gate.set(stored)
	return stored, changed, nil
}

// announce says that a session changed, and pauses the campaigns of one that cannot send.
func (s *hosting) announce(ctx context.Context, stored session.Session) error {
	s.host.options.Log.InfoContext(ctx, "session changed", "session", string(s.id), "state", string(stored.State), "reason", string(stored.Reason))
	err := s.host.options.Queue.PublishFact(ctx, events.SessionChanged{Version: events.FactVersion, SessionID: s.id, UserID: stored.UserID,
		State: stored.State, Reason: stored.Reason, Until: stored.Until, At: stored.UpdatedAt})
	switch stored.State {
	case session.Paused, session.LoggedOut, session.Outdated:
		err = errors.Join(err, s.holdCampaigns(ctx, stored))
	default:
	}
	return err
}

// closingPause is how long a signal that could not be kept waits for the connection's Close to have begun, so that it is not confirmed.
const closingPause = 50 * time.Millisecond

// keep does what WhatsApp will not repeat once it is confirmed, again and again until it is done. Only the end of the connection ends it
// before: what is not kept then is not confirmed either, and comes again at the next connection.
func (s *hosting) keep(ctx context.Context, do func(context.Context) error) {
	for failures := 1; ; failures++ {
		trying, cancel := context.WithTimeout(ctx, closeTimeout)
		err := do(trying)
		cancel()
		if err == nil {
			return
		}
		wait := backoff(min(failures, 4))
		s.host.options.Log.WarnContext(ctx, "what WhatsApp reported could not be kept and is tried again", "session", string(s.id),
			"class", fault.Of(err).Label(), "wait", wait, "error", err)
		select {
		case <-s.closing:
			_ = sleep(context.WithoutCancel(ctx), closingPause)
			return
		case <-time.After(wait):
		}
	}
}
