package ops

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// dependencies asks the checks of /readyz at each scrape, so that an alert can tell a service that is down from one whose broker or database is.
type dependencies struct {
	checks []Check
	up     *prometheus.Desc
}

// NewDependencies makes the collector of dependency_up for some checks.
func NewDependencies(checks []Check) prometheus.Collector {
	return &dependencies{checks: checks, up: prometheus.NewDesc("dependency_up",
		"1 when what this process needs answers it, else 0, by dependency, as /readyz asks it.", []string{"dependency"}, nil)}
}

// Describe implements prometheus.Collector.
func (d *dependencies) Describe(into chan<- *prometheus.Desc) { into <- d.up }

// Collect implements prometheus.Collector.
func (d *dependencies) Collect(into chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout) // a scrape hands no context down
	defer cancel()
	var asking sync.WaitGroup
	for _, check := range d.checks {
		asking.Go(func() {
			up := 1.0
			if check.Probe(ctx) != nil { // readyz logs why
				up = 0
			}
			into <- prometheus.MustNewConstMetric(d.up, prometheus.GaugeValue, up, check.Name)
		})
	}
	asking.Wait()
}

// Disk is how much room a disk has.
type Disk struct{ Size, Free uint64 }

// disk asks how much room there is at each scrape.
type disk struct {
	of         string
	measure    func(ctx context.Context) (Disk, error)
	size, free *prometheus.Desc
}

// measureTimeout bounds one measurement.
const measureTimeout = 3 * time.Second

// NewDisk makes the collector of disk_size_bytes and disk_free_bytes for one disk; of says what is on it. Where it cannot be measured there are no series.
func NewDisk(of string, measure func(ctx context.Context) (Disk, error)) prometheus.Collector {
	labels := prometheus.Labels{"of": of}
	return &disk{of: of, measure: measure,
		size: prometheus.NewDesc("disk_size_bytes", "Size of the disk that something is on: database or data folder.", nil, labels),
		free: prometheus.NewDesc("disk_free_bytes", "What is free on the disk that something is on: database or data folder.", nil, labels)}
}

// Describe implements prometheus.Collector.
func (d *disk) Describe(into chan<- *prometheus.Desc) {
	into <- d.size
	into <- d.free
}

// Collect implements prometheus.Collector.
func (d *disk) Collect(into chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), measureTimeout) // a scrape hands no context down
	defer cancel()
	measured, err := d.measure(ctx)
	if err != nil || measured.Size == 0 {
		return
	}
	into <- prometheus.MustNewConstMetric(d.size, prometheus.GaugeValue, float64(measured.Size))
	into <- prometheus.MustNewConstMetric(d.free, prometheus.GaugeValue, float64(measured.Free))
}

// newBuildInfo says which build a process is.
func newBuildInfo() prometheus.Collector {
	labels := prometheus.Labels{"version": Version(), "revision": "", "goversion": ""}
	if info, ok := debug.ReadBuildInfo(); ok {
		labels["goversion"] = info.GoVersion
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				labels["revision"] = setting.Value
			}
		}
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "broadcaster_build_info", ConstLabels: labels,
		Help: "Always 1; the labels say which build this process is."})
	build.Set(1)
	return build
}
