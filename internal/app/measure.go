package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/ops"
)

// registry is the metrics registry of a process, which tells an observer what is registered.
type registry struct {
	*prometheus.Registry

	see func(prometheus.Collector)
}

func newRegistry(see func(prometheus.Collector)) registry {
	return registry{Registry: ops.NewRegistry(), see: see}
}

// Register implements prometheus.Registerer.
func (r registry) Register(collector prometheus.Collector) error {
	if r.see != nil {
		r.see(collector)
	}
	return r.Registry.Register(collector)
}

// wireMetrics exposes what no verb tells of: whether the servers answer, and how much room their disks have. The depths of the queue are the same
// in every process, and the API tells them, which lives when the workers do not.
func (a *App) wireMetrics(_ context.Context, p *parts) error {
	collectors := []prometheus.Collector{ops.NewDependencies(p.checks())}
	if a.does(RoleAPI) {
		if err := p.queue.RegisterQueueMetrics(a.registry); err != nil {
			return err
		}
		of := "data folder"
		if a.options.Servers != nil {
			of = "database"
		}
		collectors = append(collectors, ops.NewDisk(of, p.disk))
	}
	for _, collector := range collectors {
		if err := a.registry.Register(collector); err != nil {
			return err
		}
	}
	return nil
}
