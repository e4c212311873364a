package sender

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Egresses has the clock of each way out, which all workers share; internal/pace.Links is it.
type Egresses interface {
	// Connect takes the next turn to connect through an egress, a random part of longest after the one before, and gives its time.
	Connect(ctx context.Context, egress string, longest time.Duration) (at time.Time, err error)
	// Record notes a logout, so that its number and its egress cool down. The same one may be recorded again.
	Record(ctx context.Context, logout session.Logout) error
}

// dialsAtOnce bounds how many sessions of a host connect at the same time. One after another, two hundred that a worker left behind would take
// minutes; all at once they would be a storm.
const dialsAtOnce = 16

// dials lets one session of an egress connect at a time, and few of the whole host.
type dials struct {
	host chan struct{}

	mu sync.Mutex
	// egresses has a place for each way out that was ever dialled through.
	egresses map[string]chan struct{}
}

func newDials() *dials {
	return &dials{host: make(chan struct{}, dialsAtOnce), egresses: map[string]chan struct{}{}}
}

// begin waits for a turn to dial; ended gives it back. It gives false when the context ends before.
func (d *dials) begin(ctx context.Context, egress string) (ended func(), begun bool) {
	places := []chan struct{}{d.of(egress), d.host}
	for i, place := range places {
		select {
		case place <- struct{}{}:
		case <-ctx.Done():
			for _, taken := range places[:i] {
				<-taken
			}
			return nil, false
		}
	}
	return func() {
		for _, taken := range places {
			<-taken
		}
	}, true
}

func (d *dials) of(egress string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.egresses[egress] == nil {
		d.egresses[egress] = make(chan struct{}, 1)
	}
	return d.egresses[egress]
}

// awaitTurn waits until it is this session's turn to connect through its egress.
func (s *hosting) awaitTurn(ctx context.Context) error {
	at, err := s.host.options.Egresses.Connect(ctx, s.egress, s.host.options.ConnectJitter)
	if err != nil {
		return fmt.Errorf("take a turn to connect: %w", err)
	}
	if wait := time.Until(at); wait > 0 && sleep(ctx, wait) != nil {
		return errMoving()
	}
	return nil
}

// again waits for the turn of a reconnect: a while that doubles with each failure, with a random half, and then the egress's own turn, like any
// other connection. A clock that cannot be read holds nothing up.
func (s *hosting) again(ctx context.Context, failures int) error {
	if failures > 0 && sleep(ctx, backoff(failures)) != nil {
		return ctx.Err()
	}
	err := s.awaitTurn(ctx)
	if err != nil && ctx.Err() == nil {
		s.host.options.Log.WarnContext(ctx, "reconnect could not take its turn", "session", string(s.id), "class", fault.Of(err).Label(), "error", err)
		return sleep(ctx, backoff(1))
	}
	return ctx.Err()
}

// recordLogout makes the number and the egress of a session cool down that was logged out or banned. It comes before the session's own record, so
// that a crash between the two loses neither: the next owner meets the same end.
func (s *hosting) recordLogout(ctx context.Context, ended session.Ended) {
	if !ended.Reason.CoolsDown() || !s.lease.Held() {
		return
	}
	s.host.metrics.losses.lost(s.egress, ended.Reason, s.linked.LinkedAt)
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := s.host.options.Egresses.Record(ctx, session.Logout{Session: s.id, Egress: s.egress, Phone: s.linked.Device.Phone, Reason: ended.Reason,
		LinkedAt: s.linked.LinkedAt, At: time.Now().UTC(), Until: ended.Until})
	if err != nil {
		s.host.options.Log.ErrorContext(ctx, "logout could not be recorded: its number does not cool down", "session", string(s.id),
			"class", fault.Of(err).Label(), "error", err)
	}
}
