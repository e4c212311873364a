package mongo

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/event"
)

// newMonitor gives what the driver tells about its commands to the metrics. The names of commands are few; what they hold is not looked at.
func newMonitor(registerer prometheus.Registerer, watch func(*event.CommandStartedEvent)) (*event.CommandMonitor, error) {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mongo_command_duration_seconds",
		Help:    "Time that MongoDB took for a command, by the command's name and by its result, ok or failed.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30}, NativeHistogramBucketFactor: 1.1,
	}, []string{"command", "result"})
	if registerer != nil {
		if err := registerer.Register(durations); err != nil {
			return nil, fmt.Errorf("register the metrics of MongoDB: %w", err)
		}
	}
	return &event.CommandMonitor{
		Started: func(_ context.Context, started *event.CommandStartedEvent) {
			if watch != nil {
				watch(started)
			}
		},
		Succeeded: func(_ context.Context, done *event.CommandSucceededEvent) {
			durations.WithLabelValues(done.CommandName, "ok").Observe(done.Duration.Seconds())
		},
		Failed: func(_ context.Context, done *event.CommandFailedEvent) {
			durations.WithLabelValues(done.CommandName, "failed").Observe(done.Duration.Seconds())
		},
	}, nil
}
