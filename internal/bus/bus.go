// Package bus is the door to NATS JetStream and Watermill: the only package that imports them. It carries the words of internal/events and
// knows nothing of what they mean.
//
// Nouns: Bus (a connection), the topology (topology.go: the one table of streams, consumers and buckets), Worker (jobs in hand, each handled by
// one function and settled by the error's class), Publisher and Subscriber (Watermill's Pub/Sub over JetStream, under the worker),
// FailedJob (a job given up, in the FAILED stream), Bucket (keys with revisions), Prompts (the codes of a link), and the one request, Send.
//
// A job is acknowledged only when its handler returned nil, and terminated only when it is in FAILED; until then the server delivers it
// again, to any worker. While a handler runs the server is told so every third of the AckWait, so a job may take as long as it needs and
// a crash is still noticed within one AckWait. A job that is waiting for its next attempt keeps its place in the consumer's limit.
//
// Callers: internal/app, which adapts it to the small interfaces that the verbs declare, and cmd/broadcaster. It must never decide what a
// failure means (internal/fault does), open WhatsApp, or keep a job's state in memory only.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// The defaults of Options.
const (
	DefaultAckWait           = 30 * time.Second
	DefaultHostWatch         = 3 * time.Second
	DefaultMaxConcurrentJobs = 5
	DefaultMaxDeliver        = 100
	DefaultLeaseTTL          = 15 * time.Second
)

// InProcess is a nats-server in this process, such as *embed.Server.
type InProcess interface {
	InProcessConn() (net.Conn, error)
}

// Options configure a Bus. URL or Server is required, and Name.
type Options struct {
	// URL is the address of NATS, such as "nats://nats:4222", or several separated by commas; it may hold credentials, which reach no log and
	// no error.
	URL string
	// User and Password are this process's own at NATS. Credentials is the path of a file with them instead (a JWT and its seed).
	User, Password string
	Credentials    string
	// InboxPrefix is the subject under which answers come back, without a dot at its end; a user's own prefix, together with permissions,
	// keeps other users from reading them. Empty: "_INBOX".
	InboxPrefix string
	// Server is a nats-server in this process, used instead of URL.
	Server InProcess
	// Name names this process to operators: in logs, in failed jobs, and in NATS's own list of connections.
	Name string
	// Replicas is the number of servers that keep each stream and bucket, 1 or 3; zero: 1.
	Replicas int
	// AckWait is how long the server waits for a sign of life from a job's worker before it gives the job to another; zero: DefaultAckWait.
	// With a server in the same process that started it, which ends with the workers, a third of that is enough.
	AckWait time.Duration
	// MaxConcurrentJobs is how many campaign jobs run at once in the whole fleet; zero: DefaultMaxConcurrentJobs.
	MaxConcurrentJobs int
	// MaxDeliver is how often the server delivers a job at most, as the far backstop behind the retry policy; zero: DefaultMaxDeliver.
	MaxDeliver int
	// HostWatch is how often a request to send makes sure that its session's host still has it in hand; zero: DefaultHostWatch.
	HostWatch time.Duration
	// LeaseTTL is the TTL of the bucket of leases, equal to that of the lease keepers; zero: DefaultLeaseTTL.
	LeaseTTL time.Duration
	// Tracer takes a span for each command, job and request to send; nil: nobody traces, and only the traceparent header goes with them.
	Tracer trace.Tracer
	// Annotate has the log lines of a job or a request say what it is about; nil: they say only what they say themselves.
	Annotate Annotate
	// Log receives what happens to the connection and to jobs; nil: slog.Default().
	Log *slog.Logger
	// Registerer receives the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
}

// Bus is a connection to the queue. Its methods may be called from any goroutine. It connects again by itself, for ever, when the connection
// is lost; meanwhile its calls fail with fault.RetryLater or wait for their context.
type Bus struct {
	options Options
	log     *slog.Logger
	metrics *metrics
	nc      *nats.Conn
	js      jetstream.JetStream
	closed  chan struct{}
	// serving has the *sendServer of each session that is hosted in this process.
	serving sync.Map
	// tends: this process made the topology, so it sees to it after an outage too.
	tends atomic.Bool
}

// Connect connects to NATS, waiting for it as long as the context lives.
func Connect(ctx context.Context, options Options) (*Bus, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	metrics, err := newMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	b := &Bus{options: options, log: options.Log, metrics: metrics, closed: make(chan struct{})}
	err = b.await(ctx, "NATS at "+options.address(), func(context.Context) error {
		b.nc, err = nats.Connect(options.URL, b.connection()...)
		return err
	})
	if err != nil {
		return nil, err
	}
	b.js, err = jetstream.New(b.nc, jetstream.WithPublishAsyncMaxPending(maxFactsInFlight), jetstream.WithPublishAsyncTimeout(publishTimeout))
	if err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return b, nil
}

