package api_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/bustest"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// stage is an API that follows the facts of a real queue.
type stage struct {
	*fixture
	broker   *embed.Server
	queue    *bus.Bus
	registry *prometheus.Registry
	// first is the first fact that is kept.
	first atomic.Uint64

	mu sync.Mutex
	// beats are the heartbeats of the stream that began last.
	beats chan time.Time
}

func (s *stage) tick(time.Duration) (<-chan time.Time, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beats = make(chan time.Time, 1)
	return s.beats, func() {}
}

// forgetful is a log whose first facts are gone.
type forgetful struct {
	*bus.Bus
	first *atomic.Uint64
}

func (f forgetful) FactSpan(ctx context.Context) (events.Span, error) {
	span, err := f.Bus.FactSpan(ctx)
	span.First = max(span.First, f.first.Load())
	return span, err
}

func (f forgetful) ReadFacts(ctx context.Context, after uint64, limit int) ([]events.Recorded, events.Span, error) {
	facts, span, err := f.Bus.ReadFacts(ctx, max(after+1, f.first.Load(), 1)-1, limit)
	span.First = max(span.First, f.first.Load())
	return facts, span, err
}

// asCaller takes who calls from a header, as authentication does from a key: the role and, behind a slash, the user.
func asCaller(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		role, user, _ := strings.Cut(r.Header.Get("X-Caller"), "/")
		if role == "" && r.URL.Path != "/v1/events" {
			role = string(access.Admin) // who sets the stage
		}
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Caller{Role: access.Role(role), User: user})))
	})
}

