// Package app wires the pieces into processes and runs them: it is the only place that knows all of them, and holds no rule of its own.
//
// Nouns: App (one process: the API, a linker, a sender, or all three), its Options and Roles, Servers (the broker and the database that
// several processes share; without them an App brings its own, an embedded nats-server with file-backed JetStream and SQLite), and the
// adapters that make a door fit the small interface that a verb declares (adapters.go).
//
// Life: New checks the options; Run starts the parts in the order of their needs, each with a named cleanup, and blocks. It waits for servers
// that are not there yet, and says for which. When its context ends the parts stop in the order in which work flows through them, so that nothing is
// taken that can no longer be finished: first the API (nothing new comes in), then the workers (jobs in hand are finished or handed back), the
// host (sends in flight, then WhatsApp's connections and their leases), the queue's connection, the stores, and last the broker.
//
// Callers: cmd/broadcaster, cmd/api, cmd/linker, cmd/sender, internal/app/demo, and the end-to-end tests.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metrics "github.com/prometheus/client_model/go"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/linker"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Options say what an App does and what it runs on. Listen is required, and either DataDir or Servers.
type Options struct {
	// Roles are what this process does; none: everything.
	Roles []Role
	// Name names this process in leases, jobs and logs; no two processes of a fleet may share one. Empty: "all-in-one".
	Name string
	// DataDir is the folder of everything that must survive; it is made when it does not exist.
	DataDir string
	// KeySource says what the key store is sealed with; its zero value: a key file in DataDir, which is made when it does not exist.
	KeySource KeySource
	// EgressKey says what the addresses of proxies are sealed with, so that an API can take them that has no key of the linked phones; its zero
	// value: KeySource. All processes of a fleet must have the same.
	EgressKey KeySource
	// DefaultProxies are the proxies that new sessions of some users get, by user id. Only the API takes them.
	DefaultProxies map[string]string
	// Servers are used instead of an embedded broker and database.
	Servers *Servers
	// Listen is the address of the API, or of the health and metrics pages of a process without one, such as "127.0.0.1:8080"; port 0
	// takes a free one.
	Listen string
	// AdminKey is an admin key of the API that there is from the start, as access.Generate makes it; empty: there is none.
	AdminKey string
	// SeeFirstKey is told the first admin key when there is none at all, once in the life of the product; nil: none is made by itself. Whoever is told shows it to
	// a person, and writes it down nowhere.
	SeeFirstKey func(key string)
	// RequestsPerSecond bounds the requests of each key to this process, RequestTimeout the time of one; zero: the API's own.
	RequestsPerSecond float64
	RequestTimeout    time.Duration
	// AllowedOrigins are the web pages that browsers may call the API from, with * as a wildcard; none: only the API's own.
	AllowedOrigins []string
	// ReplaysPerSecond paces repairs of many failed jobs; zero: the API's own pace.
	ReplaysPerSecond float64
	// WhatsApp is where connections go; its zero value is the real WhatsApp.
	WhatsApp Endpoint
	// Pace is the gap between two messages of a session; its zero value is no gap, which only suits a simulator.
	Pace pace.Options
	// Limits are those of a session of which nothing else is said; nil: with a Pace the defaults, and none without.
	Limits *campaign.Limits
	// Hours are those of a campaign that says nothing else; nil: with a Pace the defaults, and always without. TimeZone is that of hours that name
	// none; empty: campaign.DefaultTimeZone.
	Hours    *campaign.Hours
	TimeZone string
	// Consent says which messages mean "do not write to me".
	Consent campaign.Consent
	// Region is the ISO country of phone numbers written without a country code; empty: "AR".
	Region string
	// SuspectAfter is how long phones may be silent before a campaign is suspected; zero: campaign.SuspectedAfter.
	SuspectAfter time.Duration
	// FetchFrom are private networks that files may be fetched from, which only suits a test.
	FetchFrom []netip.Prefix
	// Webhooks says how receivers of webhooks are reached.
	Webhooks Webhooks
	// Links is how long the steps of a link may take; the zero value of a field is the linker's own default.
	Links linker.Timing
	// Silence is how long a connection may bring nothing before it is opened again; zero: wa.DefaultSilence.
	Silence time.Duration
	// ConnectJitter is the longest random wait before a hosted session connects; zero: none.
	ConnectJitter time.Duration
	// Logouts is what a logout does to its number and its egress; nil: pace.DefaultRules, and with a simulator nothing.
	Logouts *pace.Rules
	// MaxConnections is how many sessions one egress hosts, MaxConcurrentJobs how many campaigns run at once in the whole fleet; zero: the
	// defaults of the sender and the queue.
	MaxConnections    int
	MaxConcurrentJobs int
	// LeaseTTL is how long the session of a worker that died stays its own, the same for all processes; zero: the lease's default.
	LeaseTTL time.Duration
	// DrainTime is how long jobs and requests in hand may go on when the process is told to stop; zero: DefaultDrainTime.
	DrainTime time.Duration
	// SeeQR is told of every QR that is shown, so that a simulated phone can scan it; nil: nobody is.
	SeeQR func(qr string)
	// SeeFact is told of every fact as it is published; nil: nobody is.
	SeeFact func(subject string, data []byte)
	// SeeCollector is told of every metric that is registered; nil: nobody is.
	SeeCollector func(prometheus.Collector)
	// Log takes the log of every part; nil: it is dropped. Level is its level, which the admin pages show and change; nil: they cannot.
	Log   *slog.Logger
	Level *slog.LevelVar
	// Admin is the address of the admin pages, a loopback one unless AdminRemote; empty: there are none.
	Admin       string
	AdminRemote bool
	// Traces says where spans go; its zero value: nowhere.
	Traces ops.TracingOptions
}

