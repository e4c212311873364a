package bus

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// The values of the label "class" that are not classes of failure.
const (
	labelOK         = "ok"
	labelHandedBack = "handed_back"
)

const placeOther = "other"

// places are the values of the label "to".
func places() []string { return []string{"commands", "events", "failed", placeOther} }

type metrics struct {
	handled      *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	redelivered  *prometheus.CounterVec
	failed       *prometheus.CounterVec
	publishError *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jobs_handled_total",
			Help: "Deliveries of jobs that ended, by kind and class of the outcome; ok: done, handed_back: returned by a stopping worker.",
		}, []string{"kind", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "job_duration_seconds",
			Help:    "How long a handler had a job, by kind.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10), NativeHistogramBucketFactor: 1.1,
		}, []string{"kind"}),
		redelivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "job_redeliveries_total", Help: "Deliveries of jobs that were not the first, by kind.",
		}, []string{"kind"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "failed_jobs_total", Help: "Jobs that went to FAILED, by kind and class.",
		}, []string{"kind", "class"}),
		publishError: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "publish_errors_total", Help: "Messages that the queue did not take, by what they are: commands, events, failed, other.",
		}, []string{"to"}),
	}
	for _, to := range places() {
		m.publishError.WithLabelValues(to)
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.handled, m.duration, m.redelivered, m.failed, m.publishError} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register queue metrics: %w", err)
		}
	}
	return m, nil
}

// handledJob counts the end of one delivery.
func (m *metrics) handledJob(kind string, outcome string, took time.Duration) {
	m.handled.WithLabelValues(kind, outcome).Inc()
	m.duration.WithLabelValues(kind).Observe(took.Seconds())
}

// refused counts a message that was not taken. The first word of its subject is the label, when it is one of ours.
func (m *metrics) refused(subject string) {
	to, _, _ := strings.Cut(subject, ".")
	if !slices.Contains(places(), to) {
		to = placeOther
	}
	m.publishError.WithLabelValues(to).Inc()
}

// expect makes the series of a kind exist before its first failure: an increase from nothing is none to Prometheus.
func (m *metrics) expect(kind string) {
	for _, class := range fault.Classes() {
		m.failed.WithLabelValues(kind, class.Label())
	}
}

// failedJob counts a job that went to FAILED.
func (m *metrics) failedJob(kind string, class fault.Class) {
	m.failed.WithLabelValues(kind, class.Label()).Inc()
}
