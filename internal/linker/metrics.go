package linker

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	links           *prometheus.CounterVec
	duration        *prometheus.HistogramVec
	ignored         *prometheus.CounterVec
	refused         prometheus.Counter
	qrIgnored       prometheus.Counter
	readyDuplicates prometheus.Counter
	secondTries     prometheus.Counter
	waiting         prometheus.Gauge
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
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.links, m.duration, m.ignored, m.refused, m.qrIgnored, m.readyDuplicates, m.secondTries,
		m.waiting} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register link metrics: %w", err)
		}
	}
	return m, nil
}
