// Package embed runs a nats-server with JetStream inside this process: what `broadcaster up` and `demo` use instead of a NATS cluster,
// and what the tests of the transport run against. It is the real server, so what holds here holds in production, but for replication.
//
// Nouns: Server (a running nats-server), Options (where its files are and whether it listens).
//
// Streams are files under Options.Dir; a publish that was acknowledged has been written to the file system (it survives a killed process;
// a power cut may cost the last seconds, see Options.SyncEach). By default there is no TCP listener: internal/bus connects in process.
//
// Callers: internal/app (the all-in-one process), cmd/broadcaster, tests. It must never handle signals, exit the process, know a stream's
// name, or listen on anything but loopback.
package embed

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTimeout bounds the start, which includes reading back the streams.
const startTimeout = 30 * time.Second

// Options configure a Server. Dir is required.
type Options struct {
	// Dir is the folder of the streams' files; it is made when it does not exist. Only one server may use it at a time.
	Dir string
	// Listen is a loopback address such as "127.0.0.1:4222" for other processes; port 0 takes a free one. Empty: no listener.
	Listen string
	// SyncEach flushes every write to the disk before it is acknowledged: safe against a power cut, and many times slower.
	SyncEach bool
	// Log takes the server's own log; nil: it is dropped.
	Log *slog.Logger
}

// Server is a running nats-server.
type Server struct {
	server *server.Server
	lock   *os.File
}

// Start runs a server and returns when it takes connections. The caller stops it with Stop.
func Start(options Options) (*Server, error) {
	settings, err := options.settings()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the embedded nats-server: %w", err)
	}
	lock, err := lockDir(options.Dir)
	if err != nil {
		return nil, err
	}
	running, err := start(settings, options.Log)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Server{server: running, lock: lock}, nil
}

func start(settings *server.Options, log *slog.Logger) (*server.Server, error) {
	running, err := server.NewServer(settings)
	if err != nil {
		return nil, fmt.Errorf("make the embedded nats-server: %w", err)
	}
	lines := newLogger(log)
	running.SetLoggerV2(lines, false, false, false)
	running.Start()
	if !ready(running, lines) || !running.JetStreamEnabled() {
		running.Shutdown()
		running.WaitForShutdown()
		return nil, fmt.Errorf("start the embedded nats-server: %w", lines.fatal())
	}
	return running, nil
}

// ready waits until the server takes connections. It looks at the log in between: the server does not say otherwise that it has given up.
func ready(running *server.Server, lines *logger) bool {
	for begun := time.Now(); time.Since(begun) < startTimeout && !lines.failed(); {
		if running.ReadyForConnections(50 * time.Millisecond) {
			return true
		}
	}
	return false
}

// settings gives the nats-server's own options.
func (o Options) settings() (*server.Options, error) {
	if o.Dir == "" {
		return nil, errors.New("embedded nats-server: Dir is required")
	}
	settings := &server.Options{
		ServerName:             "embedded",
		StoreDir:               o.Dir,
		JetStream:              true,
		SyncAlways:             o.SyncEach,
		SyncInterval:           10 * time.Second,
		DisableJetStreamBanner: true,
		NoSigs:                 true,
		DontListen:             true,
		// The memory buckets (QR codes) are tiny; without a bound the server would count three quarters of the machine as its own.
		JetStreamMaxMemory: 64 << 20,
	}
	if o.Listen == "" {
		return settings, nil
	}
	address, err := netip.ParseAddrPort(o.Listen)
	if err != nil || !address.Addr().IsLoopback() {
		return nil, fmt.Errorf("embedded nats-server: %q is not a loopback address with a port, such as 127.0.0.1:4222", o.Listen)
	}
	settings.DontListen = false
	settings.Host = address.Addr().String()
	settings.Port = int(address.Port())
	if settings.Port == 0 {
		settings.Port = server.RANDOM_PORT
	}
	return settings, nil
}

// InProcessConn gives a connection that does not pass the network. It makes a Server a nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server.InProcessConn() }

// ClientURL is the URL for other processes; empty when the server does not listen.
func (s *Server) ClientURL() string {
	if s.server.Addr() == nil {
		return ""
	}
	return s.server.ClientURL()
}

// Stop ends the server and returns when its files are closed.
func (s *Server) Stop() error {
	s.server.Shutdown()
	s.server.WaitForShutdown()
	return s.lock.Close()
}
