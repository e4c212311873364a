package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/api/console"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/lease"
	"github.com/dannsalud/broadcaster/internal/linker"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/sender"
)

// parts are the verbs of this process, wired to the doors and ready to run; those of roles that it does not have are nil.
type parts struct {
	doors
	// keeper and worker are of linkers and senders.
	keeper *lease.Keeper
	worker *bus.Worker

	host      *sender.Host
	projector *sender.Projector
	sweeper   *sender.Sweeper
	runner    *sender.Runner

	linker *linker.Linker

	api      *api.API
	console  *console.Console
	listener net.Listener
	// admin is where the admin pages are; nil: there are none.
	admin net.Listener
}

// open opens the doors, in the order of their needs, and wires the verbs.
func (a *App) open(ctx context.Context, cleanups *cleanups) (*parts, error) {
	opened := &parts{}
	if err := a.openDoors(ctx, &opened.doors, cleanups); err != nil {
		return nil, err
	}
	var wires []func(context.Context, *parts) error
	if a.works() {
		wires = append(wires, a.wireWork)
	}
	if a.does(RoleSender) {
		wires = append(wires, a.wireHost, a.wireRunner, a.wireWebhooks)
	}
	if a.does(RoleLinker) {
		wires = append(wires, a.wireLinker)
	}
	if a.does(RoleAPI) {
		wires = append(wires, a.wireAPI)
	}
	for _, wire := range append(wires, a.wireMetrics) {
		if err := wire(ctx, opened); err != nil {
			return nil, err
		}
	}
	return opened, a.listen(ctx, opened)
}

func (a *App) listen(ctx context.Context, p *parts) (err error) {
	var listen net.ListenConfig
	if p.listener, err = listen.Listen(ctx, "tcp", a.options.Listen); err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	if a.options.Admin == "" {
		return nil
	}
	if p.admin, err = listen.Listen(ctx, "tcp", a.options.Admin); err != nil {
		return errors.Join(fmt.Errorf("listen for the admin pages: %w", err), p.listener.Close())
	}
	return nil
}

// wireWork makes what linkers and senders have in common: leases and jobs. Senders know how many sessions an egress may have, and tell the others.
func (a *App) wireWork(ctx context.Context, p *parts) error {
	if a.does(RoleSender) || a.simulated() {
		if err := p.links.SetCapacity(ctx, a.capacity()); err != nil {
			return err
		}
	}
	made, err := p.leases.Made(ctx)
	if err != nil {
		return err
	}
	p.keeper, err = lease.New(lease.Options{Bucket: leaseBucket{p.leases}, Made: made, Worker: a.options.Name, TTL: a.options.LeaseTTL,
		Log: a.options.Log, Registerer: a.registry})
	if err != nil {
		return err
	}
	p.worker, err = p.queue.NewWorker(bus.WorkerOptions{DrainTime: a.options.DrainTime})
	return err
}

