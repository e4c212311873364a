package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// The defaults of HostOptions.
const (
	// DefaultMaxConnections is how many sessions one egress hosts (design.md §10).
	DefaultMaxConnections = 6
	// DefaultSweepEvery is how often a host or a sweeper looks for what nobody told it about. With the TTL of a lease it bounds how
	// long the sessions of a worker that died stay without a host.
	DefaultSweepEvery = 5 * time.Second
)

// HostOptions are the parts of a Host. Those without a stated default are required.
type HostOptions struct {
	Sessions   session.Store
	Campaigns  campaign.Store
	Deliveries campaign.Deliveries
	Histories  session.Histories
	WhatsApp   WhatsApp
	Leases     Leases
	Queue      Queue
	Watcher    Watcher
	Sends      SendServer
	// Egresses paces the connections of all workers on one egress, and hears of logouts; nil: only those of this host are paced, and nothing
	// cools down.
	Egresses Egresses
	// Documents are the records that need no query: who wrote, files, what was said about the pace.
	Documents store.Documents
	// Limits are those of a session of which nothing else is said; the zero value is none, which only suits a simulator.
	Limits campaign.Limits
	// Budgets count against them; nil: in this process's memory.
	Budgets Budgets
	// MaxConnections bounds the sessions on one egress; zero: DefaultMaxConnections.
	MaxConnections int
	// ConnectJitter is the longest random wait before each connection; zero: none.
	ConnectJitter time.Duration
	// SweepEvery is how often the store is searched; zero: DefaultSweepEvery.
	SweepEvery time.Duration
	// Log takes what happens to sessions; nil: it is dropped.
	Log *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Host keeps linked sessions connected.
type Host struct {
	options HostOptions
	metrics *hostMetrics
	// dialling lets one session connect at a time.
	dialling chan struct{}
	nudges   nudges

	mu     sync.Mutex
	hosted map[session.ID]*hosting
	// resting has the sessions that are not worth a try before a time.
	resting map[session.ID]rest
	// yielding has the sessions that were found free, and when.
	yielding map[session.ID]time.Time
}

// rest is until when a session is left alone, and how often it failed in a row; held: another worker has it.
type rest struct {
	until    time.Time
	failures int
	held     bool
}

// NewHost checks the options and makes a host; it starts nothing.
func NewHost(options HostOptions) (*Host, error) {
	switch {
	case options.Sessions == nil || options.Campaigns == nil || options.Deliveries == nil || options.Histories == nil || options.Documents == nil:
		return nil, errors.New("host: Sessions, Campaigns, Deliveries, Histories and Documents are required")
	case options.WhatsApp == nil || options.Leases == nil || options.Queue == nil || options.Watcher == nil || options.Sends == nil:
		return nil, errors.New("host: WhatsApp, Leases, Queue, Watcher and Sends are required")
	case options.MaxConnections < 0 || options.ConnectJitter < 0 || options.SweepEvery < 0:
		return nil, errors.New("host: MaxConnections, ConnectJitter and SweepEvery must not be negative")
	}
	if err := options.Limits.Validate(); err != nil {
		return nil, err
	}
	if options.Budgets == nil {
		options.Budgets = pace.NewBudgets(&pace.Memory{})
	}
	options.MaxConnections = orDefault(options.MaxConnections, DefaultMaxConnections)
	options.SweepEvery = orDefault(options.SweepEvery, DefaultSweepEvery)
	options.Log = orDiscard(options.Log)
	if options.Egresses == nil {
		alone, err := pace.NewLinks(pace.LinksOptions{Bucket: &pace.Memory{}})
		if err != nil {
			return nil, err
		}
		options.Egresses = alone
	}
	metrics, err := newHostMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	h := &Host{options: options, metrics: metrics, dialling: make(chan struct{}, 1), nudges: newNudges(),
		hosted: map[session.ID]*hosting{}, resting: map[session.ID]rest{}, yielding: map[session.ID]time.Time{}}
	if err := register(options.Registerer, newSilences(h)); err != nil {
		return nil, err
	}
	return h, nil
}

// Run hosts sessions until the context ends, and returns when the last one is given up (hosting.go says in which order).
func (h *Host) Run(ctx context.Context) error {
	stopWatching, err := h.options.Watcher.Watch(ctx, "events.session.>", func(subject string, _ []byte) { h.nudges.add(subject) })
	if err != nil {
		return fmt.Errorf("watch sessions: %w", err)
	}
	defer stopWatching()
	var hostings sync.WaitGroup
	defer hostings.Wait()
	ticker := time.NewTicker(h.options.SweepEvery)
	defer ticker.Stop()
	err = h.sweep(ctx, &hostings)
	for {
		if err != nil && ctx.Err() == nil {
			h.options.Log.WarnContext(ctx, "sessions could not be taken and are looked at again", "class", fault.Of(err).Label(), "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.nudges.came:
			err = h.follow(ctx, &hostings)
		case <-ticker.C:
			err = h.sweep(ctx, &hostings)
		}
	}
}

// nudges collects which sessions something was said about. Many at once are one look.
type nudges struct {
	mu   *sync.Mutex
	ids  map[session.ID]struct{}
	came chan struct{}
}

func newNudges() nudges {
	return nudges{mu: &sync.Mutex{}, ids: map[session.ID]struct{}{}, came: make(chan struct{}, 1)}
}

// add notes the session of a fact's subject ("events.session.<id>.<what>"). What a contact wrote changes nothing for a host, nor what
// a host said of itself.
func (n nudges) add(subject string) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 || parts[3] == "inbound" || parts[3] == "stable" || parts[3] == "phone" {
		return
	}
	n.session(session.ID(parts[2]))
}

// session notes one session.
func (n nudges) session(id session.ID) {
	n.mu.Lock()
	n.ids[id] = struct{}{}
	n.mu.Unlock()
	select {
	case n.came <- struct{}{}:
	default: // it is going to look anyway
	}
}

func (n nudges) take() []session.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := make([]session.ID, 0, len(n.ids))
	for id := range n.ids {
		ids = append(ids, id)
	}
	clear(n.ids)
	return ids
}

