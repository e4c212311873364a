// Package app wires the pieces into processes and runs them: it is the only place that knows all of them, and holds no rule of its own.
//
// Nouns: App (everything in one process: an embedded nats-server with file-backed JetStream, SQLite, the API, a linker, a sender), its
// Options, and the adapters that make a door fit the small interface that a verb declares (adapters.go).
//
// Life: New checks the options; Run starts the parts in the order of their needs, each with a named cleanup, and blocks. When its context
// ends the parts stop in the order in which work flows through them, so that nothing is taken that can no longer be finished: first the API
// (nothing new comes in), then the workers (jobs in hand are finished or handed back), the host (sends in flight, then WhatsApp's
// connections and their leases), the queue's connection, the stores, and last the broker.
//
// Callers: cmd/broadcaster, internal/app/demo, and the end-to-end tests.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metrics "github.com/prometheus/client_model/go"
	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/pace"
)

// Options say what an App runs on. DataDir and Listen are required.
type Options struct {
	// DataDir is the folder of everything that must survive; it is made when it does not exist.
	DataDir string
	// Listen is the address of the API, such as "127.0.0.1:8080"; port 0 takes a free one.
	Listen string
	// WhatsApp is where connections go; its zero value is the real WhatsApp.
	WhatsApp Endpoint
	// Pace is the gap between two messages of a session; its zero value is no gap, which only suits a simulator.
	Pace pace.Options
	// QuickLinks leaves out the waits around a link that only the real WhatsApp needs.
	QuickLinks bool
	// SeeQR is told of every QR that is shown, so that a simulated phone can scan it; nil: nobody is.
	SeeQR func(qr string)
	// SeeFact is told of every fact as it is published; nil: nobody is.
	SeeFact func(subject string, data []byte)
	// Log takes the log of every part; nil: it is dropped.
	Log *slog.Logger
}

// App is the whole product in one process.
type App struct {
	options  Options
	registry *prometheus.Registry
	ready    chan struct{}
	address  atomic.Pointer[string]
	queue    atomic.Pointer[bus.Bus]
}

// New checks the options; it starts nothing.
func New(options Options) (*App, error) {
	if options.DataDir == "" || options.Listen == "" {
		return nil, errors.New("app: DataDir and Listen are required")
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &App{options: options, registry: newRegistry(), ready: make(chan struct{})}, nil
}

// Ready is closed when the API answers and the workers take jobs.
func (a *App) Ready() <-chan struct{} { return a.ready }

// URL is the address of the API, once Ready is closed.
func (a *App) URL() string {
	if address := a.address.Load(); address != nil {
		return "http://" + *address
	}
	return ""
}

// Run runs the product until the context ends or a part fails. Everything that it started has ended when it returns.
func (a *App) Run(ctx context.Context) error {
	if err := os.MkdirAll(a.options.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	var cleanups cleanups
	parts, err := a.open(ctx, &cleanups)
	if err == nil {
		err = a.serve(ctx, parts)
	}
	return errors.Join(err, cleanups.run(a.options.Log))
}

// path names a file or folder in the data folder.
func (a *App) path(name string) string { return filepath.Join(a.options.DataDir, name) }

// drainTime is how long a stopping part may take to finish what it has in hand.
const drainTime = 20 * time.Second

// serveHTTP answers requests until the context ends, then lets those in flight finish.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	group, stopping := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-stopping.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(fmt.Errorf("finish HTTP requests: %w", err), server.Close())
		}
		return nil
	})
	return group.Wait()
}

// Counters adds up the values of counters without labels, as they are now.
func (a *App) Counters(names ...string) (float64, error) {
	return a.sum(func(metric *metrics.Metric) float64 { return metric.GetCounter().GetValue() }, names)
}

// Gauge gives the value of a gauge without labels, as it is now.
func (a *App) Gauge(name string) (float64, error) {
	return a.sum(func(metric *metrics.Metric) float64 { return metric.GetGauge().GetValue() }, []string{name})
}

func (a *App) sum(value func(*metrics.Metric) float64, names []string) (float64, error) {
	families, err := a.registry.Gather()
	if err != nil {
		return 0, fmt.Errorf("gather metrics: %w", err)
	}
	total := 0.0
	for _, family := range families {
		if slices.Contains(names, family.GetName()) {
			for _, metric := range family.GetMetric() {
				total += value(metric)
			}
		}
	}
	return total, nil
}

// SendCommand publishes a command as the API does, once Ready is closed.
func (a *App) SendCommand(ctx context.Context, command events.Command) error {
	return a.queue.Load().SendCommand(ctx, command)
}
