package wasim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/noise"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// headerTimeout is how long a client may take for the headers of its HTTP request.
const headerTimeout = time.Minute

// ErrClosed is returned by what is asked of a server that was closed.
var ErrClosed = errors.New("the simulator is closed")

// Server is a simulated WhatsApp. All methods are safe for concurrent use.
type Server struct {
	options    Options
	identity   *noise.Identity
	rootPublic [32]byte
	secret     [32]byte
	script     *script.Play
	books      counters
	latency    atomic.Int64
	media      media
	pipes      *pipes
	handlers   sync.WaitGroup
	nextID     atomic.Uint64
	queries    map[string]kind
	stanzas    map[string]kind
	// revision is the oldest that is served, told the one that the first page names; versionsAsked counts who looked.
	revision      atomic.Uint32
	told          atomic.Uint32
	versionsAsked atomic.Int64

	chance sync.Mutex
	random *mathrand.Rand // guarded by chance

	mu          sync.RWMutex
	accounts    map[uint64]*account
	offers      map[string]*pairing
	connections map[*connection]struct{}
	unknown     []error
	takeovers   []Takeover
	inMemory    bool
	closed      bool
}

// RootPublicKey is the key that clients must trust to connect to this server.
func (s *Server) RootPublicKey() [32]byte { return s.rootPublic }

// SetLatency changes how long every stanza takes from the server to a client, for stanzas sent from now on.
func (s *Server) SetLatency(latency time.Duration) { s.latency.Store(int64(max(latency, 0))) }

// HTTPClient gives a client whose every connection, whatever the address, is an in-memory pipe to this server: for the websocket and
// for media.
func (s *Server) HTTPClient() *http.Client {
	return clientThrough(func(ctx context.Context) (net.Conn, error) {
		if err := s.serveInMemory(); err != nil {
			return nil, err
		}
		return s.pipes.dial(ctx)
	})
}

// DialClient gives a client whose every connection, whatever the address in the request, goes to a server that listens at addr.
func DialClient(addr string) *http.Client {
	var dialer net.Dialer
	return clientThrough(func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) })
}

// clientThrough makes an HTTP client over plain connections: what DialTLSContext returns is taken as encrypted already, so https URLs
// need no certificates.
func clientThrough(dial func(context.Context) (net.Conn, error)) *http.Client {
	ignoreAddress := func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	return &http.Client{Transport: &http.Transport{DialContext: ignoreAddress, DialTLSContext: ignoreAddress}}
}

// serveInMemory starts serving pipes at the first dial.
func (s *Server) serveInMemory() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.inMemory {
		return nil
	}
	s.inMemory = true
	s.handlers.Go(func() {
		server := &http.Server{Handler: s, ReadHeaderTimeout: headerTimeout}
		if err := server.Serve(s.pipes); err != nil && !errors.Is(err, net.ErrClosed) {
			s.options.Log.Error("serving pipes ended", "error", err)
		}
		_ = server.Close()
	})
	return nil
}

// Serve serves a listener, such as one on loopback TCP, until the context ends, the server is closed or the listener fails; the
// listener and its connections are closed then.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var handlers gate
	server := &http.Server{
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if handlers.enter() {
				defer handlers.leave()
				s.ServeHTTP(w, r)
			}
		}),
	}
	closed := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer closed()
	err := server.Serve(listener)
	cancel()
	handlers.close()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// gate counts who is inside and, once closed, lets nobody in.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.inside.Add(1)
	}
	return !g.closed
}

func (g *gate) leave() { g.inside.Done() }

// close waits until everybody has left.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
}

// Close ends every connection and waits until nothing of the server runs any more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	open := slices.Collect(maps.Keys(s.connections))
	s.mu.Unlock()
	for _, connection := range open {
		connection.cut()
	}
	s.pipes.close()
	s.handlers.Wait()
	return nil
}

// ServeHTTP answers the requests of clients: the websocket and the media host, whatever their host names.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ws/chat":
		s.serveWebsocket(w, r)
	case strings.HasPrefix(r.URL.Path, "/mms/"), strings.HasPrefix(r.URL.Path, mediaPath):
		s.serveMedia(w, r)
	case r.URL.Path == "/":
		s.servePage(w, r)
	default:
		http.NotFound(w, r)
	}
}

// account gives the account of a number, and makes it if contacts exist by themselves; nil if nobody has the number.
func (s *Server) account(number uint64) *account {
	s.mu.RLock()
	found := s.accounts[number]
	s.mu.RUnlock()
	if found != nil || !s.options.AutoContacts {
		return found
	}
	if _, err := stanza.ParseNumber(stanza.FormatNumber(number)); err != nil {
		return nil
	}
	return s.ensure(number)
}

// ensure gives the account of a number, and makes it if it does not exist.
func (s *Server) ensure(number uint64) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.accounts[number]; found != nil {
		return found
	}
	made := &account{server: s, number: number}
	s.accounts[number] = made
	return made
}

// accountOf gives the account behind a JID; nil if there is none.
func (s *Server) accountOf(jid types.JID) *account {
	number, ok := stanza.Number(jid)
	if !ok {
		return nil
	}
	return s.account(number)
}

// everyAccount lists the accounts that exist now.
func (s *Server) everyAccount() []*account {
	s.mu.RLock()
	defer s.mu.RUnlock()
	accounts := make([]*account, 0, len(s.accounts))
	for _, one := range s.accounts {
		accounts = append(accounts, one)
	}
	return accounts
}

// newID makes an id for a stanza that the server or a simulated device sends.
func (s *Server) newID(prefix string) string {
	return fmt.Sprintf("%s%016X", prefix, s.nextID.Add(1)^s.idBase())
}

// idBase keeps the ids of two servers with different seeds apart.
func (s *Server) idBase() uint64 {
	base := uint64(0)
	for _, b := range s.secret[:6] {
		base = base<<8 | uint64(b)
	}
	return base << 16
}

// happens decides about a share of events.
func (s *Server) happens(share float64) bool {
	if share <= 0 || share >= 1 {
		return share >= 1
	}
	s.chance.Lock()
	defer s.chance.Unlock()
	return s.random.Float64() < share
}

// later does something after a time, unless the server was closed meanwhile; at once if there is nothing to wait for.
func (s *Server) later(after time.Duration, do func()) {
	if after <= 0 {
		do()
		return
	}
	time.AfterFunc(after, func() {
		s.mu.RLock()
		closed := s.closed
		s.mu.RUnlock()
		if !closed {
			do()
		}
	})
}