// wanted are the states of sessions that a host has work with. An outdated one is tried again: this may be the newer version.
func wanted() []session.State {
	states := []session.State{session.Removing, session.Outdated}
	for _, state := range session.States() {
		if state.Linked() {
			states = append(states, state)
		}
	}
	return states
}

// sweep looks at every session that a host has work with.
func (h *Host) sweep(ctx context.Context, hostings *sync.WaitGroup) error {
	found, err := session.ListAll(ctx, h.options.Sessions, session.Filter{States: wanted()})
	if err != nil {
		return err
	}
	h.metrics.fleet.show(found)
	for _, one := range found {
		if err := h.consider(ctx, one, hostings); err != nil {
			return err
		}
	}
	return nil
}

// follow looks at the sessions that something was said about. One that another worker had may be free now.
func (h *Host) follow(ctx context.Context, hostings *sync.WaitGroup) error {
	for _, id := range h.nudges.take() {
		h.wake(id)
		found, err := h.options.Sessions.Get(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			h.forget(id)
			continue
		}
		if err != nil {
			return fmt.Errorf("read session: %w", err)
		}
		if !slices.Contains(wanted(), found.State) {
			continue
		}
		if err := h.consider(ctx, found, hostings); err != nil {
			return err
		}
	}
	return nil
}

// forget drops what was noted of a session that does not exist any more.
func (h *Host) forget(id session.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.yielding, id)
	delete(h.resting, id)
}

// wake makes the hosting of a session look at its record, or ends the rest of a session that another worker had.
func (h *Host) wake(id session.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hosting := h.hosted[id]; hosting != nil {
		hosting.lookAgain()
	}
	if h.resting[id].held {
		delete(h.resting, id)
	}
}

// consider starts hosting a session, if it is not hosted, worth a try, and there is room.
func (h *Host) consider(ctx context.Context, found session.Session, hostings *sync.WaitGroup) error {
	if !h.free(found) || h.yields(found.ID) {
		return nil
	}
	claimed, err := h.options.Leases.Claim(ctx, found.ID)
	if errors.Is(err, lease.ErrHeld) {
		// Well before the next sweep: this one may have come late, by a yield or a slow answer, and the next must not find the rest unfinished.
		h.leave(found.ID, rest{until: time.Now().Add(h.options.SweepEvery / 4), held: true})
		return nil
	}
	if err != nil {
		return err
	}
	hosting := newHosting(h, found, claimed)
	h.mu.Lock()
	h.hosted[found.ID] = hosting
	h.mu.Unlock()
	h.metrics.hosted.Inc()
	h.metrics.losses.expect(hosting.egress)
	hostings.Go(func() {
		defer h.metrics.hosted.Dec()
		h.finished(ctx, hosting, hosting.run(ctx))
	})
	return nil
}