// DefaultDrainTime leaves a process 5 of the 25 seconds that orchestrators should give it after SIGTERM for closing its connections.
const DefaultDrainTime = 20 * time.Second

// ConnectJitter spreads the connections of a host to the real WhatsApp (design.md §10).
const ConnectJitter = 3 * time.Second

// QuickLinks is the timing of links that only a simulator can take: without the waits that the real WhatsApp needs around a link.
func QuickLinks() linker.Timing {
	return linker.Timing{Spacing: -1, Jitter: -1, InLine: -1, Settle: -1}
}

// simulated tells whether connections go to a simulator. A process that opens none does not know.
func (a *App) simulated() bool { return a.options.WhatsApp.HTTPClient != nil }

func (a *App) logoutRules() pace.Rules {
	switch {
	case a.options.Logouts != nil:
		return *a.options.Logouts
	case a.simulated():
		return pace.Rules{}
	}
	return pace.DefaultRules()
}

// AnyHour are the hours of campaigns to people whom no hour disturbs: simulated ones.
func AnyHour() *campaign.Hours { return &campaign.Hours{} }

// GapsOnly are limits without caps and rests, which only suit a simulator.
func GapsOnly(gaps pace.Options) *campaign.Limits {
	return &campaign.Limits{MinGap: gaps.MinGap, MaxGap: gaps.MaxGap}
}

// limits are those of a session of which nothing else is said.
func (a *App) limits() campaign.Limits {
	switch {
	case a.options.Limits != nil:
		return *a.options.Limits
	case a.options.Pace.Off():
		return campaign.Limits{}
	}
	limits := campaign.DefaultLimits()
	limits.MinGap, limits.MaxGap = a.options.Pace.MinGap, a.options.Pace.MaxGap
	return limits
}

// hours are those of a campaign that says nothing else.
func (a *App) hours() campaign.Hours {
	switch {
	case a.options.Hours != nil:
		return *a.options.Hours
	case a.options.Pace.Off():
		return campaign.Hours{}
	}
	return campaign.DefaultHours(cmp.Or(a.options.TimeZone, campaign.DefaultTimeZone))
}

// capacity is how many sessions an egress may have. A simulator does not mind.
func (a *App) capacity() session.Capacity {
	if a.simulated() {
		return session.Unbounded
	}
	return session.Capacity(a.options.MaxConnections)
}

// App is one process of the product.
type App struct {
	options  Options
	registry registry
	ready    chan struct{}
	address  atomic.Pointer[string]
	admin    atomic.Pointer[string]
	tracing  *ops.Tracing
	queue    atomic.Pointer[bus.Bus]
}

// New checks the options; it starts nothing.
func New(options Options) (*App, error) {
	if options.Listen == "" || (options.DataDir == "") == (options.Servers == nil) {
		return nil, errors.New("app: Listen is required, and either DataDir or Servers")
	}
	if len(options.Roles) == 0 {
		options.Roles = Roles()
	}
	for _, role := range options.Roles {
		if !slices.Contains(Roles(), role) {
			return nil, fmt.Errorf("app: there is no role %q", role)
		}
	}
	if options.Servers == nil && len(options.Roles) < len(Roles()) {
		return nil, errors.New("app: a process that does not do everything needs Servers to share with the others")
	}
	if options.Admin != "" && !options.AdminRemote && !ops.Loopback(options.Admin) {
		return nil, fmt.Errorf("app: %s is reached from other machines: the admin pages show what is in memory", options.Admin)
	}
	if options.Name == "" {
		options.Name = "all-in-one"
	}
	if options.DrainTime == 0 {
		options.DrainTime = DefaultDrainTime
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Level == nil {
		options.Level = new(slog.LevelVar)
	}
	return &App{options: options, registry: newRegistry(options.SeeCollector), ready: make(chan struct{})}, nil
}

// Ready is closed when HTTP requests are answered and the workers take jobs.
func (a *App) Ready() <-chan struct{} { return a.ready }

// URL is the address of the API, or of the health and metrics pages, once Ready is closed.
func (a *App) URL() string {
	if address := a.address.Load(); address != nil {
		return "http://" + *address
	}
	return ""
}

// AdminURL is the address of the admin pages, once Ready is closed; empty: there are none.
func (a *App) AdminURL() string {
	if address := a.admin.Load(); address != nil {
		return "http://" + *address
	}
	return ""
}

// Run runs the process until the context ends or a part fails. Everything that it started has ended when it returns.
func (a *App) Run(ctx context.Context) error {
	if a.options.DataDir != "" {
		if err := os.MkdirAll(a.options.DataDir, 0o700); err != nil {
			return fmt.Errorf("make the data folder: %w", err)
		}
	}
	var cleanups cleanups
	if err := a.openTracing(ctx, &cleanups); err != nil {
		return err
	}
	parts, err := a.open(ctx, &cleanups)
	if err == nil {
		err = a.serve(ctx, parts)
	}
	return errors.Join(err, cleanups.run(a.options.Log))
}

// path names a file or folder in the data folder.
func (a *App) path(name string) string { return filepath.Join(a.options.DataDir, name) }

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

// CampaignJobsInHand tells how many campaign jobs the whole fleet has in hand, as the queue counts them, once Ready is closed.
func (a *App) CampaignJobsInHand(ctx context.Context) (int, error) {
	return a.queue.Load().InHand(ctx, bus.ConsumerSender)
}
