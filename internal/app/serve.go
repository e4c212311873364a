package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/ops"
)

// phase is a group of parts that stop together.
type phase struct {
	group  *errgroup.Group
	cancel context.CancelFunc
}

// serve runs the parts in phases and stops them in the flow order of work (see the package's comment). A part that ends early ends all.
func (a *App) serve(ctx context.Context, p *parts) error {
	failed, fail := context.WithCancel(ctx)
	defer fail()
	var phases []phase
	start := func(runs []func(context.Context) error) {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		group, own := errgroup.WithContext(own)
		for _, run := range runs {
			group.Go(func() error {
				defer fail() // also a part that ends without an error: nothing works without it
				return run(own)
			})
		}
		phases = append(phases, phase{group: group, cancel: cancel})
	}
	for _, runs := range a.runs(p) {
		start(runs)
	}
	if p.worker != nil {
		select {
		case <-p.worker.Ready():
		case <-failed.Done():
		}
	}
	start([]func(context.Context) error{func(ctx context.Context) error { return a.serveHTTP(ctx, p.listener, a.handler(p), p.endStreams) }})
	a.queue.Store(p.queue)
	a.announce(ctx, p)
	<-failed.Done()
	var err error
	for i := len(phases) - 1; i >= 0; i-- {
		phases[i].cancel()
		if phaseErr := phases[i].group.Wait(); phaseErr != nil && err == nil {
			err = phaseErr
		}
	}
	return err
}

// announce says where the pages are.
func (a *App) announce(ctx context.Context, p *parts) {
	address, admin := p.listener.Addr().String(), ""
	a.address.Store(&address)
	if p.admin != nil {
		admin = p.admin.Addr().String()
		a.admin.Store(&admin)
	}
	close(a.ready)
	a.options.Log.InfoContext(ctx, "ready", "roles", a.options.Roles, "address", address, "admin", admin)
}

// openTracing opens the way of spans; it is closed behind everything that makes them.
func (a *App) openTracing(ctx context.Context, closing *cleanups) (err error) {
	traces := a.options.Traces
	traces.Worker = a.options.Name
	if traces.Service == "" {
		traces.Service = "broadcaster"
	}
	if a.tracing, err = ops.NewTracing(ctx, traces); err != nil {
		return err
	}
	closing.add("traces", a.tracing.Close)
	return nil
}

// runs gives the parts that run, in the order of their start; those of one phase stop together.
func (a *App) runs(p *parts) [][]func(context.Context) error {
	var ground, host, work []func(context.Context) error
	if p.admin != nil { // the first one, since what does not start is looked at there
		ground = append(ground, func(ctx context.Context) error { return a.serveHTTP(ctx, p.admin, a.adminPages(), nil) })
	}
	if p.api != nil {
		ground = append(ground, p.api.Run)
	}
	if p.keeper != nil {
		ground = append(ground, p.keeper.Run)
	}
	if p.host != nil {
		ground = append(ground, p.projector.Run)
		host = append(host, p.host.Run, p.sweeper.Run)
		work = append(work, p.runner.Run)
	}
	if p.linker != nil {
		work = append(work, p.linker.Run)
	}
	if p.worker != nil {
		work = append(work, p.worker.Run)
	}
	return [][]func(context.Context) error{ground, host, work}
}

// endStreams ends the answers that would hold up a stop.
func (p *parts) endStreams() {
	if p.api != nil {
		p.api.EndStreams()
	}
}

// checks are what this process cannot work without.
func (p *parts) checks() []ops.Check {
	checks := []ops.Check{{Name: "broker", Probe: p.queue.Health}, {Name: "database", Probe: p.health}}
	if p.keeper != nil {
		checks = append(checks, ops.Check{Name: "leases", Probe: p.keeper.Health})
	}
	return checks
}

// handler is every page of this process: health and metrics, and the API where there is one.
func (a *App) handler(p *parts) http.Handler {
	mux := http.NewServeMux()
	ops.Pages{Gatherer: a.registry, Log: a.options.Log, Checks: p.checks()}.Mount(mux)
	if p.api != nil {
		mux.Handle("/", api.Conceal(a.tracing.Handler(p.api.Handler())))
	}
	return mux
}

// adminPages are those for who is on the machine.
func (a *App) adminPages() http.Handler {
	return ops.Admin{Level: a.options.Level, Log: a.options.Log, Remote: a.options.AdminRemote}.Handler()
}

// serveHTTP answers requests until the context ends, then lets those in flight finish.
func (a *App) serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, endStreams func()) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	if endStreams != nil {
		server.RegisterOnShutdown(endStreams)
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
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.options.DrainTime)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(fmt.Errorf("finish HTTP requests: %w", err), server.Close())
		}
		return nil
	})
	return group.Wait()
}
