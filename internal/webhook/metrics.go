package webhook

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// newRequests makes the metric of requests to receivers. No label names a receiver: there may be any number of them.
func newRequests(registerer prometheus.Registerer) (*prometheus.HistogramVec, error) {
	requests := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "webhook_request_duration_seconds",
		Help:    "Time that a receiver of webhooks took to answer, by what came of it: delivered, again (it is tried again), refused.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, NativeHistogramBucketFactor: 1.1,
	}, []string{"outcome"})
	for _, outcome := range []Outcome{Delivered, Again, Refused} {
		requests.WithLabelValues(string(outcome)) // A series that is there from the start can be told from one that is missing.
	}
	if registerer == nil {
		return requests, nil
	}
	if err := registerer.Register(requests); err != nil {
		return nil, fmt.Errorf("register the metrics of webhooks: %w", err)
	}
	return requests, nil
}
