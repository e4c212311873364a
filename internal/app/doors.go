package app

import (
	"context"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// Servers are the broker and the database that the processes of a fleet share.
type Servers struct {
	// NATS is the address of the broker, such as "nats://nats:4222"; Replicas how many of its servers keep each stream, 1 or 3.
	NATS     string
	Replicas int
	// User and Password are this process's own at the broker, or Credentials is a file with them. InboxPrefix is where answers come back.
	User, Password           string
	Credentials, InboxPrefix string
	// Mongo is the connection string of the database; Database its name, empty: "broadcaster".
	Mongo    string
	Database string
}

// doors are the technologies: what is open while the app runs. A process opens those that its roles need.
type doors struct {
	stores
	queue   *bus.Bus
	prompts *bus.Prompts
	answers *bus.Answers
	leases  *bus.Bucket
	pacing  *bus.Bucket
	// links is the clock of each egress.
	links   *pace.Links
	gateway *wa.Gateway
	// ways are the ways out of sessions; nil in an API without a key to seal them with.
	ways *session.Ways
	// webhooks is the book of subscriptions; it takes none without such a key.
	webhooks webhook.Subscriptions
}

// stores are the ports of the database.
type stores struct {
	sessions     session.Store
	egresses     session.Egresses
	campaigns    campaign.Store
	deliveries   campaign.Deliveries
	suppressions campaign.Suppressions
	histories    session.Histories
	documents    store.Documents
	idempotency  store.Idempotency
	// keys are the rows of the key store; nil: they are in a file of their own.
	keys store.Keys
	// health tells whether the database answers.
	health func(context.Context) error
	// disk measures the disk that the database is on.
	disk func(context.Context) (ops.Disk, error)
}

func (a *App) openDoors(ctx context.Context, d *doors, closing *cleanups) error {
	for _, open := range []func(context.Context, *doors, *cleanups) error{a.openDatabase, a.openEgress, a.openQueue, a.openWhatsApp} {
		if err := open(ctx, d, closing); err != nil {
			return err
		}
	}
	return nil
}

// booksFile is the database in a data folder.
const booksFile = "broadcaster.db"

func (a *App) openDatabase(ctx context.Context, d *doors, closing *cleanups) error {
	if a.options.Servers != nil {
		return a.openMongo(ctx, d, closing)
	}
	database, err := sqlite.Open(ctx, sqlite.Options{Path: a.path(booksFile), Registerer: a.registry, Log: a.options.Log})
	if err != nil {
		return err
	}
	closing.add("database", database.Close)
	d.stores = stores{
		sessions: database.Sessions(), egresses: database.Egresses(), campaigns: database.Campaigns(), deliveries: database.Deliveries(), suppressions: database.Suppressions(), histories: database.Histories(),
		documents: database.Documents(), idempotency: database.Idempotency(),
	}
	d.disk = func(context.Context) (ops.Disk, error) { return ops.MeasureFolder(a.options.DataDir) }
	d.health = func(ctx context.Context) error {
		_, err := d.sessions.List(ctx, session.Filter{}, store.Page{Size: 1})
		return err
	}
	return nil
}

func (a *App) openMongo(ctx context.Context, d *doors, closing *cleanups) error {
	database, err := mongo.New(mongo.Options{URI: a.options.Servers.Mongo, Database: a.options.Servers.Database,
		Log: a.options.Log, Registerer: a.registry})
	if err != nil {
		return err
	}
	closing.add("database", database.Close)
	if err := database.Connect(ctx); err != nil {
		return err
	}
	d.stores = stores{
		sessions: database.Sessions(), egresses: database.Egresses(), campaigns: database.Campaigns(), deliveries: database.Deliveries(), suppressions: database.Suppressions(), histories: database.Histories(),
		documents: database.Documents(), idempotency: database.Idempotency(),
		keys: database.Keys(), health: database.Health,
		disk: func(ctx context.Context) (measured ops.Disk, err error) {
			measured.Size, measured.Free, err = database.Disk(ctx)
			return measured, err
		},
	}
	return nil
}

// embeddedAckWait is short: the broker and the workers of this process start and end together, so a job without a sign of life for so long
// was left behind by a killed one.
const embeddedAckWait = 6 * time.Second

func (a *App) openQueue(ctx context.Context, d *doors, closing *cleanups) error {
	options := bus.Options{Name: a.options.Name, MaxConcurrentJobs: a.options.MaxConcurrentJobs, LeaseTTL: a.options.LeaseTTL,
		Log: a.options.Log, Registerer: a.registry, Tracer: a.tracing.Tracer(), Annotate: ops.Annotate}
	if servers := a.options.Servers; servers != nil {
		options.URL, options.Replicas = servers.NATS, servers.Replicas
		options.User, options.Password, options.Credentials, options.InboxPrefix = servers.User, servers.Password, servers.Credentials, servers.InboxPrefix
	} else {
		broker, err := embed.Start(embed.Options{Dir: a.path("nats"), Log: a.options.Log.With("part", "broker")})
		if err != nil {
			return fmt.Errorf("start the broker: %w", err)
		}
		closing.add("broker", broker.Stop)
		options.Server, options.AckWait = broker, embeddedAckWait
	}
	var err error
	if d.queue, err = bus.Connect(ctx, options); err != nil {
		return err
	}
	closing.add("queue", d.queue.Close)
	prepare := d.queue.AwaitTopology
	if a.does(RoleAPI) {
		prepare = d.queue.EnsureTopology
	}
	if err := prepare(ctx); err != nil {
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
	if d.answers, err = d.queue.Answers(ctx); err != nil {
		return err
	}
	if d.pacing, err = d.queue.Bucket(ctx, bus.BucketPacing); err != nil {
		return err
	}
	d.links, err = pace.NewLinks(pace.LinksOptions{Bucket: paceBucket{d.pacing}, Rules: a.logoutRules(), Log: a.options.Log, Registerer: a.registry})
	return err
}

// openWhatsApp opens what a process needs that opens connections: their leases, the keys of the devices, and the way out.
func (a *App) openWhatsApp(ctx context.Context, d *doors, closing *cleanups) error {
	if !a.works() {
		return nil
	}
	var err error
	if d.leases, err = d.queue.Bucket(ctx, bus.BucketLeases); err != nil {
		return err
	}
	opened, err := d.queue.Bucket(ctx, bus.BucketOpened)
	if err != nil {
		return err
	}
	devices, err := a.openKeys(ctx, d, witness{opened}, closing)
	if err != nil {
		return err
	}
	d.gateway, err = wa.New(wa.Options{Keys: devices, Endpoint: a.options.WhatsApp, Silence: a.options.Silence, Versions: versions{d.pacing}, Log: a.options.Log, Registerer: a.registry})
	return err
}