func (a *App) wireHost(_ context.Context, p *parts) error {
	var err error
	p.host, err = sender.NewHost(sender.HostOptions{
		Sessions: p.sessions, Campaigns: p.campaigns, Deliveries: p.deliveries, Histories: p.histories, WhatsApp: whatsApp{p.gateway, p.ways},
		Leases: senderLeases{p.keeper}, Queue: p.queue, Watcher: p.queue, Sends: p.queue, Documents: p.documents, Limits: a.limits(), Budgets: pace.NewBudgets(paceBucket{p.pacing}),
		Egresses: p.links, MaxConnections: a.options.MaxConnections, ConnectJitter: a.options.ConnectJitter, SweepEvery: sweepEvery(a.options.LeaseTTL), Log: a.options.Log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	p.sweeper, err = sender.NewSweeper(sender.SweeperOptions{
		Sessions: p.sessions, Campaigns: p.campaigns, Deliveries: p.deliveries, Queue: p.queue, Watcher: p.queue, Log: a.options.Log,
		Registerer: a.registry,
	})
	return err
}

// sweepEvery is how often a host looks for sessions that are free: a third of a lease's life, so that those of a worker that died move within two
// lives of a lease, however short one is.
func sweepEvery(leaseTTL time.Duration) time.Duration {
	return min(sender.DefaultSweepEvery, cmp.Or(leaseTTL, lease.DefaultTTL)/3)
}

// unpacedBatch is how many deliveries a run takes at once when nothing paces it. After a crash those of its last 200 ms may be repeated, under the same ids.
const unpacedBatch = 256

func (a *App) wireRunner(_ context.Context, p *parts) error {
	batch := 1
	if a.options.Pace.Off() {
		batch = unpacedBatch
	}
	var err error
	p.runner, err = sender.NewRunner(sender.RunnerOptions{
		Sessions: p.sessions, Campaigns: p.campaigns, Deliveries: p.deliveries, Suppressions: p.suppressions,
		Queue: p.queue, Sends: p.queue, Batch: batch, Log: a.options.Log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	if p.projector, err = sender.NewProjector(p.deliveries, a.registry); err != nil {
		return err
	}
	inbound, err := sender.NewInbound(sender.InboundOptions{Campaigns: p.campaigns, Deliveries: p.deliveries, Suppressions: p.suppressions,
		Documents: p.documents, Sends: p.queue, Consent: a.options.Consent, Log: a.options.Log, Registerer: a.registry})
	if err != nil {
		return err
	}
	if err := p.worker.HandleMessageReceived(inbound.Handle); err != nil {
		return err
	}
	if err := p.worker.HandleRunCampaign(p.runner.Handle); err != nil {
		return err
	}
	return p.worker.HandleMessageReceipt(p.projector.Handle)
}

func (a *App) wireLinker(_ context.Context, p *parts) error {
	var err error
	p.linker, err = linker.New(linker.Options{
		Sessions: p.sessions, Histories: p.histories, Phones: phones{p.gateway, p.ways}, Facts: p.queue, Watcher: p.queue, Leases: linkerLeases{p.keeper},
		Prompts: observedPrompts{p.prompts, a.options.SeeQR}, Answers: p.answers, Timing: a.options.Links, Log: a.options.Log, Registerer: a.registry,
		Commands: p.queue, Turns: p.links, Limits: p.links,
	})
	if err != nil {
		return err
	}
	return p.worker.HandleLinkSession(p.linker.Handle)
}

func (a *App) wireAPI(ctx context.Context, p *parts) error {
	keys, err := a.openAccess(ctx, p.documents)
	if err != nil {
		return err
	}
	egress, err := a.egressOptions(p.ways)
	if err != nil {
		return err
	}
	p.api, err = api.New(api.Options{
		Egress: egress, Links: p.links, Keys: keys, RequestsPerSecond: a.options.RequestsPerSecond, RequestTimeout: a.options.RequestTimeout,
		Sessions: p.sessions, Campaigns: p.campaigns, Deliveries: p.deliveries, Histories: p.histories, Queue: p.queue, Sends: p.queue, FailedJobs: p.queue.NewFailedQueue(), Jobs: p.queue, Prompts: p.prompts, Answers: p.answers, Watcher: p.queue,
		Events:       api.EventsOptions{Log: p.queue},
		Suppressions: p.suppressions, Documents: p.documents, Idempotency: p.idempotency, Webhooks: p.webhooks,
		Limits: a.limits(), Hours: a.hours(), TimeZone: a.options.TimeZone, FetchFrom: a.options.FetchFrom,
		DefaultRegion: a.options.Region, SuspectAfter: a.options.SuspectAfter,
		AllowedOrigins: a.options.AllowedOrigins, ReplaysPerSecond: a.options.ReplaysPerSecond, Log: a.options.Log, Registerer: a.registry, Version: ops.Version(), Health: p.healthOptions(),
	})
	if err != nil {
		return err
	}
	return a.wireConsole(p)
}