func startStage(t testing.TB, held int, change func(*api.EventsOptions)) *stage {
	t.Helper()
	broker, err := embed.Start(embed.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{broker: broker}
	s.queue, err = bus.Connect(t.Context(), bus.Options{Server: broker, Name: "api-1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.queue.Close(); err != nil {
			t.Error(err)
		}
		if err := broker.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.queue.EnsureTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.registry = prometheus.NewRegistry()
	s.fixture = startWith(t, func(options *api.Options, _ *sqlite.DB) {
		options.Registerer = s.registry
		options.Events = api.EventsOptions{Log: forgetful{s.queue, &s.first}, Held: held, Ticker: s.tick}
		if change != nil {
			change(&options.Events)
		}
	})
	s.server.Close()
	s.server = httptest.NewServer(asCaller(s.api.Handler()))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.api.Run(ctx) }()
	t.Cleanup(func() {
		s.api.EndStreams()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// changed is the fact that a campaign of a user came to its n-th state.
func changed(user string, n int) events.CampaignChanged {
	return events.CampaignChanged{Version: events.FactVersion, CampaignID: campaign.ID("cmp_" + user), SessionID: session.ID("ses_" + user), UserID: user,
		State: campaign.Running, Reason: strconv.Itoa(n), At: time.Unix(int64(n), 0).UTC()}
}

func (s *stage) publish(facts ...events.Fact) {
	s.t.Helper()
	if err := s.queue.PublishFacts(s.t.Context(), facts); err != nil {
		s.t.Fatal(err)
	}
}

// event is one block of a stream.
type event struct{ id, name, data, comment string }

// listener reads a stream over a bare connection, which costs the process no goroutine.
type listener struct {
	t       testing.TB
	conn    net.Conn
	lines   *bufio.Reader
	beats   chan time.Time
	started event
}

// listen opens a stream as a viewer, and reads its first block.
func (s *stage) listen(query, last string) *listener {
	s.t.Helper()
	return s.listenAs("viewer", query, last)
}

func (s *stage) listenAs(caller, query, last string) *listener {
	s.t.Helper()
	l := s.dial(caller, query, last)
	if l.started = l.next(); l.started.id == "" {
		s.t.Fatalf("the stream begins with %+v", l.started)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.beats = s.beats
	return l
}

func (s *stage) dial(caller, query, last string) *listener {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	header := "X-Caller: " + caller + "\r\n"
	if last != "" {
		header += "Last-Event-ID: " + last + "\r\n"
	}
	if _, err = fmt.Fprintf(conn, "GET /v1/events?%s HTTP/1.1\r\nHost: x\r\n%s\r\n", query, header); err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil) //nolint:bodyclose // the connection is closed with the test
	if err != nil {
		s.t.Fatal(err)
	}
	if h := answer.Header; answer.StatusCode != http.StatusOK || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no" {
		s.t.Fatalf("answer %d %v", answer.StatusCode, h)
	}
	return &listener{t: s.t, conn: conn, lines: bufio.NewReaderSize(answer.Body, 1024)}
}

// next reads one block; one without a name and an id is the end.
func (l *listener) next() (found event) {
	l.t.Helper()
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			return event{}
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			found.id = value
		case "event":
			found.name = value
		case "data":
			found.data = value
		case "":
			if value != "" {
				found.comment = value
			} else if found != (event{}) {
				return found
			}
		}
	}
}

func (l *listener) wantReasons(from, to int) (last string) {
	l.t.Helper()
	for n := from; n <= to; n++ {
		got := l.next()
		if !strings.Contains(got.data, `"reason":"`+strconv.Itoa(n)+`"`) || got.name != "campaign_changed" {
			l.t.Errorf("got %+v, want the %d. change", got, n)
			return got.id
		}
		last = got.id
	}
	return last
}

func TestEventsComeInOrderAndAreResumedBehindTheLastOne(t *testing.T) {
	t.Parallel()
	s := startStage(t, 0, nil)
	first := s.listen("", "")
	for n := 1; n <= 3; n++ {
		s.publish(changed("ana", n))
	}
	last := first.wantReasons(1, 2)
	_ = first.conn.Close()
	s.publish(changed("ana", 4))
	s.listen("", last).wantReasons(3, 4)
	s.listen("after="+last, "").wantReasons(3, 4)
	s.listen("after=1", last).wantReasons(3, 4) // the header counts more
}

func TestEventsOfTheLogAreReadWhereNoneAreHeld(t *testing.T) {
	t.Parallel()
	s := startStage(t, 4, nil)
	start := s.listen("", "").started.id
	for n := 1; n <= 400; n++ {
		s.publish(changed("ana", n))
	}
	s.listen("", start).wantReasons(1, 400)
}

// fillForTwo publishes facts of ana and of bea; those about messages say only their session, which is ana's, nobody's, and ana's.
func (s *stage) fillForTwo() (start string, id session.ID) {
	s.t.Helper()
	id = s.newSession() // ana's
	start = s.listen("", "").started.id
	at := time.Unix(1, 0).UTC()
	s.publish(changed("ana", 1))
	s.publish(changed("bea", 2))
	s.publish(events.MessageReceived{Version: events.FactVersion, SessionID: id, MessageIn: "m1", Text: "hola", At: at})
	s.publish(events.MessageReceived{Version: events.FactVersion, SessionID: "ses_other", MessageIn: "m2", Text: "hola", At: at})
	s.publish(events.MessageReceipt{Version: events.FactVersion, SessionID: id, CampaignID: "cmp_ana", MessageIDs: []string{"d1"}, Receipt: session.ReceiptRead, At: at})
	s.publish(changed("ana", 9))
	s.publish(changed("bea", 9))
	return start, id
}

func TestEventsAreThoseThatAreWantedAndMayBeSeen(t *testing.T) {
	t.Parallel()
	s := startStage(t, 0, nil)
	start, id := s.fillForTwo()
	const campaigns, both = "campaign_changed campaign_changed", "message_received message_received"
	for _, row := range []struct{ caller, query, want string }{
		{"viewer", "kind=message_received", both},
		{"viewer", "kind=message_received,message_receipt", both + " message_receipt"},
		{"viewer", "session_id=" + string(id), "message_received message_receipt"},
		{"viewer", "campaign_id=cmp_bea", campaigns},
		{"viewer", "campaign_id=cmp_ana&kind=message_receipt", "message_receipt"},
		{"admin", "", campaigns + " " + both + " message_receipt " + campaigns},
		{"viewer/ana", "", "campaign_changed message_received message_receipt campaign_changed"},
		{"operator/bea", "", campaigns},
		{"admin/bea", "session_id=" + string(id), ""},
		{"admin/bea", "campaign_id=cmp_ana", ""},
		{"admin/eva", "", ""},
	} {
		l := s.listenAs(row.caller, row.query, start)
		for kind := range strings.FieldsSeq(row.want) {
			if got := l.next(); got.name != kind {
				t.Errorf("%+v: got %+v, want %s", row, got, kind)
			}
		}
		l.beats <- time.Time{} // nothing but a heartbeat comes then
		if got := l.next(); got.name != "" || got.comment != "alive" {
			t.Errorf("%+v: got %+v, want a heartbeat", row, got)
		}
		_ = l.conn.Close()
	}
}

func TestEventsAreRefusedToWhoMayNotSeeThem(t *testing.T) {
	t.Parallel()
	s := startStage(t, 0, nil)
	s.want(s.call(http.MethodGet, "/v1/events", nil), http.StatusUnauthorized, "key_missing")
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	f.want(f.call(http.MethodGet, "/v1/events?after=soon", nil), http.StatusUnprocessableEntity, "bad_event_id")
	f.want(f.call(http.MethodGet, "/v1/events?kind=campaign_change", nil), http.StatusUnprocessableEntity, "unknown_kind")
	f.want(f.call(http.MethodGet, "/v1/events", nil), http.StatusServiceUnavailable, "queue_unavailable")
}

func TestAHeartbeatCarriesThePlaceOfAReaderWhoWantsLittle(t *testing.T) {
	t.Parallel()
	s := startStage(t, 0, nil)
	all, little := s.listen("", ""), s.listen("kind=phone_offline", "")
	s.publish(changed("ana", 1))
	last := all.wantReasons(1, 1)
	_ = all.conn.Close()
	for {
		little.beats <- time.Time{}
		got := little.next()
		if got.comment != "alive" || got.name != "" {
			t.Fatalf("got %+v", got)
		}
		if got.id == last {
			return
		}
	}
}

func TestAGapIsSaidFirst(t *testing.T) {
	t.Parallel()
	s := startStage(t, 1, nil)
	l := s.listen("", "")
	for n := 1; n <= 5; n++ {
		s.publish(changed("ana", n))
		l.wantReasons(n, n)
	}
	s.first.Store(4)
	late := s.listen("", "1")
	if got := late.next(); got.name != "gap" || !strings.Contains(got.data, `"after":"1","first":"4"`) {
		t.Errorf("got %+v", got)
	}
	late.wantReasons(4, 5)
	unknown := s.listen("", "9000")
	if got := unknown.next(); got.name != "gap" || !strings.Contains(got.data, `"after":"9000","first":"6"`) {
		t.Errorf("got %+v", got)
	}
	s.publish(changed("ana", 6))
	unknown.wantReasons(6, 6)
	s.listen("", "3").wantReasons(4, 6) // nothing behind it is missing
}

// TestAStreamEndsInTime: with the service, and before a key that was taken away has seen for long.
func TestAStreamEndsInTime(t *testing.T) {
	t.Parallel()
	s := startStage(t, 0, nil)
	old, other := s.listen("", ""), s.listen("", "")
	for n := range 39 {
		old.beats <- time.Time{}
		if got := old.next(); got.comment != "alive" {
			t.Fatalf("beat %d: %+v", n, got)
		}
	}
	old.beats <- time.Time{}
	s.api.EndStreams()
	for _, l := range []*listener{old, other} {
		if got := l.next(); got != (event{}) {
			t.Errorf("got %+v, want the end", got)
		}
	}
	s.wantEnded("renewed", 1)
	s.wantEnded("stopping", 1)
}

// wantEnded waits until so many streams have ended for a reason.
func (s *stage) wantEnded(reason string, want int) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		metrics, err := s.registry.Gather()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, family := range metrics {
			for _, m := range family.GetMetric() {
				if family.GetName() == "event_streams_ended_total" && m.GetLabel()[0].GetValue() == reason && m.GetCounter().GetValue() == float64(want) {
					return
				}
			}
		}
	}
	s.t.Errorf("there were never %d streams that ended because: %s", want, reason)
}

