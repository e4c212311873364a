package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

const hosted session.ID = "ses_hosted"

func sendRequest(text string) events.SendRequest {
	return events.SendRequest{Version: 1, SessionID: hosted, CampaignID: "cmp_1", MessageID: "3EB0000000000000000001", Phone: "+5491155550101", Text: text}
}

// serve answers requests until the test ends.
func serve(t *testing.T, bus *Bus, answer func(context.Context, events.SendRequest) events.SendReply) (stop func()) {
	t.Helper()
	stop, err := bus.ServeSends(t.Context(), hosted, answer)
	handle(t, err)
	t.Cleanup(stop)
	return stop
}

// eachWay runs a test with a host in the process that asks, and with one elsewhere.
func eachWay(t *testing.T, test func(t *testing.T, asking, hosting *Bus)) {
	t.Helper()
	t.Run("here", func(t *testing.T) {
		t.Parallel()
		bus := newBus(t)
		test(t, bus, bus)
	})
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		server := newBroker(t)
		test(t, server.connect(Options{Name: "asking"}), server.connect(Options{Name: "hosting"}))
	})
}

func TestARequestIsAnsweredByTheHost(t *testing.T) {
	t.Parallel()
	eachWay(t, testARequestIsAnsweredByTheHost)
}

func testARequestIsAnsweredByTheHost(t *testing.T, asking, hosting *Bus) {
	t.Helper()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	type seen struct {
		Request events.SendRequest
		Trace   string
		Patient bool
	}
	arrived := make(chan seen, 1)
	serve(t, hosting, func(ctx context.Context, request events.SendRequest) events.SendReply {
		deadline, has := ctx.Deadline()
		arrived <- seen{request, Traceparent(ctx), has && time.Until(deadline) > time.Minute && time.Until(deadline) <= 2*time.Minute}
		return events.SendReply{SentAt: at}
	})
	for name, text := range map[string]string{"short": "Hola José", "large": strings.Repeat("ñ", 60_000)} {
		ctx, cancel := context.WithTimeout(WithTraceparent(t.Context(), aTraceparent), 2*time.Minute)
		reply, err := asking.RequestSend(ctx, sendRequest(text))
		cancel()
		if err != nil || !reply.SentAt.Equal(at) || reply.Err() != nil {
			t.Errorf("%s: the answer is %+v, %v", name, reply, err)
		}
		if diff := cmp.Diff(seen{sendRequest(text), aTraceparent, true}, receive(t, "request", arrived)); diff != "" {
			t.Errorf("%s: the host saw (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheClassOfAFailedSendComesBack(t *testing.T) {
	t.Parallel()
	eachWay(t, testTheClassOfAFailedSendComesBack)
}

func testTheClassOfAFailedSendComesBack(t *testing.T, asking, hosting *Bus) {
	t.Helper()
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answers := make(chan error, 1)
	serve(t, hosting, func(context.Context, events.SendRequest) events.SendReply { return events.FailedReply(<-answers) })
	for _, class := range fault.Classes() {
		answers <- fmt.Errorf("send: %w", fault.New(class, "some_code", "Something happened").WithAfter(time.Second).WithUntil(until))
		reply, err := asking.RequestSend(t.Context(), sendRequest("x"))
		handle(t, err)
		var got *fault.Error
		if !errors.As(reply.Err(), &got) || got.Class != class || got.Code != "some_code" || got.After != time.Second || !got.Until.Equal(until) {
			t.Errorf("%s comes back as %+v", class, reply)
		}
	}
}

func TestARequestWithoutAnAnswerHasItsClass(t *testing.T) {
	t.Parallel()
	eachWay(t, testARequestWithoutAnAnswerHasItsClass)
}

func testARequestWithoutAnAnswerHasItsClass(t *testing.T, asking, hosting *Bus) {
	t.Helper()
	if _, err := asking.RequestSend(t.Context(), sendRequest("x")); fault.Of(err) != fault.RetryLater || fault.As(err).Code != "session_not_hosted" {
		t.Errorf("nobody hosts the session: %v", err)
	}
	if _, err := asking.RequestSend(t.Context(), events.SendRequest{MessageID: "m", SessionID: "a.b"}); fault.Of(err) != fault.Poison {
		t.Errorf("an id that is no token: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := asking.RequestSend(over, sendRequest("x")); fault.Of(err) != fault.RetryNow {
		t.Errorf("a request that ended before it began: %v", err)
	}

	begun := make(chan context.Context, 1)
	release := make(chan struct{})
	serve(t, hosting, func(ctx context.Context, _ events.SendRequest) events.SendReply {
		begun <- ctx
		<-release
		return events.SendReply{SentAt: time.Now()}
	})
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := asking.RequestSend(impatient, sendRequest("x"))
	if known := fault.As(err); known.Class != fault.UnknownOutcome || known.Code != "send_reply_missing" {
		t.Errorf("no answer in time: %v", err)
	}
	<-receive(t, "request", begun).Done() // The host's patience ends with the requester's.
	close(release)

	m := nats.NewMsg(events.SendSubject(hosted))
	m.Data = []byte("{")
	answer, err := asking.nc.RequestMsg(m, testTimeout)
	handle(t, err)
	if !strings.Contains(string(answer.Data), `"class":"poison"`) {
		t.Errorf("an undecodable request is answered with %s", answer.Data)
	}
	handle(t, hosting.Close())
	handle(t, asking.Close())
	if reply, err := asking.RequestSend(t.Context(), sendRequest("x")); fault.Of(errors.Join(err, reply.Err())) != fault.RetryLater {
		t.Errorf("on a closed bus: %+v, %v", reply, err)
	}
	if _, err := hosting.ServeSends(t.Context(), hosted, nil); fault.Of(err) != fault.RetryLater {
		t.Errorf("serving on a closed bus: %v", err)
	}
}

// TestARequestIsGivenUpWhenItsHostIsGone: without that it would wait for its deadline, which has room for the slowest pace.
func TestARequestIsGivenUpWhenItsHostIsGone(t *testing.T) {
	t.Parallel()
	for name, another := range map[string]bool{"nobody hosts the session": false, "another worker hosts it by now": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newBroker(t)
			asking, dying := server.connect(Options{Name: "asking", HostWatch: 50 * time.Millisecond}), server.connect(Options{Name: "dying"})
			begun, release := make(chan struct{}, 1), make(chan struct{})
			serve(t, dying, func(context.Context, events.SendRequest) events.SendReply {
				begun <- struct{}{}
				<-release
				return events.SendReply{}
			})
			t.Cleanup(func() { close(release) })
			outcome := make(chan error, 1)
			go func() {
				_, err := asking.RequestSend(t.Context(), sendRequest("x"))
				outcome <- err
			}()
			receive(t, "request", begun)
			dying.nc.Close()
			if another {
				serve(t, server.connect(Options{Name: "next"}), func(context.Context, events.SendRequest) events.SendReply { return events.SendReply{} })
			}
			if err := receive(t, "end of the request", outcome); fault.Of(err) != fault.UnknownOutcome || !errors.Is(err, errHostGone) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// TestASlowHostIsWaitedFor: the request under way and the one behind it are in its hands, however long it takes.
func TestASlowHostIsWaitedFor(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	bus := server.connect(Options{HostWatch: 20 * time.Millisecond})
	questions, err := bus.nc.SubscribeSync(events.SendSubject(hosted))
	handle(t, err)
	release := make(chan struct{})
	serve(t, server.connect(Options{Name: "hosting"}), func(context.Context, events.SendRequest) events.SendReply {
		<-release
		return events.SendReply{SentAt: time.Now()}
	})
	outcomes := make(chan error, 2)
	for range cap(outcomes) {
		go func() {
			_, err := bus.RequestSend(t.Context(), sendRequest("x"))
			outcomes <- err
		}()
	}
	for range 2 + 4*hostSilences {
		if _, err := questions.NextMsg(testTimeout); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	for range cap(outcomes) {
		handle(t, receive(t, "answer", outcomes))
	}
}

func TestAnUnintelligibleAnswerIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	sub, err := bus.nc.Subscribe(events.SendSubject(hosted), func(m *nats.Msg) { _ = m.Respond([]byte("{")) })
	handle(t, err)
	defer func() { handle(t, sub.Unsubscribe()) }()
	if _, err := bus.RequestSend(t.Context(), sendRequest("x")); fault.Of(err) != fault.UnknownOutcome {
		t.Errorf("the error is %v", err)
	}
}

// TestAStoppedHostAnswersWhatIsUnderWayAndSendsTheRestAway: requests are answered one at a time and in order; after stop returned nothing is sent.
func TestAStoppedHostAnswersWhatIsUnderWayAndSendsTheRestAway(t *testing.T) {
	t.Parallel()
	const waiting = 5
	server := newBroker(t)
	bus := server.connect(Options{})
	begun, release := make(chan string, 10), make(chan struct{})
	var inside gauge
	stop := serve(t, server.connect(Options{Name: "hosting"}), func(_ context.Context, request events.SendRequest) events.SendReply {
		defer inside.enter()()
		begun <- request.Text
		<-release
		return events.SendReply{SentAt: time.Now()}
	})
	type outcome struct {
		reply events.SendReply
		err   error
	}
	outcomes := make(chan outcome, waiting+1)
	ask := func(text string) {
		go func() {
			reply, err := bus.RequestSend(t.Context(), sendRequest(text))
			outcomes <- outcome{reply, err}
		}()
	}
	ask("first")
	receive(t, "request", begun)
	delivered, err := bus.nc.SubscribeSync(events.SendSubject(hosted))
	handle(t, err)
	handle(t, bus.flush(t.Context()))
	for i := range waiting {
		ask(fmt.Sprint(i))
		if _, err := delivered.NextMsg(testTimeout); err != nil { // It has reached the host too.
			t.Fatal(err)
		}
	}
	handle(t, delivered.Unsubscribe())
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	eventually(t, "nobody new is let in", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := bus.RequestSend(ctx, sendRequest("late"))
		return fault.As(err).Code == "session_not_hosted"
	})
	close(release)
	receive(t, "end of the host", stopped)
	sent := 0
	for range waiting + 1 {
		got := receive(t, "answer", outcomes)
		switch {
		case got.err != nil:
			t.Errorf("a request was left without an answer: %v", got.err)
		case got.reply.Err() == nil:
			sent++
		case fault.As(got.reply.Err()).Code != "session_not_hosted":
			t.Errorf("a waiting request was told %v", got.reply.Err())
		}
	}
	if sent != 1 || len(begun) != 0 || inside.most.Load() != 1 {
		t.Errorf("%d were sent, %d begun after the stop, %d at once; want only the one under way", sent, len(begun), inside.most.Load())
	}
}

func TestARequestWhoseTurnComesTooLateIsNotSent(t *testing.T) {
	t.Parallel()
	eachWay(t, testARequestWhoseTurnComesTooLateIsNotSent)
}

func testARequestWhoseTurnComesTooLateIsNotSent(t *testing.T, asking, hosting *Bus) {
	t.Helper()
	begun, release := make(chan string, 10), make(chan struct{})
	serve(t, hosting, func(_ context.Context, request events.SendRequest) events.SendReply {
		begun <- request.Text
		<-release
		return events.SendReply{SentAt: time.Now()}
	})
	first := make(chan error, 1)
	go func() {
		_, err := asking.RequestSend(t.Context(), sendRequest("first"))
		first <- err
	}()
	receive(t, "request", begun)
	const patience = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	late := sendRequest("too late")
	late.MessageID = "3EB0000000000000000002"
	if _, err := asking.RequestSend(ctx, late); fault.Of(err) != fault.UnknownOutcome {
		t.Errorf("the impatient requester got %v", err)
	}
	eventually(t, "the host has the late request", func() bool {
		has, err := asking.hasInHand(t.Context(), late)
		return has && err == nil
	})
	<-time.After(patience) // which the host counts from the arrival
	close(release)
	handle(t, receive(t, "first answer", first))
	_, err := asking.RequestSend(t.Context(), sendRequest("third"))
	handle(t, err)
	if got := receive(t, "next request", begun); got != "third" {
		t.Errorf("after the first the host began %q", got)
	}
}

// TestARequestToAHostHereDoesNotTravel: it is in the host's line like one over the queue, and is sent away like one when the host stops.
func TestARequestToAHostHereDoesNotTravel(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	travelled, err := bus.nc.SubscribeSync(events.SendSubject(hosted))
	handle(t, err)
	begun, release := make(chan string, 2), make(chan struct{})
	stop := serve(t, bus, func(_ context.Context, request events.SendRequest) events.SendReply {
		begun <- request.Text
		<-release
		return events.SendReply{SentAt: time.Now()}
	})
	replies := make(chan error, 2)
	ask := func(text string) {
		go func() {
			reply, err := bus.RequestSend(t.Context(), sendRequest(text))
			replies <- errors.Join(err, reply.Err())
		}()
	}
	ask("first")
	receive(t, "request", begun)
	serving, _ := bus.serving.Load(hosted)
	ask("second")
	eventually(t, "the second waits", func() bool {
		server := serving.(*sendServer)
		server.mu.Lock()
		defer server.mu.Unlock()
		return len(server.waiting) == 1
	})
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	eventually(t, "the host is found here no more", func() bool { _, here := bus.serving.Load(hosted); return !here })
	close(release)
	receive(t, "end of the host", stopped)
	sent := 0
	for range cap(replies) {
		switch err := receive(t, "answer", replies); {
		case err == nil:
			sent++
		case fault.As(err).Code != "session_not_hosted":
			t.Errorf("the request that waited was told %v", err)
		}
	}
	handle(t, bus.flush(t.Context()))
	if count, _, err := travelled.Pending(); sent != 1 || count != 0 || err != nil {
		t.Errorf("%d were sent, %d travelled: %v", sent, count, err)
	}
}

func TestWatchSeesWhatIsPublished(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	seen := make(chan string, 10)
	stop, err := bus.Watch(t.Context(), "events.session.*.state", func(subject string, _ []byte) { seen <- subject })
	handle(t, err)
	for _, fact := range []events.Fact{
		events.MessageReceived{Version: events.FactVersion, SessionID: "ses_1", MessageIn: "1"},
		events.SessionChanged{Version: events.FactVersion, SessionID: "ses_1", At: time.Now()},
	} {
		handle(t, bus.PublishFact(t.Context(), fact))
	}
	if got := receive(t, "nudge", seen); got != "events.session.ses_1.state" {
		t.Errorf("the watcher saw %s", got)
	}
	stop()
	handle(t, bus.PublishFact(t.Context(), events.SessionChanged{Version: events.FactVersion, SessionID: "ses_2", At: time.Now()}))
	handle(t, bus.flush(t.Context()))
	if len(seen) != 0 {
		t.Errorf("after the stop the watcher saw %s", <-seen)
	}
}