// free tells whether a session may be taken now; a hosted one is told to look at its record.
func (h *Host) free(found session.Session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hosting := h.hosted[found.ID]; hosting != nil {
		hosting.lookAgain()
		return false
	}
	now := time.Now()
	if now.Before(h.resting[found.ID].until) {
		return false
	}
	switch {
	case found.State == session.Removing:
		return true // it goes away at once, so it needs no room
	case found.State == session.Replaced && now.Before(found.UpdatedAt.Add(replacedRest)):
		return false // for every worker alike: answering at once would be a war (peers.md W6)
	case found.Reason == session.ReasonTemporaryBan && limited(found, now):
		return false
	}
	return !h.full(found.EgressName())
}

const (
	// yieldStep is how much later a host claims a free session for each one that it has: longer than a claim takes, so that the host
	// with the least to do gets it. Sessions spread in this way without anybody who divides them; one that is hosted stays where it is,
	// because each move is a reconnect that WhatsApp sees.
	yieldStep = 50 * time.Millisecond
	// longestYield keeps the move of a session within a second.
	longestYield = 500 * time.Millisecond
)

// yields tells whether a free session is left to hosts with less to do for a moment; then it is looked at again by itself.
func (h *Host) yields(id session.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	found, yielding := h.yielding[id]
	if !yielding {
		found = time.Now()
	}
	// What this host has may have grown since: of several sessions that become free at once, each host takes one after the other.
	wait := min(longestYield, time.Duration(len(h.hosted))*yieldStep) - time.Since(found)
	if wait <= 0 {
		delete(h.yielding, id)
		return false
	}
	h.yielding[id] = found
	time.AfterFunc(wait, func() { h.nudges.session(id) })
	return true
}

// full tells whether an egress has as many sessions as it may. The caller holds mu.
func (h *Host) full(egress string) bool {
	count := 0
	for _, hosting := range h.hosted {
		if hosting.egress == egress {
			count++
		}
	}
	return count >= h.options.MaxConnections
}

func (h *Host) leave(id session.ID, rest rest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resting[id] = rest
}

// finished ends the hosting of a session and decides when it is worth another try: later after each failure.
func (h *Host) finished(ctx context.Context, ended *hosting, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.hosted, ended.id)
	if err == nil || ctx.Err() != nil {
		delete(h.resting, ended.id)
		return
	}
	failures := 1
	if !ended.wasReady.Load() {
		failures += h.resting[ended.id].failures
	}
	wait := restAfter(err, failures)
	h.resting[ended.id] = rest{until: time.Now().Add(wait), failures: failures}
	h.options.Log.InfoContext(ctx, "session is not hosted any more", "session", string(ended.id), "class", fault.Of(err).Label(), "error", err, "wait", wait)
}

const (
	shortestRest = time.Second
	longestRest  = time.Minute
	// replacedRest is how long a session is left alone after another connection took its device over.
	replacedRest = 5 * time.Minute
	// outdatedRest is how long a session is left alone after WhatsApp refused this version.
	outdatedRest = time.Hour
)

// restAfter gives how long a session is left alone after a failure.
func restAfter(err error, failures int) time.Duration {
	var ended *endedError
	if errors.As(err, &ended) && ended.reason == session.ReasonOutdated && !ended.renewed {
		return outdatedRest
	}
	return backoff(failures)
}

// backoff doubles with each failure in a row, with a random half, so that what failed together does not come back together.
func backoff(failures int) time.Duration {
	wait := longestRest
	if failures < 6 {
		wait = shortestRest << failures
	}
	return wait/2 + rand.N(wait/2) //nolint:gosec // spreads load, guards no secret
}

// Hosted tells which sessions are hosted now.
func (h *Host) Hosted() []session.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]session.ID, 0, len(h.hosted))
	for id := range h.hosted {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
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