// flood publishes more than connections hold, and has a reader follow it; another one reads nothing meanwhile.
func (s *stage) flood(quick *listener) {
	s.t.Helper()
	text := strings.Repeat("x", 200<<10)
	for n := range 80 {
		s.publish(events.MessageReceived{Version: events.FactVersion, SessionID: "ses_1", MessageIn: strconv.Itoa(n), Text: text, At: time.Unix(1, 0)})
		if got := quick.next(); got.name != "message_received" {
			s.t.Fatalf("got %+v", got)
		}
	}
}

// TestASlowReaderIsEndedAndDelaysNobody: it goes on after a while, is told, and comes again.
func TestASlowReaderIsEndedAndDelaysNobody(t *testing.T) {
	t.Parallel()
	s := startStage(t, 4, func(options *api.EventsOptions) { options.Patience = time.Minute })
	slow, quick := s.listen("", ""), s.listen("", "")
	s.flood(quick)
	last := slow.started.id
	for {
		got := slow.next()
		if got.name == "slow" {
			if !strings.Contains(got.data, `"resume_after":"`+last+`"`) {
				t.Errorf("%s, but the last one was %s", got.data, last)
			}
			break
		}
		if got.name == "" {
			t.Fatal("it ended without saying why")
		}
		last = got.id
	}
	if got := slow.next(); got != (event{}) {
		t.Errorf("it goes on with %s", got.name)
	}
	seen, _ := strconv.Atoi(last)
	if again := s.listen("", last).next(); again.id != strconv.Itoa(seen+1) {
		t.Errorf("it resumes at %s behind %s", again.id, last)
	}
	s.wantEnded("slow", 1)
}

