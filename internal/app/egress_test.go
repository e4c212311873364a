package app_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
	"github.com/dannsalud/broadcaster/internal/wa/proxytest"
	"github.com/dannsalud/broadcaster/wasim"
)

// port is the simulator's, with a count of the connections that reached it.
type port struct {
	net.Listener
	mu       sync.Mutex
	accepted int
}

// Accept implements net.Listener.
func (p *port) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	if err == nil {
		p.mu.Lock()
		p.accepted++
		p.mu.Unlock()
	}
	return conn, err
}

func (p *port) total() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// lockedBuffer is a log that goroutines may write to at once.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

// String gives what was written so far.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// startListening starts the product on a simulator that listens. When it has stopped, neither its log nor any of its files may hold a password.
func startListening(t *testing.T, proxies map[string]string) (*world, *port) {
	t.Helper()
	log, folder := &lockedBuffer{}, t.TempDir()
	t.Cleanup(func() { wantNoPasswords(t, log.buffer.Bytes(), folder) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reached := &port{Listener: listener}
	w := startWith(t, func(o *app.Options, simulator *wasim.Server) {
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		served := make(chan error, 1)
		go func() { served <- simulator.Serve(ctx, reached) }()
		t.Cleanup(func() {
			stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
		address := listener.Addr().String()
		o.WhatsApp = app.Endpoint{HTTPClient: wasim.DialClient(address), Address: address, RootKey: simulator.RootPublicKey()}
		o.DataDir, o.DefaultProxies = folder, proxies
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	return w, reached
}

// wantNoPasswords looks for what proxytest asks for.
func wantNoPasswords(t *testing.T, log []byte, folder string) {
	t.Helper()
	words := [][]byte{[]byte("hunter2"), []byte(proxytest.User), []byte("YWxpY2U6")} // the last is user and password in base64
	look := func(where string, text []byte) {
		for _, word := range words {
			if bytes.Contains(text, word) {
				t.Errorf("%s holds %q", where, word)
			}
		}
	}
	if len(log) == 0 {
		t.Error("nothing was logged")
	}
	look("the log", log)
	files := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		look(path, content)
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("looked at %d files: %v", files, err)
	}
}

// TestSessionsGoOutThroughTheirProxies: one has its proxy from the configuration, one from the API; all that reaches the simulator came through
// one of the two.
func TestSessionsGoOutThroughTheirProxies(t *testing.T) {
	t.Parallel()
	first, second := proxytest.Start(t, session.ProxyHTTP), proxytest.Start(t, session.ProxySOCKS5)
	w, reached := startListening(t, map[string]string{"user-1": first.Address(proxytest.Password)})

	one, _ := w.link(1)
	throughFirst := len(first.Requests())
	if throughFirst == 0 || len(second.Requests()) != 0 {
		t.Errorf("the first session made %d connections through its proxy, and %d through the other", throughFirst, len(second.Requests()))
	}
	two, err := w.api.CreateSession(t.Context(), "user-2", "")
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := w.api.SetEgress(t.Context(), two.ID, second.Address(proxytest.Password), false)
	if err != nil || chosen.Proxy != second.Proxy().Masked() || chosen.Egress == one.ID {
		t.Fatalf("chosen %+v, %v", chosen, err)
	}
	phone, err := w.simulator.NewPhone("+5491150000002")
	if err != nil {
		t.Fatal(err)
	}
	w.scan(two.ID, phone)
	w.awaitState(two.ID, "ready")
	if len(first.Requests()) != throughFirst || len(second.Requests()) == 0 {
		t.Errorf("the second session made %d connections through its proxy, and %d through the other", len(second.Requests()),
			len(first.Requests())-throughFirst)
	}
	for _, id := range []string{one.ID, two.ID} {
		found, err := w.api.CheckEgress(t.Context(), id)
		if err != nil || !found.Reachable || found.Kind != "proxy" {
			t.Errorf("check: %+v, %v", found, err)
		}
	}
	if _, err := w.api.DeleteEgress(t.Context(), two.ID, false); !client.IsCode(err, "egress_is_sticky") {
		t.Errorf("a linked session lost its proxy: %v", err)
	}
	if got, want := reached.total(), len(first.Requests())+len(second.Requests()); got != want {
		t.Errorf("%d connections reached the simulator, %d of them through a proxy", got, want)
	}
}

func TestADeadProxyLinksNothing(t *testing.T) {
	t.Parallel()
	dead := proxytest.Start(t, session.ProxySOCKS5)
	dead.Stop()
	w, reached := startListening(t, map[string]string{"user-1": dead.Address(proxytest.Password)})
	created, err := w.api.CreateSession(t.Context(), "user-1", "")
	if err != nil {
		t.Fatal(err)
	}
	found, err := w.api.CheckEgress(t.Context(), created.ID)
	if err != nil || found.Reachable || found.Problem != "proxy_unreachable" || found.MessageSpanish == "" {
		t.Errorf("check: %+v, %v", found, err)
	}
	if _, err := w.api.StartLink(t.Context(), created.ID, "qr", ""); err != nil {
		t.Fatal(err)
	}
	w.await("the link has tried to connect", func(ctx context.Context) (bool, error) {
		link, err := w.api.Link(ctx, created.ID)
		return link.Ended() || link.State == "connecting", err
	})
	if _, err := w.api.CancelLink(t.Context(), created.ID); err != nil && !client.IsCode(err, "link_ended") {
		t.Fatal(err)
	}
	w.await("the link has ended", func(ctx context.Context) (bool, error) {
		link, err := w.api.Link(ctx, created.ID)
		return link.Ended(), err
	})
	if got := reached.total(); got != 0 {
		t.Errorf("%d connections reached the simulator", got)
	}
}

// TestProxiesAreSealedAnewWithTheKeys: after a rotation the new key alone opens them.
func TestProxiesAreSealedAnewWithTheKeys(t *testing.T) {
	t.Parallel()
	uri, name := mongotest.Database(t)
	folder := t.TempDir()
	if _, err := keys.MakeRing(filepath.Join(folder, "keystore.key")); err != nil {
		t.Fatal(err)
	}
	keyFile, err := sqlite.OpenKeys(t.Context(), sqlite.Options{Path: filepath.Join(folder, "keystore.db")})
	if err != nil {
		t.Fatal(err)
	}
	books, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, "broadcaster.db")})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := mongo.Open(t.Context(), mongo.Options{URI: uri, Database: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, closing := range []func() error{keyFile.Close, books.Close, shared.Close} {
			if err := closing(); err != nil {
				t.Error(err)
			}
		}
	})
	old, fresh := app.GenerateKey(), app.GenerateKey()
	both := app.KeySource{Key: fresh + "," + old}
	for what, row := range map[string]struct {
		sessions session.Store
		egresses session.Egresses
		options  app.KeyRotationOptions
	}{
		"a data folder": {books.Sessions(), books.Egresses(), app.KeyRotationOptions{DataDir: folder, KeySource: both}},
		"a shared database": {shared.Sessions(), shared.Egresses(), app.KeyRotationOptions{Servers: &app.Servers{Mongo: uri, Database: name},
			KeySource: app.KeySource{Key: app.GenerateKey()}, EgressKey: both}},
	} {
		ways := func(key string) *session.Ways { return waysSealedWith(t, row.sessions, row.egresses, key) }
		proxy := proxytest.Start(t, session.ProxyHTTP).Proxy()
		if err := row.sessions.Create(t.Context(), session.Session{ID: "ses_a", Egress: proxy.Egress()}); err != nil {
			t.Fatal(err)
		}
		if err := ways(old).Keep(t.Context(), "ses_a", proxy, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := ways(fresh).Proxy(t.Context(), "ses_a"); fault.Of(err) != fault.Internal {
			t.Errorf("%s: the new key opens it before the rotation: %v", what, err)
		}
		if _, err := app.RotateKeys(t.Context(), row.options); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got, err := ways(fresh).Proxy(t.Context(), "ses_a"); err != nil || got.Reveal() != proxy.Reveal() {
			t.Errorf("%s: the new key does not open it: %v", what, err)
		}
		if _, err := ways(old).Proxy(t.Context(), "ses_a"); fault.Of(err) != fault.Internal {
			t.Errorf("%s: the retired key opens it: %v", what, err)
		}
	}
}

func waysSealedWith(t *testing.T, sessions session.Store, egresses session.Egresses, key string) *session.Ways {
	t.Helper()
	ring, err := keys.ParseRing(key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := session.NewWays(sessions, egresses, ringSealer{ring})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// ringSealer is how the product seals proxies.
type ringSealer struct{ ring *keys.Ring }

// Seal implements session.Sealer.
func (s ringSealer) Seal(id session.ID, name string, secret []byte) ([]byte, error) {
	return s.ring.SealSecret(string(id), "egress", name, secret)
}

// Open implements session.Sealer.
func (s ringSealer) Open(id session.ID, name string, sealed []byte) ([]byte, error) {
	return s.ring.OpenSecret(string(id), "egress", name, sealed)
}
