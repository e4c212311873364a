package app

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/linker"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/internal/sender"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa"
)

func newRegistry() *prometheus.Registry { return ops.NewRegistry() }

// doors are the technologies: what is open while the app runs.
type doors struct {
	database *sqlite.DB
	queue    *bus.Bus
	prompts  *bus.Prompts
	leases   *bus.Bucket
	devices  *wa.Devices
	gateway  *wa.Gateway
}

// parts are the verbs, wired to the doors and ready to run.
type parts struct {
	doors
	keeper    *lease.Keeper
	host      *sender.Host
	projector *sender.Projector
	sweeper   *sender.Sweeper
	runner    *sender.Runner
	worker    *bus.Worker
	api       *api.API
	listener  net.Listener
}

// embeddedAckWait is short: the broker and the workers of this process start and end together, so a job without a sign of life for so long
// was left behind by a killed one.
const embeddedAckWait = 6 * time.Second

// open opens the doors, in the order of their needs, and wires the verbs.
func (a *App) open(ctx context.Context, cleanups *cleanups) (*parts, error) {
	opened := &parts{}
	if err := a.openDoors(ctx, &opened.doors, cleanups); err != nil {
		return nil, err
	}
	for _, wire := range []func(context.Context, *parts) error{a.wireSender, a.wireWorker, a.wireAPI} {
		if err := wire(ctx, opened); err != nil {
			return nil, err
		}
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", a.options.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the API: %w", err)
	}
	opened.listener = listener
	return opened, nil
}

func (a *App) openDoors(ctx context.Context, d *doors, cleanups *cleanups) error {
	log := a.options.Log
	broker, err := embed.Start(embed.Options{Dir: a.path("nats"), Log: log.With("part", "broker")})
	if err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	cleanups.add("broker", broker.Stop)
	if d.database, err = sqlite.Open(ctx, sqlite.Options{Path: a.path("broadcaster.db"), Log: log}); err != nil {
		return err
	}
	cleanups.add("database", d.database.Close)
	if d.devices, err = wa.OpenDevices(ctx, a.path("keys.db"), log); err != nil {
		return err
	}
	cleanups.add("key store", d.devices.Close)
	d.gateway, err = wa.New(wa.Options{Devices: d.devices, Endpoint: a.options.WhatsApp, Log: log, Registerer: a.registry})
	if err != nil {
		return err
	}
	return a.openQueue(ctx, d, broker, cleanups)
}

func (a *App) openQueue(ctx context.Context, d *doors, broker *embed.Server, cleanups *cleanups) error {
	var err error
	d.queue, err = bus.Connect(ctx, bus.Options{Server: broker, Name: workerName, AckWait: embeddedAckWait, Log: a.options.Log, Registerer: a.registry})
	if err != nil {
		return err
	}
	cleanups.add("queue", d.queue.Close)
	if err := d.queue.EnsureTopology(ctx); err != nil {
		return err
	}
	if a.options.SeeFact != nil {
		if _, err := d.queue.Watch(ctx, events.AllEvents, a.options.SeeFact); err != nil {
			return err
		}
	}
	if d.prompts, err = d.queue.Prompts(ctx); err != nil {
		return err
	}
	d.leases, err = d.queue.Bucket(ctx, bus.BucketLeases)
	return err
}

// workerName names this process in leases, jobs and logs.
const workerName = "all-in-one"

