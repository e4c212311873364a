package bus

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestACommandPublishedTwiceIsOneJob(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	first, second := server.connect(Options{Name: "one"}), server.connect(Options{Name: "two"})
	send(t, first, link("a"), campaignJob("a"))
	again := link("a")
	again.RequestedAt = time.Now()
	send(t, second, again, campaignJob("a"))
	if n := pendingJobs(t, first); n != 2 {
		t.Errorf("%d jobs, want 2", n)
	}
	next := campaignJob("a")
	next.Slice = 2
	send(t, second, next)
	if n := pendingJobs(t, first); n != 3 {
		t.Errorf("the next slice was taken for the one before: %d jobs", n)
	}
}

func TestACommandCarriesItsKindVersionAndTrace(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	if err := bus.SendCommand(WithTraceparent(t.Context(), aTraceparent), link("a")); err != nil {
		t.Fatal(err)
	}
	send(t, bus, link("b"))
	stream, err := bus.js.Stream(t.Context(), events.StreamCommands)
	handle(t, err)
	stored, err := stream.GetLastMsgForSubject(t.Context(), link("a").Subject())
	handle(t, err)
	want := map[string][]string{jetstream.MsgIDHeader: {"link:lnk_a"}, headerKind: {"link_session"}, headerVersion: {"1"}, headerTrace: {aTraceparent}}
	if diff := cmp.Diff(want, map[string][]string(stored.Header)); diff != "" {
		t.Error(diff)
	}
	var got events.LinkSession
	handle(t, json.Unmarshal(stored.Data, &got))
	if diff := cmp.Diff(link("a"), got); diff != "" {
		t.Error(diff)
	}
	stored, err = stream.GetLastMsgForSubject(t.Context(), link("b").Subject())
	handle(t, err)
	if id := traceID(stored.Header.Get(headerTrace)); len(id) != 32 {
		t.Errorf("a command that nobody traces has the trace %q", stored.Header.Get(headerTrace))
	}
}

// TestHandlersGetTheTraceOfTheirJob: what a handler publishes and asks belongs to the trace of the request that made the job.
func TestHandlersGetTheTraceOfTheirJob(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	seen := make(chan string, 1)
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(ctx context.Context, _ events.LinkSession) error {
		seen <- Traceparent(ctx)
		return nil
	}))
	start(t, w)
	handle(t, bus.SendCommand(WithTraceparent(t.Context(), aTraceparent), link("a")))
	if got := receive(t, "job", seen); got != aTraceparent {
		t.Errorf("the handler's trace is %q", got)
	}
}

func TestWhatIsNotValidIsNotPublished(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	bad := events.MessageReceipt{Version: events.FactVersion, SessionID: "ses_1", MessageIDs: []string{"3EB0"}, At: time.Now()}
	for name, err := range map[string]error{
		"a command":       bus.SendCommand(t.Context(), events.LinkSession{Version: events.LinkSessionVersion, SessionID: "a.b", LinkID: "lnk_1"}),
		"a fact":          bus.PublishFact(t.Context(), bad),
		"a fact of many":  bus.PublishFacts(t.Context(), append(receipts(3), bad)),
		"a wild wildcard": bus.PublishFact(t.Context(), events.MessageReceipt{Version: 1, SessionID: "ses_1", CampaignID: ">", MessageIDs: []string{"a"}}),
	} {
		if fault.Of(err) != fault.Poison {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{events.StreamCommands, events.StreamEvents} {
		stream, err := bus.js.Stream(t.Context(), name)
		handle(t, err)
		if n := stream.CachedInfo().State.Msgs; n != 0 {
			t.Errorf("%s has %d messages", name, n)
		}
	}
}

func TestManyFactsArriveEachOnce(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	facts := receipts(2*factsPerBatch + 7)
	for range 2 { // A failed call is repeated with all of them.
		handle(t, bus.PublishFacts(t.Context(), facts))
	}
	stream, err := bus.js.Stream(t.Context(), events.StreamEvents)
	handle(t, err)
	if n := stream.CachedInfo().State.Msgs; n != uint64(len(facts)) {
		t.Errorf("%d facts in the stream, want %d", n, len(facts))
	}
}

func TestFailuresToPublishHaveTheirClass(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	bus := server.connect(Options{})
	for name, size := range map[string]int{"larger than the stream takes": maxMessageBytes + 1, "larger than the server takes": 2 << 20} {
		fact := events.MessageReceived{Version: events.FactVersion, SessionID: "ses_1", MessageIn: "1", Text: strings.Repeat("x", size)}
		if err := bus.PublishFact(t.Context(), fact); fault.Of(err) != fault.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for name, err := range map[string]error{
		"a command": bus.SendCommand(ctx, link("a")),
		"a fact":    bus.PublishFact(ctx, receipts(1)[0]),
		"facts":     bus.PublishFacts(ctx, receipts(3)),
	} {
		if known := fault.As(err); known.Class != fault.RetryLater || known.After <= 0 {
			t.Errorf("%s without a server: %v", name, err)
		}
	}
}

func TestAPublisherGivesTheServerNoOrders(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	publisher := bus.NewPublisher()
	m := message.NewMessage("one", []byte("x"))
	m.Metadata.Set("Nats-Rollup", "all")
	m.Metadata.Set("kept", "yes")
	handle(t, publisher.Publish("events.session.ses_1.state", m))
	stream, err := bus.js.Stream(t.Context(), events.StreamEvents)
	handle(t, err)
	stored, err := stream.GetMsg(t.Context(), 1)
	handle(t, err)
	if stored.Header.Get("Nats-Rollup") != "" || stored.Header.Get("kept") != "yes" || stored.Header.Get(jetstream.MsgIDHeader) != "one" {
		t.Errorf("the headers are %v", stored.Header)
	}
	handle(t, publisher.Close())
	if err := publisher.Publish("events.session.ses_1.state", m); err == nil {
		t.Error("a closed publisher published")
	}
}
