package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The embedded nats-server leaves this one behind each start; it reads the machine's load.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/pse.periodic"))
}

// testTimeout ends a test that would hang.
const testTimeout = 30 * time.Second

// sealer seals as the product does.
type sealer struct{ ring *keys.Ring }

func (s sealer) Seal(subscription, name string, secret []byte) ([]byte, error) {
	return s.ring.SealSecret(subscription, "webhook", name, secret)
}

func (s sealer) Open(subscription, name string, sealed []byte) ([]byte, error) {
	return s.ring.OpenSecret(subscription, "webhook", name, sealed)
}

// world is a real queue, a real database and a worker that tells webhooks.
type world struct {
	t        *testing.T
	queue    *bus.Bus
	jobs     *bus.FailedQueue
	database *sqlite.DB
	dir      string
	book     webhook.Subscriptions
	log      *lockedBuffer
	secrets  map[string]string
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu      sync.Mutex
	content bytes.Buffer
}

func (b *lockedBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.Write(line)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content.String()
}

// here lets receivers be in this machine.
func here() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

// hasty is a retry policy without a real wait.
var hasty = bus.Policy{Attempts: 3, MinDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond, PutOff: true}

// start makes a world whose receivers may be in this machine, unless change says otherwise.
func start(t *testing.T, change func(*webhook.DelivererOptions)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), log: &lockedBuffer{}, secrets: map[string]string{}}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	broker, err := embed.Start(embed.Options{Dir: filepath.Join(w.dir, "nats")})
	w.must(err)
	t.Cleanup(func() { w.check(broker.Stop()) })
	w.queue, err = bus.Connect(t.Context(), bus.Options{Server: broker, Name: "worker", Log: log})
	w.must(err)
	t.Cleanup(func() { w.check(w.queue.Close()) })
	w.must(w.queue.EnsureTopology(t.Context()))
	w.jobs = w.queue.NewFailedQueue()
	w.database, err = sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(w.dir, "books.db")})
	w.must(err)
	t.Cleanup(func() { w.check(w.database.Close()) })
	ring, err := keys.ParseRing(keys.GenerateKey())
	w.must(err)
	w.book = webhook.Subscriptions{Documents: w.database.Documents(), Sealer: sealer{ring}, Plain: true}
	options := webhook.DelivererOptions{Subscriptions: w.book, Slots: bus.WebhookSlots, AllowPrivate: here(), Timeout: 10 * time.Second, Rest: time.Millisecond, Log: log}
	if change != nil {
		change(&options)
	}
	w.work(options)
	return w
}

// work runs a worker until the test ends.
func (w *world) work(options webhook.DelivererOptions) {
	w.t.Helper()
	deliverer, err := webhook.NewDeliverer(options)
	w.must(err)
	fanOut, err := webhook.NewFanOut(webhook.FanOutOptions{Subscriptions: w.book, Sessions: w.database.Sessions(), Queue: w.queue})
	w.must(err)
	worker, err := w.queue.NewWorker(bus.WorkerOptions{DrainTime: -1, Policies: map[string]bus.Policy{events.DeliverWebhook{}.Kind(): hasty}})
	w.must(err)
	w.must(worker.HandleEveryFact(fanOut.Handle))
	w.must(worker.HandleDeliverWebhook(deliverer.Handle))
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		w.check(<-ended)
	})
	<-worker.Ready()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(testTimeout)
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never came true: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// idle waits until no fact and no delivery is in hand.
func (w *world) idle() {
	w.t.Helper()
	for _, consumer := range []string{bus.ConsumerWebhooks, bus.ConsumerWebhook} {
		w.eventually("nothing is in hand", func() bool {
			inHand, err := w.queue.InHand(w.t.Context(), consumer)
			w.must(err)
			return inHand == 0
		})
	}
}

// subscribe makes a subscription and keeps its secret.
func (w *world) subscribe(wanted webhook.Wanted) webhook.Subscription {
	w.t.Helper()
	made, secret, err := w.book.Create(w.t.Context(), wanted, time.Now().UTC())
	w.must(err)
	w.secrets[made.ID] = secret.Reveal()
	return made
}