func (a *App) wireSender(_ context.Context, p *parts) error {
	log := a.options.Log
	var err error
	p.keeper, err = lease.New(lease.Options{Bucket: leaseBucket{p.leases}, Worker: workerName, Log: log, Registerer: a.registry})
	if err != nil {
		return err
	}
	p.host, err = sender.NewHost(sender.HostOptions{
		Sessions: p.database.Sessions(), Campaigns: p.database.Campaigns(), Deliveries: p.database.Deliveries(), WhatsApp: whatsApp{p.gateway},
		Leases: senderLeases{p.keeper}, Queue: p.queue, Watcher: p.queue, Sends: p.queue, Pace: a.options.Pace, ConnectJitter: a.connectJitter(), Log: log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	if p.projector, err = sender.NewProjector(p.database.Deliveries(), a.registry); err != nil {
		return err
	}
	p.sweeper, err = sender.NewSweeper(sender.SweeperOptions{
		Sessions: p.database.Sessions(), Campaigns: p.database.Campaigns(), Deliveries: p.database.Deliveries(), Queue: p.queue, Watcher: p.queue, Log: log,
	})
	return err
}

// connectJitter spreads the connections of a host; a simulator needs none.
func (a *App) connectJitter() time.Duration {
	if a.options.QuickLinks {
		return 0
	}
	return 3 * time.Second
}

// unpacedBatch is how many deliveries a run takes at once when nothing paces it; as many may be repeated after a crash.
const unpacedBatch = 64

func (a *App) wireWorker(_ context.Context, p *parts) error {
	log := a.options.Log
	timing := linker.Timing{}
	if a.options.QuickLinks {
		timing = linker.Timing{Jitter: -1, Settle: -1}
	}
	pairing, err := linker.New(linker.Options{
		Sessions: p.database.Sessions(), Phones: phones{p.gateway}, Facts: p.queue, Watcher: p.queue, Leases: linkerLeases{p.keeper},
		Prompts: observedPrompts{p.prompts, a.options.SeeQR}, Timing: timing, Log: log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	batch := 1
	if a.options.Pace.Off() {
		batch = unpacedBatch
	}
	p.runner, err = sender.NewRunner(sender.RunnerOptions{
		Sessions: p.database.Sessions(), Campaigns: p.database.Campaigns(), Deliveries: p.database.Deliveries(),
		Suppressions: p.database.Suppressions(), Queue: p.queue, Sends: p.queue, Batch: batch, Log: log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	if p.worker, err = p.queue.NewWorker(bus.WorkerOptions{}); err != nil {
		return err
	}
	if err := p.worker.HandleLinkSession(pairing.Handle); err != nil {
		return err
	}
	if err := p.worker.HandleRunCampaign(p.runner.Handle); err != nil {
		return err
	}
	return p.worker.HandleMessageReceipt(p.projector.Handle)
}

func (a *App) wireAPI(_ context.Context, p *parts) error {
	var err error
	p.api, err = api.New(api.Options{
		Sessions: p.database.Sessions(), Campaigns: p.database.Campaigns(), Deliveries: p.database.Deliveries(),
		Queue: p.queue, Prompts: p.prompts, Log: a.options.Log, Registerer: a.registry, Version: ops.Version(),
		Metrics: promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}),
		Checks: []api.Check{{Name: "broker", Probe: p.queue.Health}, {Name: "database", Probe: func(ctx context.Context) error {
			_, err := p.database.Sessions().List(ctx, session.Filter{}, store.Page{Size: 1})
			return err
		}}},
	})
	return err
}

// phase is a group of parts that stop together.
type phase struct {
	group  *errgroup.Group
	cancel context.CancelFunc
}

// serve runs the parts in phases and stops them in the flow order of work (see the package's comment). A part that ends early ends all.
func (a *App) serve(ctx context.Context, p *parts) error {
	failed, fail := context.WithCancel(ctx)
	defer fail()
	start := func(runs ...func(context.Context) error) phase {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		group, own := errgroup.WithContext(own)
		for _, run := range runs {
			group.Go(func() error {
				defer fail() // also a part that ends without an error: nothing works without it
				return run(own)
			})
		}
		return phase{group: group, cancel: cancel}
	}
	phases := []phase{
		start(p.keeper.Run, p.projector.Run),
		start(p.host.Run, p.sweeper.Run),
		start(p.worker.Run, p.runner.Run),
	}
	select {
	case <-p.worker.Ready():
	case <-failed.Done():
	}
	phases = append(phases, start(func(ctx context.Context) error { return serveHTTP(ctx, p.listener, p.api.Handler()) }))
	a.queue.Store(p.queue)
	address := p.listener.Addr().String()
	a.address.Store(&address)
	close(a.ready)
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
