package deployments

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/lease"
)

// patience bounds each wait of these tests; nothing waits so long unless it fails.
const patience = 20 * time.Second

// start runs a server with nats/nats.conf; only where it listens and where its files are is its own.
func start(t *testing.T) *server.Server {
	t.Helper()
	options, err := server.ProcessConfigFile("nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	options.Host, options.Port = "127.0.0.1", server.RANDOM_PORT
	options.HTTPHost, options.HTTPPort = "127.0.0.1", server.RANDOM_PORT
	options.StoreDir, options.NoSigs, options.NoLog = t.TempDir(), true, true
	running, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	running.Start()
	t.Cleanup(func() {
		running.Shutdown()
		running.WaitForShutdown()
	})
	if !running.ReadyForConnections(patience) {
		t.Fatal("the server did not start")
	}
	return running
}

// TestAWorkerWhoseMachineIsGoneIsMissedBeforeItsSessionsMove: the requests to a session are shared by all who, as far as the server knows, host it.
func TestAWorkerWhoseMachineIsGoneIsMissedBeforeItsSessionsMove(t *testing.T) {
	t.Parallel()
	options, err := server.ProcessConfigFile("nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	if missed := options.PingInterval * time.Duration(options.MaxPingsOut+1); missed <= 0 || missed > lease.DefaultTTL {
		t.Errorf("a machine is missed after %s, and its leases end after %s", missed, lease.DefaultTTL)
	}
}

// open connects as a service does.
func open(t *testing.T, broker *server.Server, user string) *bus.Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// The first server of the two is lost.
	b, err := bus.Connect(ctx, bus.Options{URL: "nats://127.0.0.1:1," + broker.ClientURL(), User: user, Password: password(user), InboxPrefix: "_INBOX_" + user,
		Name: user + "-1", LeaseTTL: time.Minute, Log: slog.New(failing{slog.DiscardHandler, t, user})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// failing is a log that fails the test when the server says that a service lacks a right: much of what lacks one is only noticed there.
type failing struct {
	slog.Handler
	t    *testing.T
	user string
}

func (failing) Enabled(context.Context, slog.Level) bool { return true }

func (f failing) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attr slog.Attr) bool {
		if strings.Contains(strings.ToLower(attr.Value.String()), "permissions violation") {
			f.t.Errorf("%s: %s: %s", f.user, record.Message, attr.Value)
		}
		return true
	})
	return nil
}

func (f failing) WithAttrs([]slog.Attr) slog.Handler { return f }

func (f failing) WithGroup(string) slog.Handler { return f }

// prepared starts a server with the topology, made by the API.
func prepared(t *testing.T) (broker *server.Server, api *bus.Bus) {
	t.Helper()
	broker = start(t)
	api = open(t, broker, "api")
	must(t, "make the topology", within(t, api.EnsureTopology))
	return broker, api
}

func within(t *testing.T, do func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return do(ctx)
}

func must(t *testing.T, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}

// run runs a worker for the rest of the test.
func run(t *testing.T, worker *bus.Worker) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the worker: %v", err)
		}
	})
}

func receive[T any](t *testing.T, what string, from <-chan T) {
	t.Helper()
	select {
	case <-from:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
}

// awaitFailed waits until FAILED has so many jobs, and the queue of jobs is empty: what was given up has ended.
func awaitFailed(t *testing.T, broker *server.Server, want uint64) {
	t.Helper()
	operator := dial(t, broker, "operator")
	js, err := jetstream.New(operator.Conn)
	must(t, "open JetStream", err)
	for deadline := time.Now().Add(patience); ; {
		failed, err := js.Stream(t.Context(), events.StreamFailed)
		must(t, "look at FAILED", err)
		commands, err := js.Stream(t.Context(), events.StreamCommands)
		must(t, "look at COMMANDS", err)
		if failed.CachedInfo().State.Msgs == want && commands.CachedInfo().State.Msgs == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("FAILED has %d jobs and COMMANDS %d", failed.CachedInfo().State.Msgs, commands.CachedInfo().State.Msgs)
		}
		must(t, "wait", operator.FlushTimeout(patience))
	}
}

// rawConn is a connection as any NATS client has it, which tries what bus never does.
type rawConn struct {
	*nats.Conn
	user    string
	refused chan error
}

func dial(t *testing.T, broker *server.Server, user string) *rawConn {
	t.Helper()
	c := &rawConn{user: user, refused: make(chan error, 16)}
	var err error
	c.Conn, err = nats.Connect(broker.ClientURL(), nats.UserInfo(user, password(user)), nats.CustomInboxPrefix("_INBOX_"+user),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.refused <- err }))
	must(t, "connect as "+user, err)
	t.Cleanup(c.Close)
	return c
}

// mustNotPublish: the server refuses the subject and says so.
func (c *rawConn) mustNotPublish(t *testing.T, subject string) {
	t.Helper()
	must(t, "publish", c.Publish(subject, []byte("{}")))
	c.mustBeRefused(t, "publish to", subject)
}

// mayPublish: the server refuses none of the subjects.
func (c *rawConn) mayPublish(t *testing.T, subjects ...string) {
	t.Helper()
	for _, subject := range subjects {
		must(t, "publish", c.Publish(subject, []byte("{}")))
	}
	must(t, "reach the server", c.FlushTimeout(patience)) // a refusal comes before the answer to the flush
	if err := c.LastError(); err != nil {
		t.Errorf("%s: %v", c.user, err)
	}
}

// mustNotSubscribe: the server refuses the subject and says so.
func (c *rawConn) mustNotSubscribe(t *testing.T, subject string) {
	t.Helper()
	_, err := c.Subscribe(subject, func(*nats.Msg) {})
	must(t, "subscribe", err)
	c.mustBeRefused(t, "subscribe to", subject)
}

func (c *rawConn) mustBeRefused(t *testing.T, doing, subject string) {
	t.Helper()
	must(t, "reach the server", c.FlushTimeout(patience)) // the refusal comes before the answer to the flush
	select {
	case err := <-c.refused:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), subject) {
			t.Errorf("%s %s %s: %v", c.user, doing, subject, err)
		}
	case <-time.After(patience):
		t.Errorf("%s may %s %s", c.user, doing, subject)
	}
}
