package linker

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/session"
)

type metrics struct {
	links           *prometheus.CounterVec
	duration        *prometheus.HistogramVec
	steps           *prometheus.HistogramVec
	ignored         *prometheus.CounterVec
	refused         prometheus.Counter
	qrIgnored       prometheus.Counter
	readyDuplicates prometheus.Counter
	secondTries     prometheus.Counter
	waiting         prometheus.Gauge
	held            prometheus.GaugeFunc
	// since is when the job in hand was taken, in Unix nanoseconds; zero: there is none.
	since atomic.Int64
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		links: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "links_total", Help: "Links that ended, by their last state.",
		}, []string{"outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "link_duration_seconds", Help: "Time from taking a link job to the link's end, by its last state.",
			Buckets: []float64{.1, .5, 1, 5, 15, 30, 60, 120, 180, 300, 600}, NativeHistogramBucketFactor: 1.1,
		}, []string{"outcome"}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "link_step_duration_seconds", Help: "Time that a link spent in a state, by the state that it left.",
			Buckets: []float64{.1, .5, 1, 5, 15, 30, 60, 120, 180, 300, 600}, NativeHistogramBucketFactor: 1.1,
		}, []string{"state"}),
		ignored: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "link_events_ignored_total", Help: "Events that the link's state does not know, by state and event.",
		}, []string{"state", "event"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "link_commands_refused_total", Help: "Link commands for sessions that were linked already.",
		}),
		qrIgnored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wa_qr_ignored_total", Help: "QR codes that came after the phone had accepted.",
		}),
		readyDuplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wa_ready_duplicates_total", Help: "Reports of a connected device that a link had had already.",
		}),
		secondTries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "link_second_attempts_total", Help: "Links by code whose first code failed and that got a second one by themselves.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "links_in_progress", Help: "Links of the whole fleet that wait or are in work, as this linker saw them last.",
		}),
	}
	m.held = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "link_slot_held_seconds", Help: "How long this linker has had the fleet's one link job in hand; 0 when it has none.",
	}, m.holding)
	for _, state := range session.LinkStates() {
		if state.Ended() {
			m.links.WithLabelValues(string(state))
		}
		for _, kind := range session.EventKinds() {
			if !state.Accepts(kind) {
				m.ignored.WithLabelValues(string(state), string(kind)) // an increase from nothing is none to Prometheus
			}
		}
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.links, m.duration, m.steps, m.held, m.ignored, m.refused, m.qrIgnored, m.readyDuplicates, m.secondTries,
		m.waiting} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register link metrics: %w", err)
		}
	}
	return m, nil
}

// hold notes that a job is in hand, until the release that it gives.
func (m *metrics) hold() (release func()) {
	m.since.Store(time.Now().UnixNano())
	return func() { m.since.Store(0) }
}

func (m *metrics) holding() float64 {
	since := m.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(time.Unix(0, since)).Seconds()
}
