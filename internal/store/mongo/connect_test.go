package mongo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
)

// lines takes a log, and tells when a message was logged.
type lines struct {
	mu     sync.Mutex
	text   strings.Builder
	logged chan string
}

func newLines() (*lines, *slog.Logger) {
	l := &lines{logged: make(chan string, 100)}
	return l, slog.New(slog.NewJSONHandler(l, nil))
}

func (l *lines) Write(line []byte) (int, error) {
	var entry struct{ Msg string }
	if err := json.Unmarshal(line, &entry); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logged <- entry.Msg
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// freeAddress gives an address at which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func TestOpenWaitsForTheServerAndSaysSo(t *testing.T) {
	t.Parallel()
	log, logger := newLines()
	address := freeAddress(t)
	opened := make(chan error, 1)
	go func() {
		db, err := mongo.Open(t.Context(), mongo.Options{URI: "mongodb://" + address, Log: logger})
		if err == nil {
			err = errors.Join(db.Health(t.Context()), db.Close())
		}
		opened <- err
	}()
	if message := <-log.logged; message != "waiting for MongoDB" || !strings.Contains(log.String(), address) {
		t.Fatalf("logged %s", log)
	}
	startServer(t, mongotest.ServerOptions{Address: address})
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
}

func startServer(t *testing.T, o mongotest.ServerOptions) *mongotest.Server {
	t.Helper()
	server, err := mongotest.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Kill() })
	return server
}

func TestStoresWorkAgainAfterTheServerDied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := startServer(t, mongotest.ServerOptions{Dir: dir})
	db := open(t, mongo.Options{URI: server.URI, OperationTimeout: 2 * time.Second})
	if err := db.Sessions().Create(t.Context(), session.Session{ID: "ses_a", Name: "Recepción"}); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	_, err := db.Sessions().Get(t.Context(), "ses_a")
	if fault.Of(err) != fault.RetryLater {
		t.Errorf("without a server: %v", err)
	}
	if err := db.Health(t.Context()); fault.As(err) == nil || fault.As(err).Code != "store_unreachable" {
		t.Errorf("the health without a server: %v", err)
	}
	at, err := url.Parse(server.URI)
	if err != nil {
		t.Fatal(err)
	}
	startServer(t, mongotest.ServerOptions{Dir: dir, Address: at.Host})
	if size, free, err := db.Disk(t.Context()); err != nil || free > size {
		t.Errorf("a disk of %d bytes with %d free: %v", size, free, err)
	}
	if err := db.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Sessions().Get(t.Context(), "ses_a"); err != nil || got.Name != "Recepción" {
		t.Errorf("after the server came back: %+v, %v", got, err)
	}
}

