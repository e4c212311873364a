package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/bus/embed/embedtest"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

func TestMain(m *testing.M) {
	for _, serve := range []func() (bool, error){embedtest.Serve, serveWorker} {
		served, err := serve()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if served {
			os.Exit(0)
		}
	}
	goleak.VerifyTestMain(m)
}

// testAckWait is short, so that a test of a lost worker takes a fraction of a second, and long enough for a busy machine to send heartbeats.
const testAckWait = 400 * time.Millisecond

// testTimeout ends a test that would hang.
const testTimeout = 30 * time.Second

// broker is a nats-server of one test, which can be stopped and started again on its files.
type broker struct {
	t       *testing.T
	dir     string
	running atomic.Pointer[embed.Server]
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{t: t, dir: t.TempDir()}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start() {
	b.t.Helper()
	server, err := embed.Start(embed.Options{Dir: b.dir})
	if err != nil {
		b.t.Fatal(err)
	}
	b.running.Store(server)
}

func (b *broker) stop() {
	b.t.Helper()
	if server := b.running.Swap(nil); server != nil {
		if err := server.Stop(); err != nil {
			b.t.Error(err)
		}
	}
}

// InProcessConn connects to the server that runs now.
func (b *broker) InProcessConn() (net.Conn, error) {
	if server := b.running.Load(); server != nil {
		return server.InProcessConn()
	}
	return nil, errors.New("the broker is down")
}

// connect makes a bus on the broker, with the topology, closed with the test.
func (b *broker) connect(options Options) *Bus {
	b.t.Helper()
	options.Server = b
	options.Name = orDefault(options.Name, "worker")
	options.AckWait = orDefault(options.AckWait, testAckWait)
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	bus, err := Connect(b.t.Context(), options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := bus.Close(); err != nil {
			b.t.Error(err)
		}
	})
	if err := bus.EnsureTopology(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return bus
}

// newBus makes a bus on a broker of its own.
func newBus(t *testing.T) *Bus {
	t.Helper()
	return newBroker(t).connect(Options{})
}

// hasty are retry policies without a real wait.
func hasty() map[string]Policy {
	quick := Policy{Attempts: 3, MinDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond}
	return map[string]Policy{
		events.LinkSession{}.Kind():    quick,
		events.RunCampaign{}.Kind():    quick,
		events.MessageReceipt{}.Kind(): quick,
	}
}

func newWorker(t *testing.T, bus *Bus, options WorkerOptions) *Worker {
	t.Helper()
	if options.Policies == nil {
		options.Policies = hasty()
	}
	options.DrainTime = orDefault(options.DrainTime, -1) // A test that ends with jobs in hand does not wait for them.
	w, err := bus.NewWorker(options)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// start runs a worker until stop is called or the test ends, and waits until it takes jobs.
func start(t *testing.T, w *Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	select {
	case <-w.Ready():
	case err := <-ended:
		t.Fatalf("the worker did not start: %v", err)
	case <-time.After(testTimeout):
		t.Fatal("the worker did not start in time")
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the worker ended with %v", err)
			}
		case <-time.After(testTimeout):
			t.Error("the worker did not end in time")
		}
	}
	t.Cleanup(stop)
	return stop
}

// receive takes one value, or fails the test.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(testTimeout):
		t.Fatalf("no %s in time", what)
		panic("unreachable")
	}
}

// eventually waits for a state that no event tells of, such as a counter of the server.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// pendingJobs counts the messages of COMMANDS.
func pendingJobs(t *testing.T, bus *Bus) int {
	t.Helper()
	stream, err := bus.js.Stream(t.Context(), events.StreamCommands)
	if err != nil {
		t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs) // #nosec G115 -- a small count
}

func link(name string) events.LinkSession {
	return events.LinkSession{
		Version: events.LinkSessionVersion, SessionID: session.ID("ses_" + name), LinkID: "lnk_" + name, Method: session.MethodQR,
	}
}

func campaignJob(name string) events.RunCampaign {
	return events.RunCampaign{
		Version: events.RunCampaignVersion, CampaignID: campaign.ID("cmp_" + name), SessionID: "ses_1", Slice: 1,
	}
}

func send(t *testing.T, bus *Bus, commands ...events.Command) {
	t.Helper()
	for _, command := range commands {
		if err := bus.SendCommand(t.Context(), command); err != nil {
			t.Fatal(err)
		}
	}
}

func failedJobs(t *testing.T, bus *Bus) []FailedJob {
	t.Helper()
	queue := bus.NewFailedQueue()
	entries, _, err := queue.List(t.Context(), events.FailedFilter{}, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		if entries[i], err = queue.Get(t.Context(), entries[i].Entry); err != nil {
			t.Fatal(err)
		}
	}
	return entries
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	server := &broker{}
	for name, options := range map[string]Options{
		"neither URL nor server": {Name: "w"},
		"both URL and server":    {Name: "w", URL: "nats://127.0.0.1:1", Server: server},
		"no name":                {Server: server},
		"two replicas":           {Name: "w", Server: server, Replicas: 2},
		"hasty ack wait":         {Name: "w", Server: server, AckWait: time.Millisecond},
		"negative jobs":          {Name: "w", Server: server, MaxConcurrentJobs: -1},
		"not a URL":              {Name: "w", URL: "nats://user:secret@%zz"},
	} {
		if _, err := Connect(t.Context(), options); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a password: %v", name, err)
		}
	}
}

func TestConnectWaitsForTheServer(t *testing.T) {
	t.Parallel()
	down := &broker{t: t, dir: t.TempDir()}
	lines := make(chan string, 100)
	connected := make(chan error, 1)
	go func() {
		bus, err := Connect(t.Context(), Options{Name: "w", Server: down, Log: slog.New(lineHandler(lines))})
		if err == nil {
			err = bus.Close()
		}
		connected <- err
	}()
	if line := receive(t, "log line", lines); !strings.Contains(line, "NATS at this process") {
		t.Errorf("the log does not say what it waits for: %s", line)
	}
	down.start()
	defer down.stop()
	if err := receive(t, "connection", connected); err != nil {
		t.Error(err)
	}
}

func TestConnectGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	lines := make(chan string, 100)
	connected := make(chan error, 1)
	go func() {
		_, err := Connect(ctx, Options{Name: "w", URL: "nats://user:secret@127.0.0.1:1", Log: slog.New(lineHandler(lines))})
		connected <- err
	}()
	line := receive(t, "log line", lines)
	cancel()
	err := receive(t, "end", connected)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "NATS at 127.0.0.1:1") {
		t.Errorf("got %v, want a cancellation that names the server", err)
	}
	if strings.Contains(err.Error()+line, "secret") {
		t.Errorf("a password is shown: %v %s", err, line)
	}
}

func TestHealthTellsWhetherTheQueueAnswers(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	bus := server.connect(Options{})
	if err := bus.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := bus.Health(ctx); err == nil {
		t.Error("healthy without a server")
	}
}

// lineHandler writes each log line, as text, to a channel.
func lineHandler(lines chan<- string) slog.Handler {
	return slog.NewTextHandler(writerFunc(func(line []byte) (int, error) {
		select {
		case lines <- string(line):
		default: // Nobody reads any more.
		}
		return len(line), nil
	}), &slog.HandlerOptions{Level: slog.LevelDebug})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(line []byte) (int, error) { return f(line) }
