package sender

import (
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// transition alters a session's record as something that happened asks for. It gives false when nothing is to change.
type transition func(current *session.Session, now time.Time) bool

// endings says which state an end leads to. An end that is not listed leaves the session offline, to be connected again.
var endings = map[session.Reason]session.State{
	session.ReasonRemoved:      session.LoggedOut,
	session.ReasonLoggedOut:    session.LoggedOut,
	session.ReasonBanned:       session.LoggedOut,
	session.ReasonTemporaryBan: session.Paused,
	session.ReasonReplaced:     session.Replaced,
	session.ReasonOutdated:     session.Outdated,
}

// How long a limit is taken to last when WhatsApp does not say.
const (
	banWithoutEnd  = time.Hour
	lockWithoutEnd = 24 * time.Hour
)

// toReady is what a connected session is, unless WhatsApp limits it.
func toReady() transition {
	return func(current *session.Session, now time.Time) bool {
		linked := current.State.Linked() || current.State == session.Outdated
		if !linked || current.State == session.Ready || limited(*current, now) {
			return false
		}
		current.State, current.Reason, current.Until = session.Ready, session.ReasonNone, time.Time{}
		return true
	}
}

// toOffline is what a session that was ready is without its connection.
func toOffline(reason session.Reason) transition {
	return func(current *session.Session, _ time.Time) bool {
		if current.State != session.Ready {
			return false
		}
		current.State, current.Reason = session.Offline, reason
		return true
	}
}

// toLoggedOut is what a session without its device is.
func toLoggedOut(reason session.Reason) transition {
	return func(current *session.Session, _ time.Time) bool {
		if !current.State.Linked() && current.State != session.Outdated {
			return false
		}
		current.State, current.Reason, current.Until, current.Device = session.LoggedOut, reason, time.Time{}, session.Device{}
		return true
	}
}

// toEnded is what a session is whose connection ended for good.
func toEnded(ended session.Ended) transition {
	state, listed := endings[ended.Reason]
	switch {
	case !listed:
		return toOffline(ended.Reason)
	case state == session.LoggedOut:
		return toLoggedOut(ended.Reason)
	}
	return func(current *session.Session, now time.Time) bool {
		if !current.State.Linked() {
			return false
		}
		current.State, current.Reason, current.Until = state, ended.Reason, ended.Until
		if state == session.Paused && current.Until.IsZero() {
			current.Until = now.Add(banWithoutEnd)
		}
		return true
	}
}

// toPaused is what a session is whose account WhatsApp does not let write to people.
func toPaused(reason session.Reason, until time.Time) transition {
	return func(current *session.Session, now time.Time) bool {
		if !current.State.Linked() || limited(*current, now) {
			return false
		}
		current.State, current.Reason, current.Until = session.Paused, reason, until
		return true
	}
}

// toRestricted is what a session is whose reach-out lock WhatsApp set or lifted.
func toRestricted(restricted session.Restricted) transition {
	return func(current *session.Session, now time.Time) bool {
		locked := current.State == session.Paused && current.Reason == session.ReasonReachOutLock
		switch {
		case restricted.Active && current.State.Linked():
			until := restricted.Until
			if until.IsZero() {
				until = now.Add(lockWithoutEnd)
			}
			if locked && current.Until.Equal(until) {
				return false
			}
			current.State, current.Reason, current.Until = session.Paused, session.ReasonReachOutLock, until
			return true
		case !restricted.Active && locked:
			current.State, current.Reason, current.Until = session.Offline, session.ReasonNone, time.Time{}
			return true
		}
		return false
	}
}
