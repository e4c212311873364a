package sender

import (
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// gate answers, from memory, whether a hosted session may send now. It follows the connection's signals and the session's record.
type gate struct {
	mu       sync.Mutex
	state    session.State
	until    time.Time
	online   bool
	onlineCh chan struct{}
}

// set takes over the record: a pause that a person or another worker wrote holds from the next message on.
func (g *gate) set(s session.Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state, g.until = s.State, s.Until
}

// setOnline notes whether the connection is logged in.
func (g *gate) setOnline(online bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if online && !g.online {
		close(g.channel())
	}
	if !online && g.online {
		g.onlineCh = nil
	}
	g.online = online
}

// connected is closed while the connection is logged in.
func (g *gate) connected() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.channel()
}

func (g *gate) channel() chan struct{} {
	if g.onlineCh == nil {
		g.onlineCh = make(chan struct{})
	}
	return g.onlineCh
}

// offlineWait is how long a broken connection usually takes to come back.
const offlineWait = 2 * time.Second

// check gives why the session may not send now; nil when it may.
func (g *gate) check(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.state == session.Removing:
		return fault.New(fault.Relink, "session_removed", "The session is being removed; use another one")
	case g.state == session.Paused && (g.until.IsZero() || now.Before(g.until)):
		return fault.New(fault.PauseSession, "session_paused", "WhatsApp limits this account at the moment; it goes on when the limit ends").
			WithUntil(g.until)
	case !g.online:
		return fault.New(fault.RetryLater, "session_offline", "The session is not connected at the moment; it is tried again").WithAfter(offlineWait)
	}
	return nil
}
