package contract

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// yard is an API on real parts. No worker runs: what the queue holds stays.
type yard struct {
	handler  http.Handler
	database *sqlite.DB
	queue    *bus.Bus
	prompts  *bus.Prompts
	links    *pace.Links
	book     *access.Book
	// admin is a key that may everything.
	admin string
	// log is what the API said about failures.
	log *bytes.Buffer
}

func newYard(t testing.TB) *yard {
	t.Helper()
	ctx := t.Context()
	broker, err := embed.Start(embed.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{log: &bytes.Buffer{}}
	if y.queue, err = bus.Connect(ctx, bus.Options{Server: broker, Name: "worker-1", Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(y.queue.Close(), broker.Stop()); err != nil {
			t.Error(err)
		}
	})
	if err := y.queue.EnsureTopology(ctx); err != nil {
		t.Fatal(err)
	}
	if y.database, err = sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(t.TempDir(), "test.db")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.database.Close(); err != nil {
			t.Error(err)
		}
	})
	answers, err := y.queue.Answers(ctx)
	if err == nil {
		y.prompts, err = y.queue.Prompts(ctx)
	}
	if err == nil {
		y.links, err = pace.NewLinks(pace.LinksOptions{Bucket: &pace.Memory{}, Rules: pace.DefaultRules()})
	}
	var ways *session.Ways
	if err == nil {
		ways, err = session.NewWays(y.database.Sessions(), y.database.Egresses(), proxySealer{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if y.book, err = access.New(access.Options{Documents: y.database.Documents()}); err != nil {
		t.Fatal(err)
	}
	y.admin = y.newKey(t, access.Admin, "")
	served, err := api.New(api.Options{Keys: y.book, RequestsPerSecond: -1, Sessions: y.database.Sessions(), Campaigns: y.database.Campaigns(), Deliveries: y.database.Deliveries(),
		Histories: y.database.Histories(), Suppressions: y.database.Suppressions(), Documents: y.database.Documents(), Idempotency: y.database.Idempotency(),
		Webhooks: webhook.Subscriptions{Documents: y.database.Documents(), Sealer: secretSealer{}, Plain: true},
		Queue:    y.queue, Sends: y.queue, FailedJobs: y.queue.NewFailedQueue(), Jobs: y.queue, Prompts: y.prompts, Answers: answers, Watcher: y.queue, Links: y.links,
		Events:           api.EventsOptions{Log: y.queue},
		Egress:           &api.EgressOptions{Ways: ways, Checker: reachable{}, CheckTimeout: time.Second},
		ReplaysPerSecond: 100_000, FetchFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxUploadBytes: 1 << 20,
		Log: slog.New(slog.NewTextHandler(y.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	y.handler = asAdmin(served.Handler(), y.admin)
	following, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- served.Run(following) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return y
}

func (y *yard) newKey(t testing.TB, role access.Role, user string) string {
	t.Helper()
	_, secret, err := y.book.Create(t.Context(), access.Caller{Key: access.Terminal, Role: access.Admin}, access.Wanted{Name: "Test", Role: role, User: user})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// asAdmin gives requests that say nothing of who sends them the key of an administrator.
func asAdmin(next http.Handler, admin string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, said := r.Header["Authorization"]; !said {
			r.Header.Set("Authorization", "Bearer "+admin)
		}
		next.ServeHTTP(w, r)
	})
}

// reachable stands for the network, which the tests of internal/wa have.
type reachable struct{}

func (reachable) Check(context.Context, session.Proxy) (session.EgressCheck, error) {
	return session.EgressCheck{Latency: time.Millisecond}, nil
}

// secretSealer and proxySealer seal by turning round, bound to the place. The real one is tested with the key store.
type secretSealer struct{}

func (secretSealer) Seal(subscription, name string, secret []byte) ([]byte, error) {
	sealed := []byte(subscription + name + string(secret))
	slices.Reverse(sealed)
	return sealed, nil
}

func (secretSealer) Open(subscription, name string, sealed []byte) ([]byte, error) {
	opened := slices.Clone(sealed)
	slices.Reverse(opened)
	secret, is := strings.CutPrefix(string(opened), subscription+name)
	if !is {
		return nil, errors.New("sealed elsewhere")
	}
	return []byte(secret), nil
}

type proxySealer struct{}

func (proxySealer) Seal(id session.ID, name string, secret []byte) ([]byte, error) {
	return secretSealer{}.Seal(string(id), name, secret)
}

func (proxySealer) Open(id session.ID, name string, sealed []byte) ([]byte, error) {
	return secretSealer{}.Open(string(id), name, sealed)
}