// complete checks the options and fills in the defaults.
func (o Options) complete() (Options, error) {
	if (o.URL == "") == (o.Server == nil) {
		return o, errors.New("bus: give either a URL or a server in this process")
	}
	if o.Name == "" {
		return o, errors.New("bus: Name is required")
	}
	for address := range strings.SplitSeq(o.URL, ",") {
		if _, err := url.Parse(address); err != nil {
			return o, errors.New("bus: the NATS URL is not a URL; it looks like nats://host:4222")
		}
	}
	if o.Credentials != "" && o.User != "" || o.Password != "" && o.User == "" {
		return o, errors.New("bus: give either a User and its Password or Credentials")
	}
	o.Replicas = orDefault(o.Replicas, 1)
	o.AckWait = orDefault(o.AckWait, DefaultAckWait)
	o.HostWatch = orDefault(o.HostWatch, DefaultHostWatch)
	o.MaxConcurrentJobs = orDefault(o.MaxConcurrentJobs, DefaultMaxConcurrentJobs)
	o.MaxDeliver = orDefault(o.MaxDeliver, DefaultMaxDeliver)
	o.LeaseTTL = orDefault(o.LeaseTTL, DefaultLeaseTTL)
	if o.Replicas != 1 && o.Replicas != 3 {
		return o, fmt.Errorf("bus: %d replicas; it must be 1 or 3", o.Replicas)
	}
	if o.AckWait < 100*time.Millisecond || o.MaxConcurrentJobs < 1 || o.MaxDeliver < 1 || o.LeaseTTL < 100*time.Millisecond {
		return o, errors.New("bus: AckWait and LeaseTTL must be at least 100 ms, MaxConcurrentJobs and MaxDeliver at least 1")
	}
	if o.Annotate == nil {
		o.Annotate = unannotated
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Log = o.Log.With("worker", o.Name)
	return o, nil
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

// address says where the server is, without credentials.
func (o Options) address() string {
	if o.Server != nil {
		return "this process"
	}
	var hosts []string
	for address := range strings.SplitSeq(o.URL, ",") {
		if parsed, err := url.Parse(address); err == nil && parsed.Host != "" {
			hosts = append(hosts, parsed.Host)
		}
	}
	if len(hosts) == 0 {
		return "the given URL"
	}
	return strings.Join(hosts, ", ")
}

// connection gives the options of the NATS connection.
func (b *Bus) connection() []nats.Option {
	options := []nats.Option{
		nats.Name(b.options.Name),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(backoff),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DrainTimeout(closeTimeout),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: the connection was closed on purpose.
				b.log.Warn("connection to NATS lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			b.log.Info("connection to NATS restored")
			b.mendTopology()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.log.Warn("NATS reported an error", "error", err)
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	}
	if b.options.Server != nil {
		options = append(options, nats.InProcessServer(b.options.Server))
	}
	return append(options, b.options.identity()...)
}

// identity gives the options that say who this process is.
func (o Options) identity() []nats.Option {
	var options []nats.Option
	if o.User != "" {
		options = append(options, nats.UserInfo(o.User, o.Password))
	}
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	if o.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	return options
}

// backoff gives the wait before the n-th try, from 0 on: doubling from 50 ms to 2 s, with jitter, so that workers do not come back all at once.
func backoff(n int) time.Duration {
	wait := 50 * time.Millisecond << min(max(n, 0), 6)
	wait = min(wait, 2*time.Second)
	return wait/2 + rand.N(wait/2) // #nosec G404 -- jitter, not a secret
}

// await repeats try until it succeeds, the context ends, or the failure is one that waiting cannot cure.
func (b *Bus) await(ctx context.Context, what string, try func(context.Context) error) error {
	for n := 0; ; n++ {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if hopeless(err) {
			return fmt.Errorf("open %s: %w", what, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for %s: %w: %w", what, ctx.Err(), err)
		}
		if n == 0 || n%10 == 9 {
			b.log.InfoContext(ctx, "waiting", "for", what, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff(n)):
		}
	}
}

// hopeless tells whether an answer of JetStream will be the same next time: it refused the request itself.
func hopeless(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code >= 400 && api.Code < 500 || errors.Is(err, nats.ErrConnectionClosed)
}

// Health tells whether the queue answers and the topology exists. Give it a context with a deadline.
func (b *Bus) Health(ctx context.Context) error {
	for _, name := range b.streamNames() {
		if _, err := b.js.Stream(ctx, name); err != nil {
			return fmt.Errorf("look at stream %s: %w", name, err)
		}
	}
	return nil
}

// closeTimeout bounds how long Close waits for what is on its way.
const closeTimeout = 5 * time.Second

// Close sends what is on its way and ends the connection. Workers and servers of requests must have been stopped before.
func (b *Bus) Close() error {
	if err := b.nc.Drain(); err != nil {
		b.nc.Close() // Not connected: there is nothing to drain.
	}
	select {
	case <-b.closed:
	case <-time.After(closeTimeout + time.Second):
		b.nc.Close()
		<-b.closed
	}
	return nil
}
