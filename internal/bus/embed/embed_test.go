package embed

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run starts a server, stopped with the test.
func run(t *testing.T, options Options) *Server {
	t.Helper()
	server, err := Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return server
}

// stop stops a server that may be stopped already.
func stop(t *testing.T, server *Server) {
	t.Helper()
	if server.lock == nil {
		return
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	server.lock = nil
}

// open connects to a server, in process.
func open(t *testing.T, server *Server) jetstream.JetStream {
	t.Helper()
	connection, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	stream, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestAStartedServerHasJetStreamAndNoListener(t *testing.T) {
	t.Parallel()
	server := run(t, Options{Dir: filepath.Join(t.TempDir(), "made", "by", "it")})
	info, err := open(t, server).AccountInfo(t.Context())
	if err != nil || info.Streams != 0 {
		t.Errorf("JetStream answers %+v, %v", info, err)
	}
	if url, address := server.ClientURL(), server.server.Addr(); url != "" || address != nil {
		t.Errorf("it listens on %q, %v", url, address)
	}
}

func TestStreamsAreThereAfterARestart(t *testing.T) {
	t.Parallel()
	for name, sync := range map[string]bool{"flushed now and then": false, "flushed each time": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := Options{Dir: t.TempDir(), SyncEach: sync}
			server := run(t, options)
			if server.server.JetStreamConfig().SyncAlways != sync {
				t.Errorf("SyncEach %v is not what the server does", sync)
			}
			js := open(t, server)
			if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}}); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				if _, err := js.Publish(t.Context(), "kept", fmt.Appendf(nil, "message %d", i)); err != nil {
					t.Fatal(err)
				}
			}
			stop(t, server)
			stream, err := open(t, run(t, options)).Stream(t.Context(), "KEPT")
			if err != nil {
				t.Fatal(err)
			}
			last, err := stream.GetMsg(t.Context(), 10)
			if err != nil || string(last.Data) != "message 9" || stream.CachedInfo().State.Msgs != 10 {
				t.Errorf("after the restart there is %+v, %v", stream.CachedInfo().State, err)
			}
		})
	}
}

func TestAFolderIsUsedByOneServerAtATime(t *testing.T) {
	t.Parallel()
	options := Options{Dir: t.TempDir()}
	first := run(t, options)
	second, err := Start(options)
	if err == nil {
		stop(t, second)
		t.Fatal("two servers run on one folder")
	}
	if !strings.Contains(err.Error(), options.Dir) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	if _, err := open(t, first).AccountInfo(t.Context()); err != nil {
		t.Errorf("the refused server disturbed the first: %v", err)
	}
	stop(t, first)
	run(t, options)
}

func TestItListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.168.1.1:4222", "localhost:4222", "127.0.0.1", "127.0.0.1:x", "example.com:4222"} {
		options := Options{Dir: t.TempDir(), Listen: address}
		if server, err := Start(options); err == nil {
			stop(t, server)
			t.Errorf("listens on %q", address)
		}
	}
	server := run(t, Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	bound, err := netip.ParseAddrPort(server.server.Addr().String())
	if err != nil || !bound.Addr().IsLoopback() || bound.Port() == 0 {
		t.Fatalf("it listens on %v, %v", server.server.Addr(), err)
	}
	connection, err := nats.Connect(server.ClientURL(), nats.Timeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()
}

// TestAStartThatFailsSaysWhyAndLetsTheFolderGo: the server's own fatal line would have ended the process.
func TestAStartThatFailsSaysWhyAndLetsTheFolderGo(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}()
	var log lockedBuffer
	options := Options{Dir: t.TempDir(), Listen: taken.Addr().String(), Log: slog.New(slog.NewTextHandler(&log, nil))}
	server, err := Start(options)
	if err == nil {
		stop(t, server)
		t.Fatal("it listens where somebody else does")
	}
	if !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("the error does not say why: %v", err)
	}
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the log has no error: %s", log.String())
	}
	options.Listen = ""
	run(t, options)
	if _, err := Start(Options{}); err == nil {
		t.Error("it runs without a folder")
	}
}

// lockedBuffer is a log that many write to.
type lockedBuffer struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (b *lockedBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.Write(line)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.String()
}
