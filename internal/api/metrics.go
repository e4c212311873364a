package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.HistogramVec
	// streams are the streams of events.
	streams      prometheus.Gauge
	streamed     prometheus.Counter
	streamsEnded *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	requests := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                        "http_request_duration_seconds",
		Help:                        "Time to answer an HTTP request, by route template, method and status.",
		Buckets:                     prometheus.DefBuckets,
		NativeHistogramBucketFactor: 1.1,
	}, []string{"route", "method", "status"})
	m := &metrics{
		requests: requests,
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "event_streams", Help: "Streams of events that are open at this process.",
		}),
		streamed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "events_streamed_total", Help: "Events that were sent to the readers of streams that have ended, each to each reader.",
		}),
		streamsEnded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "event_streams_ended_total",
			Help: "Streams of events that ended, by reason; left: by their reader, slow: their reader did not keep up, renewed: after their longest time, stopping: with this process, failed: the events could not be read.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"left", "slow", "renewed", "stopping", "failed"} {
		m.streamsEnded.WithLabelValues(reason)
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.requests, m.streams, m.streamed, m.streamsEnded} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register the HTTP metrics: %w", err)
		}
	}
	return m, nil
}

// measured counts and times a request under its route template, never under its path: a path holds ids without bound.
func (a *API) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		began := time.Now()
		next.ServeHTTP(recorder, r)
		route := r.Pattern
		if route == "" {
			route = "unmatched"
		}
		a.metrics.requests.WithLabelValues(route, r.Method, strconv.Itoa(recorder.status)).Observe(time.Since(began).Seconds())
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the real writer.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