func TestClosedStoresSaySo(t *testing.T) {
	t.Parallel()
	db := open(t, fresh(t))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Sessions().Get(t.Context(), "a"); fault.As(err) == nil || fault.As(err).Code != "store_closed" {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, fresh(t)).Sessions().Get(ended, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
}

func TestPasswordIsNowhere(t *testing.T) {
	t.Parallel()
	const secret = "s3cret-word"
	for _, uri := range []string{
		"", "mongodb://", "postgres://me:" + secret + "@localhost/", "mongodb://me:" + secret + "@", "mongodb://me:" + secret + "/x@localhost:port/",
		"mongodb://me:a@" + secret + "@localhost/", "mongodb://me:%zz" + secret + "@localhost/",
		"mongodb://me:" + secret + "@localhost/?authMechanism=" + secret, "mongodb+srv://me:" + secret + "@a.b.c:1/",
	} {
		if _, err := mongo.New(mongo.Options{URI: uri}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", uri, err)
		}
	}
	log, logger := newLines()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-log.logged
		cancel()
	}()
	_, err := mongo.Open(ctx, mongo.Options{URI: "mongodb://me:" + secret + "@" + freeAddress(t) + "/?authSource=admin", Log: logger})
	if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(log.String(), secret) || !strings.Contains(log.String(), "waiting for MongoDB") {
		t.Errorf("the error is %v and the log\n%s", err, log)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []mongo.Options{
		{URI: "mongodb://localhost", Database: "a.b"}, {URI: "mongodb://localhost", Database: strings.Repeat("a", 64)},
		{URI: "mongodb://localhost", BulkLimit: -1}, {URI: "mongodb://localhost", OperationTimeout: -1},
	} {
		if _, err := mongo.New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func TestLackOfFeaturesIsOneLine(t *testing.T) {
	t.Parallel()
	log, logger := newLines()
	o := fresh(t)
	o.Log = logger
	got := open(t, o).Capabilities()
	if !mongotest.Real() && got != (mongo.Capabilities{BulkLimit: 50}) {
		t.Errorf("found %+v", got)
	}
	complete := got.Transactions && got.Snapshots && got.PartialIndexes && got.ExpiringIndexes && got.BulkLimit >= 1000
	if count := strings.Count(log.String(), `"msg":"database lacks features"`); complete != (count == 0) || count > 1 {
		t.Errorf("%+v is reported %d times:\n%s", got, count, log)
	}
	for lack, has := range map[string]bool{"transactions: a crash": got.Transactions, "partial indexes: ": got.PartialIndexes, "expiring indexes: ": got.ExpiringIndexes} {
		if strings.Contains(log.String(), lack) == has {
			t.Errorf("%q is wrong in\n%s", lack, log)
		}
	}
}

func TestCapabilitiesFollowTheGreeting(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ got, want mongo.Capabilities }{
		"one mongod":         {mongo.NewCapabilities("", "", 21, true, false), mongo.Capabilities{BulkLimit: 1000}},
		"a replica set":      {mongo.NewCapabilities("rs0", "", 21, true, false), mongo.Capabilities{ReplicaSet: true, Transactions: true, Snapshots: true, BulkLimit: 1000}},
		"an old replica set": {mongo.NewCapabilities("rs0", "", 9, true, false), mongo.Capabilities{ReplicaSet: true, Transactions: true, BulkLimit: 1000}},
		"shards":             {mongo.NewCapabilities("", "isdbgrid", 21, true, false), mongo.Capabilities{ReplicaSet: true, Transactions: true, Snapshots: true, BulkLimit: 1000}},
		"no sessions":        {mongo.NewCapabilities("rs0", "", 21, false, false), mongo.Capabilities{ReplicaSet: true, BulkLimit: 1000}},
		"another server":     {mongo.NewCapabilities("", "", 21, true, true), mongo.Capabilities{BulkLimit: 50}},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %+v, want %+v", name, row.got, row.want)
		}
	}
}

func TestBulkWritesAreCutAtTheLimit(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sizes []int
	o := fresh(t)
	o.BulkLimit = 7
	db := open(t, mongo.Watching(o, func(started *event.CommandStartedEvent) {
		mu.Lock()
		defer mu.Unlock()
		if started.CommandName == "update" {
			sizes = append(sizes, len(elements(started.Command, "updates")))
		}
	}))
	if err := db.Campaigns().Create(t.Context(), campaign.Campaign{ID: "cmp_a"}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	var batch []campaign.Delivery
	var outcomes []campaign.Outcome
	for n := range 20 {
		id := fmt.Sprintf("d%02d", n)
		batch = append(batch, campaign.Delivery{ID: id, CampaignID: "cmp_a", Sequence: n + 1, State: campaign.Pending})
		outcomes = append(outcomes, campaign.Outcome{DeliveryID: id, State: campaign.Delivered, At: at})
	}
	if _, err := db.Deliveries().Plan(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if missing, err := db.Deliveries().Record(t.Context(), outcomes); err != nil || missing > 0 {
		t.Fatal(missing, err)
	}
	mu.Lock()
	same(t, sizes, []int{7, 7, 7, 7, 7, 5}) // two updates for each
	mu.Unlock()
	counts, err := db.Deliveries().Counts(t.Context(), "cmp_a")
	if err != nil {
		t.Fatal(err)
	}
	same(t, counts, campaign.Counts{campaign.Delivered: 20})
}

func TestCommandsAreMeasured(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	o := fresh(t)
	o.Registerer = registry
	db := open(t, o)
	for range 3 {
		_ = db.Sessions().Create(t.Context(), session.Session{ID: "a"})
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "mongo_command_duration_seconds" {
		t.Fatal(families, err)
	}
	var inserts uint64
	for _, metric := range families[0].GetMetric() {
		if metric.GetLabel()[0].GetValue() == "insert" {
			inserts += metric.GetHistogram().GetSampleCount()
		}
	}
	same(t, inserts, uint64(3))
	if _, err := mongo.New(o); err == nil {
		t.Error("the same metrics were registered twice")
	}
}

func TestEndOfAPrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"a/": "a0", "a/é": "a/ê", "a\U0010FFFF": "b", "a\U0010FFFF\U0010FFFF": "b", "\uD7FF": "\uE000"} {
		if got := mongo.EndOf(prefix); got != want || got <= prefix {
			t.Errorf("behind %q is %q, want %q", prefix, got, want)
		}
	}
}
