package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// The defaults of HostOptions.
const (
	// DefaultMaxConnections is how many sessions one egress hosts (design.md §10).
	DefaultMaxConnections = 6
	// DefaultSweepEvery is how often a host looks for sessions that nobody told it about.
	DefaultSweepEvery = 10 * time.Second
)

// HostOptions are the parts of a Host. Those without a stated default are required.
type HostOptions struct {
	Sessions   session.Store
	Deliveries campaign.Deliveries
	WhatsApp   WhatsApp
	Leases     Leases
	Queue      Queue
	Watcher    Watcher
	Sends      SendServer
	// Pace is the gap between two messages of a session, whoever asks.
	Pace pace.Options
	// MaxConnections bounds the sessions on one egress; zero: DefaultMaxConnections.
	MaxConnections int
	// ConnectJitter is the longest random wait before each connection; zero: none.
	ConnectJitter time.Duration
	// SweepEvery is how often the store is searched; zero: DefaultSweepEvery.
	SweepEvery time.Duration
	Log        *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Host keeps linked sessions connected.
type Host struct {
	options HostOptions
	metrics *hostMetrics
	// dialling lets one session connect at a time.
	dialling chan struct{}
	nudges   chan struct{}

	mu     sync.Mutex
	hosted map[session.ID]*hosting
	// notBefore holds sessions that failed, until they are worth another try.
	notBefore map[session.ID]retry
}

// retry is when a session is tried again and how often it failed in a row.
type retry struct {
	at       time.Time
	failures int
}

// NewHost checks the options and makes a host; it starts nothing.
func NewHost(options HostOptions) (*Host, error) {
	switch {
	case options.Sessions == nil || options.Deliveries == nil:
		return nil, errors.New("host: Sessions and Deliveries are required")
	case options.WhatsApp == nil || options.Leases == nil || options.Queue == nil || options.Watcher == nil || options.Sends == nil:
		return nil, errors.New("host: WhatsApp, Leases, Queue, Watcher and Sends are required")
	}
	if err := options.Pace.Validate(); err != nil {
		return nil, err
	}
	if options.MaxConnections == 0 {
		options.MaxConnections = DefaultMaxConnections
	}
	if options.SweepEvery == 0 {
		options.SweepEvery = DefaultSweepEvery
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	metrics, err := newHostMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	return &Host{options: options, metrics: metrics, dialling: make(chan struct{}, 1), nudges: make(chan struct{}, 1),
		hosted: map[session.ID]*hosting{}, notBefore: map[session.ID]retry{}}, nil
}

// Run hosts sessions until the context ends. Then each session, beside the others: takes no more requests, finishes the send in
// flight, disconnects, and gives its lease back.
func (h *Host) Run(ctx context.Context) error {
	stopWatching, err := h.options.Watcher.Watch(ctx, "events.session.>", func(string, []byte) { h.nudge() })
	if err != nil {
		return fmt.Errorf("watch sessions: %w", err)
	}
	defer stopWatching()
	var sessions sync.WaitGroup
	defer sessions.Wait()
	ticker := time.NewTicker(h.options.SweepEvery)
	defer ticker.Stop()
	for {
		if err := h.sweep(ctx, &sessions); err != nil && ctx.Err() == nil {
			h.options.Log.Warn("sessions could not be read", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.nudges:
		case <-ticker.C:
		}
	}
}

// nudge makes the host look at the store soon.
func (h *Host) nudge() {
	select {
	case h.nudges <- struct{}{}:
	default: // it is going to look anyway
	}
}

// wanted are the states of sessions that a host has work with.
func wanted() []session.State {
	states := []session.State{session.Removing}
	for _, state := range session.States() {
		if state.Linked() {
			states = append(states, state)
		}
	}
	return states
}

// sweep starts hosting what is not hosted, and tells those that are to look at their record.
func (h *Host) sweep(ctx context.Context, sessions *sync.WaitGroup) error {
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := h.options.Sessions.List(ctx, session.Filter{States: wanted()}, page)
		if err != nil {
			return err
		}
		for _, found := range list.Items {
			h.consider(ctx, found, sessions)
		}
		if list.Next == "" {
			return nil
		}
		page.After = list.Next
	}
}

func (h *Host) consider(ctx context.Context, found session.Session, sessions *sync.WaitGroup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hosting := h.hosted[found.ID]; hosting != nil {
		hosting.lookAgain()
		return
	}
	if time.Now().Before(h.notBefore[found.ID].at) || h.full(found.Egress) {
		return
	}
	if found.State == session.Paused && found.Reason == session.ReasonTemporaryBan && time.Now().Before(found.Until) {
		return
	}
	hosting := newHosting(h, found)
	h.hosted[found.ID] = hosting
	sessions.Go(func() {
		err := hosting.run(ctx)
		h.forget(ctx, found.ID, err)
	})
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

// forget ends the hosting of a session and decides when it is worth another try: soon after a clean end, later after each failure.
func (h *Host) forget(ctx context.Context, id session.ID, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.hosted, id)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		delete(h.notBefore, id)
		return
	}
	failures := h.notBefore[id].failures + 1
	h.notBefore[id] = retry{at: time.Now().Add(retryWait(err, failures)), failures: failures}
	h.options.Log.Info("session is not hosted", "session", string(id), "error", err)
}

const (
	shortestRetry = time.Second
	longestRetry  = time.Minute
	// replacedRetry is how long a session is left alone after another connection took it over: answering at once would be a war
	// (peers.md W6).
	replacedRetry = 5 * time.Minute
	outdatedRetry = time.Hour
)

// retryWait doubles with each failure, with a random half so that sessions that failed together do not come back together.
func retryWait(err error, failures int) time.Duration {
	var ended *endedError
	if errors.As(err, &ended) {
		switch ended.reason {
		case session.ReasonReplaced:
			return replacedRetry
		case session.ReasonOutdated:
			return outdatedRetry
		}
	}
	wait := longestRetry
	if failures < 6 {
		wait = shortestRetry << failures
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
	return ids
}
