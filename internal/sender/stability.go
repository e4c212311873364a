package sender

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// StableAfter is how long a session has to be connected without a break to be called stable: the origin system looked after five minutes whether a
// fresh link was still there (design.md §10).
const StableAfter = 5 * time.Minute

// stability is how long a session has been connected without a break.
type stability struct {
	gauge prometheus.Gauge
	// due fires when the session may be stable.
	due *time.Timer

	mu     sync.Mutex
	since  time.Time
	stable bool
}

func newStability(gauge prometheus.Gauge) *stability {
	due := time.NewTimer(StableAfter)
	due.Stop()
	return &stability{gauge: gauge, due: due}
}

// begin is called when the session connects; a report that repeats itself changes nothing. It gives false then.
func (s *stability) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.since.IsZero() {
		return false
	}
	s.since = time.Now()
	s.due.Reset(StableAfter)
	return true
}

// broken is called when the connection breaks or ends. It gives false when it was broken already.
func (s *stability) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := !s.since.IsZero()
	s.due.Stop()
	s.since = time.Time{}
	if s.stable {
		s.stable = false
		s.gauge.Dec()
	}
	return was
}

// reached tells since when the session has been connected, once it is stable; false when it broke meanwhile, or is known to be stable.
func (s *stability) reached() (since time.Time, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() || s.stable || time.Since(s.since) < StableAfter {
		return time.Time{}, false
	}
	s.stable = true
	s.gauge.Inc()
	return s.since, true
}

// tellStable says that the session is stable.
func (s *hosting) tellStable(ctx context.Context, userID string) {
	since, fresh := s.stability.reached()
	if !fresh {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	s.host.options.Log.InfoContext(ctx, "session stable", "session", string(s.id))
	err := s.host.options.Queue.PublishFact(ctx, events.SessionStable{Version: events.FactVersion, SessionID: s.id, UserID: userID,
		Since: since.UTC(), At: time.Now().UTC()})
	if err != nil {
		s.host.options.Log.WarnContext(ctx, "that a session is stable could not be told", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
	}
}