// tell publishes the delivery of an event to one subscription.
func (w *world) tell(subscription, fact string) events.DeliverWebhook {
	w.t.Helper()
	command := events.NewDeliverWebhook(subscription, events.Occurrence{Kind: webhook.KindTest, MessageID: fact, Data: json.RawMessage(`{"n":"<1>"}`), At: time.Now().UTC()},
		time.Now().UTC())
	w.must(w.queue.SendCommand(w.t.Context(), command))
	return command
}

// failed gives what is in FAILED.
func (w *world) failed() []events.FailedJob {
	w.t.Helper()
	jobs, _, err := w.jobs.List(w.t.Context(), events.FailedFilter{}, 0, 500)
	w.must(err)
	return jobs
}

// attempts gives the log of a subscription, oldest first.
func (w *world) attempts(subscription string) []webhook.Attempt {
	w.t.Helper()
	found, err := w.book.Attempts(w.t.Context(), subscription, store.Page{Size: store.MaxPageSize})
	w.must(err)
	slices.Reverse(found.Items)
	return found.Items
}

// people stores a session of a user.
func (w *world) people(id session.ID, user string) {
	w.t.Helper()
	w.must(w.database.Sessions().Create(w.t.Context(), session.Session{ID: id, UserID: user, State: session.Ready, CreatedAt: time.Now().UTC(), UpdatedAt: time.Now().UTC()}))
}

// got is one request that a receiver got.
type got struct {
	path string
	head http.Header
	body []byte
}

func (g got) id() string { return g.head.Get(standard.HeaderWebhookID) }

func (g got) event(t *testing.T) (kind string, data map[string]any) {
	t.Helper()
	var body struct {
		Type      string         `json:"type"`
		Timestamp time.Time      `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}
	if err := json.Unmarshal(g.body, &body); err != nil || body.Timestamp.IsZero() {
		t.Errorf("the body is %s: %v", g.body, err)
	}
	return body.Type, body.Data
}

// receiver is a real HTTP server that answers as it is told and keeps what it got.
type receiver struct {
	*httptest.Server

	mu   sync.Mutex
	seen []got
}

func receive(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.seen = append(r.seen, got{path: request.URL.Path, head: request.Header.Clone(), body: body})
		r.mu.Unlock()
		if answer != nil {
			answer(rw, request)
		}
	}))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(r.Close)
	return r
}

// on gives the requests that came to a path; all for an empty one.
func (r *receiver) on(path string) []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []got
	for _, one := range r.seen {
		if path == "" || one.path == path {
			found = append(found, one)
		}
	}
	return found
}

// signed tells whether a request is signed with the secret of a subscription, by the library that receivers use.
func (w *world) signed(subscription string, request got) {
	w.t.Helper()
	verifier, err := standard.NewWebhook(w.secrets[subscription])
	w.must(err)
	if err := verifier.Verify(request.body, request.head); err != nil {
		w.t.Errorf("%s: %v", subscription, err)
	}
	if verifier.Verify(append(request.body, ' '), request.head) == nil {
		w.t.Error("another body has the same signature")
	}
}

// quiet tells that no secret is in the log, in FAILED or in the books.
func (w *world) quiet(also ...string) {
	w.t.Helper()
	var whole []events.FailedJob
	for _, listed := range w.failed() {
		job, err := w.jobs.Get(w.t.Context(), listed.Entry)
		w.must(err)
		whole = append(whole, job)
	}
	jobs, err := json.Marshal(whole)
	w.must(err)
	for _, secret := range w.secrets {
		for _, word := range append(also, secret, strings.TrimPrefix(secret, "whsec_")) {
			if strings.Contains(w.log.String(), word) || strings.Contains(string(jobs), word) {
				w.t.Errorf("a secret is in the log or in FAILED")
			}
		}
	}
}