// TestAReaderThatDoesNotReadIsEnded: it cannot be told why.
func TestAReaderThatDoesNotReadIsEnded(t *testing.T) {
	t.Parallel()
	s := startStage(t, 0, func(options *api.EventsOptions) { options.Patience = time.Second })
	s.listen("", "")
	s.flood(s.listen("", ""))
	s.wantEnded("slow", 1)
}

// TestNothingIsMissedOrRepeatedBetweenOldAndNew: readers come, are cut and come again while facts are published, on a feed that holds few of them.
func TestNothingIsMissedOrRepeatedBetweenOldAndNew(t *testing.T) {
	t.Parallel()
	s := startStage(t, 16, nil)
	start := s.listen("", "").started.id
	const readers, facts, cut = 12, 600, 37
	published := make(chan error, 1)
	go func() {
		for n := 1; n <= facts; n++ {
			if err := s.queue.PublishFact(t.Context(), changed("ana", n)); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	var group sync.WaitGroup
	for r := range readers {
		group.Go(func() {
			last, read := start, 0
			for read < facts {
				l := s.listen("", last)
				for range cut + r {
					got := l.next()
					if got.name == "slow" || got == (event{}) {
						break // it comes again
					}
					if read++; !strings.Contains(got.data, `"reason":"`+strconv.Itoa(read)+`"`) {
						t.Errorf("reader %d: got %+v, want the %d. change", r, got, read)
						return
					}
					last = got.id
					if read == facts {
						break
					}
				}
				_ = l.conn.Close()
			}
		})
	}
	group.Wait()
	if err := <-published; err != nil {
		t.Error(err)
	}
}

// streamCost is what an open stream costs.
type streamCost struct{ goroutines, kib float64 }

const manyStreams = 1000

// costOf opens many streams, and tells what each costs this process: heap and stacks, the test's own side of the connection too.
func costOf(open func()) streamCost {
	goroutines, bytes := runtime.NumGoroutine(), inUse()
	for range manyStreams {
		open()
	}
	return streamCost{float64(runtime.NumGoroutine()-goroutines) / manyStreams, float64(inUse()-bytes) / manyStreams / 1024}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC() // what the first one let go of
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse)
}

// bareStreams is the yardstick: the least that net/http needs for a stream of events.
func bareStreams(t *testing.T) *stage {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
			w.Header().Set(name, value)
		}
		_, _ = w.Write([]byte("id: 1\n\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return &stage{fixture: &fixture{t: t, server: server}}
}

// TestAThousandStreamsStayCheap: each gets each fact once. At the queue they are one consumer, and in this process each costs the two goroutines
// that net/http has for a connection, and not much more memory than that.
func TestAThousandStreamsStayCheap(t *testing.T) { //nolint:paralleltest // it counts the process's goroutines
	s, bare := startStage(t, 0, nil), bareStreams(t)
	s.listen("", "")
	bare.listen("", "")
	listeners := make([]*listener, 0, manyStreams)
	ours := costOf(func() { listeners = append(listeners, s.listen("", "")) })
	yardstick := costOf(func() { bare.listen("", "") })
	t.Logf("an open stream: %.2f goroutines, %.1f KiB; of bare net/http: %.2f goroutines, %.1f KiB", ours.goroutines, ours.kib, yardstick.goroutines, yardstick.kib)
	// Under the race detector ours is 2.1 times the yardstick, and 1.6 times without: who calls, the watch over the key and the reader's place come beside the connection.
	if ours.goroutines > yardstick.goroutines+0.05 || ours.kib > 3*yardstick.kib {
		t.Error("that is dear")
	}
	stream, err := bustest.JetStream(t, s.broker).Stream(t.Context(), events.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	var consumers []string
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if name != bus.ConsumerProjector && name != bus.ConsumerInbound && name != bus.ConsumerWebhooks {
			consumers = append(consumers, name)
		}
	}
	if len(consumers) != 1 {
		t.Errorf("the streams are the consumers %v", consumers)
	}
	const facts = 20
	for n := 1; n <= facts; n++ {
		s.publish(changed("ana", n))
	}
	for _, l := range listeners {
		l.wantReasons(1, facts)
	}
	s.publish(changed("ana", facts+1))
	for _, l := range listeners {
		l.wantReasons(facts+1, facts+1) // and no other before it
	}
}
