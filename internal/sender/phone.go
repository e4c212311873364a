package sender

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	// phoneLookEvery is how often it is looked how long a session's phone has given no sign.
	phoneLookEvery = time.Hour
	// phoneAskEvery is how often a phone is asked for a sign that has given none for long.
	phoneAskEvery = 24 * time.Hour
	// phoneNoteEvery is how old the note of a phone's last sign may be: a finer one would be a write for nothing.
	phoneNoteEvery = 6 * time.Hour
)

// phoneWatch is what a hosting knows of the phone of its session. Only the goroutine of the hosting touches it.
type phoneWatch struct {
	due *time.Ticker
	// asked is when the phone was last asked for a sign; told is the attention that was asked for last.
	asked time.Time
	told  session.Attention
}

func newPhoneWatch() phoneWatch { return phoneWatch{due: time.NewTicker(phoneLookEvery)} }

// phoneSeen writes down that the phone gave a sign.
func (s *hosting) phoneSeen(ctx context.Context, seen session.PhoneSeen) {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	_, _, err := s.apply(ctx, func(current *session.Session, _ time.Time) bool {
		if seen.At.Sub(current.PhoneSeenAt) < phoneNoteEvery {
			return false
		}
		current.PhoneSeenAt = seen.At.UTC()
		return true
	})
	if err != nil {
		s.host.options.Log.WarnContext(ctx, "sign of a phone could not be noted", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
	}
	s.lookAgain()
}

// lookAtPhone asks a phone that has given no sign for long, and tells people when it goes on.
func (s *hosting) lookAtPhone(ctx context.Context, current session.Session) {
	now := time.Now()
	if current.PhoneSilence(now) >= session.PhoneAskAfter && now.Sub(s.phone.asked) >= phoneAskEvery && s.gate.isOnline() {
		s.phone.asked = now
		s.askPhone(ctx)
	}
	s.tellPhone(ctx, current, current.PhoneAttention(now))
}

func (s *hosting) askPhone(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if err := s.connection.AskPhone(ctx); err != nil {
		s.host.options.Log.WarnContext(ctx, "phone could not be asked for a sign", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
	}
}

// phoneIsBack ends the attention for a phone that gave a sign.
func (s *hosting) phoneIsBack(current session.Session) {
	if current.PhoneAttention(time.Now()) == session.AttentionNone {
		s.setAttention(session.AttentionNone)
	}
}

func (s *hosting) endPhoneWatch() {
	s.phone.due.Stop()
	s.setAttention(session.AttentionNone)
}

// setAttention counts the session under its attention. It gives false when nothing changed.
func (s *hosting) setAttention(attention session.Attention) bool {
	before := s.phone.told
	if attention == before {
		return false
	}
	s.phone.told = attention
	if before != session.AttentionNone {
		s.host.metrics.phonesOffline.WithLabelValues(string(before)).Dec()
	}
	if attention != session.AttentionNone {
		s.host.metrics.phonesOffline.WithLabelValues(string(attention)).Inc()
	}
	return true
}

// tellPhone says once for each degree that the phone is offline.
func (s *hosting) tellPhone(ctx context.Context, current session.Session, attention session.Attention) {
	if !s.setAttention(attention) || attention == session.AttentionNone {
		return
	}
	s.host.options.Log.WarnContext(ctx, "phone of a session is offline", "session", string(s.id), "attention", string(attention), "seen", current.PhoneSeenAt)
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := s.host.options.Queue.PublishFact(ctx, events.PhoneOffline{Version: events.FactVersion, SessionID: s.id, UserID: current.UserID,
		Attention: attention, SeenAt: current.PhoneSeenAt, At: time.Now().UTC()})
	if err != nil {
		s.host.options.Log.WarnContext(ctx, "that a phone is offline could not be told", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
	}
}
