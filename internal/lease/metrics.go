package lease

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	claimed   prometheus.Counter
	contended prometheus.Counter
	failures  prometheus.Counter
	lost      *prometheus.CounterVec
	held      prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		claimed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "leases_claimed_total", Help: "Leases that this worker claimed.",
		}),
		contended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "leases_contended_total", Help: "Claims refused because the session had a holder.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "leases_renew_failures_total", Help: "Renewals that got no answer; the lease is lost only when they go on.",
		}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "leases_lost_total",
			Help: "Leases lost while held, by cause: taken (the key changed), unreachable (no renewal in time), shutdown (not released before the end).",
		}, []string{"cause"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "leases_held", Help: "Leases that this worker holds now.",
		}),
	}
	for _, cause := range []string{causeTaken, causeUnreachable, causeShutdown} {
		m.lost.WithLabelValues(cause)
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.claimed, m.contended, m.failures, m.lost, m.held} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register lease metrics: %w", err)
		}
	}
	return m, nil
}
