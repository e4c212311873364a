package sender

import (
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// gate answers, from memory, whether a hosted session may send now. It follows the connection's signals and the session's record.
type gate struct {
	mu     sync.Mutex
	record session.Session
	online bool
	// up is closed while the connection is logged in; nil: nobody asked since it last broke.
	up chan struct{}
}

// set takes over the record: a limit that was written down holds from the next message on.
func (g *gate) set(record session.Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.record = record
}

// setOnline notes whether the connection is logged in.
func (g *gate) setOnline(online bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if online && !g.online {
		close(g.channel())
	}
	if !online && g.online {
		g.up = nil
	}
	g.online = online
}

// isOnline tells whether the connection is logged in.
func (g *gate) isOnline() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.online
}

// connected is closed as soon as the connection is logged in.
func (g *gate) connected() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.channel()
}

func (g *gate) channel() chan struct{} {
	if g.up == nil {
		g.up = make(chan struct{})
	}
	return g.up
}

// agrees tells whether the gate knows a record already, and the record says of the connection what is so.
func (g *gate) agrees(found session.Session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.record.Revision >= found.Revision && g.online == (g.record.State == session.Ready)
}

// offlineWait is how long a broken connection usually takes to come back.
const offlineWait = 2 * time.Second

// check gives why the session may not send now; nil when it may.
func (g *gate) check(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := refusal(g.record, now); err != nil {
		return err
	}
	if !g.online {
		return fault.New(fault.RetryLater, "session_offline", "The session is not connected at the moment; it is tried again").WithAfter(offlineWait)
	}
	return nil
}

// checkConnection is check without the record: for a message that the account's limit does not concern.
func (g *gate) checkConnection() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.online {
		return fault.New(fault.RetryLater, "session_offline", "The session is not connected at the moment; it is tried again").WithAfter(offlineWait)
	}
	return nil
}

// refusal gives why a session with this record may not send, whatever its connection does; nil when the record allows it.
func refusal(record session.Session, now time.Time) error {
	switch record.State {
	case session.Ready, session.Offline:
		return nil
	case session.Paused:
		if limited(record, now) {
			return fault.New(fault.PauseSession, codeOf(record), "WhatsApp limits this account at the moment; it goes on when the limit ends").
				WithUntil(record.Until)
		}
		return nil
	case session.Replaced:
		return fault.New(fault.RetryLater, codeOf(record), "The session's device is open somewhere else; close it there").WithAfter(replacedRest)
	case session.Outdated:
		return fault.New(fault.Upgrade, codeOf(record), "WhatsApp asks for a newer version of this program; tell the operator")
	case session.Removing, session.Removed:
		return fault.New(fault.Relink, string(session.ReasonUnlinked), "The session was unlinked; use another one")
	case session.New, session.Linking, session.LoggedOut:
		return fault.New(fault.Relink, codeOf(record), "The session is not linked; link the phone again")
	}
	return fault.New(fault.Internal, "session_state_unknown", "The session is in a state that this worker does not know; upgrade the workers")
}

// limited tells whether WhatsApp's limit on a session still holds; one without an end holds until WhatsApp lifts it.
func limited(record session.Session, now time.Time) bool {
	return record.State == session.Paused && (record.Until.IsZero() || now.Before(record.Until))
}

// codeOf names why a session is in its state: its reason or, without one, the state itself.
func codeOf(record session.Session) string {
	if record.Reason != session.ReasonNone {
		return string(record.Reason)
	}
	return string(record.State)
}
