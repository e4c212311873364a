package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// acknowledgements gives everything that workers tell the server about the messages of a consumer: "+WPI" (in progress), "+ACK", "-NAK ...".
func acknowledgements(t *testing.T, bus *Bus, consumer string) <-chan string {
	t.Helper()
	said := make(chan string, 1000)
	sub, err := bus.nc.Subscribe("$JS.ACK.>", func(m *nats.Msg) {
		if strings.Contains(m.Subject, "."+consumer+".") {
			said <- string(m.Data)
		}
	})
	if err == nil {
		err = bus.flush(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			t.Error(err)
		}
	})
	return said
}

// consumerState is what the server says of a consumer now.
func consumerState(t *testing.T, bus *Bus, name string) *jetstream.ConsumerInfo {
	t.Helper()
	bound, _, err := bus.bind(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return bound.CachedInfo()
}

// gauge counts who is inside at once.
type gauge struct{ now, most atomic.Int64 }

// enter counts one in, until leave is called.
func (g *gauge) enter() (leave func()) {
	now := g.now.Add(1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	return func() { g.now.Add(-1) }
}

// untilReleased blocks a handler.
func untilReleased(ctx context.Context, release <-chan struct{}) error {
	select {
	case <-release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handle registers a handler, which cannot fail twice in these tests.
func handle(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHeartbeatsKeepALongJob(t *testing.T) {
	t.Parallel()
	bus := newBroker(t).connect(Options{AckWait: 600 * time.Millisecond})
	said := acknowledgements(t, bus, ConsumerLinker)
	started, release, done := make(chan int, 10), make(chan struct{}), make(chan struct{})
	deliveries := 0
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(ctx context.Context, _ events.LinkSession) error {
		deliveries++ // One at a time: the consumer's limit is 1.
		started <- deliveries
		return untilReleased(ctx, release)
	}))
	start(t, w)
	send(t, bus, link("long"))
	receive(t, "job", started)
	for range 10 { // More than three AckWaits.
		if got := receive(t, "heartbeat", said); got != "+WPI" {
			t.Fatalf("the worker said %q while it had the job", got)
		}
	}
	close(release)
	go func() {
		defer close(done)
		for got := range said {
			if got == wireAck {
				return
			}
		}
	}()
	receive(t, "acknowledgement", done)
	eventually(t, "the job is gone", func() bool { return pendingJobs(t, bus) == 0 })
	if n := consumerState(t, bus, ConsumerLinker).Delivered.Consumer; n != 1 || len(started) != 0 {
		t.Errorf("the job was delivered %d times", n)
	}
}

func TestTheErrorDecidesWhenAJobComesBack(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		err  error
		want string
	}{
		{"retry now", fault.New(fault.RetryNow, "x", "x"), "-NAK"},
		{"retry later", fault.New(fault.RetryLater, "x", "x").WithAfter(150 * time.Millisecond), `-NAK {"delay": 150000000}`},
		{"cooling down", fault.New(fault.CoolingDown, "x", "x").WithAfter(20 * time.Millisecond), `-NAK {"delay": 20000000}`},
		{"wrapped", fmt.Errorf("pair: %w", fault.New(fault.RetryLater, "x", "x").WithAfter(30*time.Millisecond)), `-NAK {"delay": 30000000}`},
		{"unclassified", errors.New("what"), `-NAK {"delay": 1000000}`}, // The ceiling of this test's policy.
	}
	bus := newBroker(t).connect(Options{AckWait: 10 * time.Second}) // No heartbeat in between.
	said := acknowledgements(t, bus, ConsumerLinker)
	outcome := make(chan error)
	arrived := make(chan time.Time)
	w := newWorker(t, bus, WorkerOptions{Policies: map[string]Policy{
		events.LinkSession{}.Kind(): {Attempts: 2, MinDelay: time.Millisecond, MaxDelay: time.Millisecond}}})
	handle(t, w.HandleLinkSession(func(ctx context.Context, _ events.LinkSession) error {
		arrived <- time.Now()
		select {
		case err := <-outcome:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}))
	start(t, w)
	for i, row := range rows {
		send(t, bus, link(fmt.Sprint(i)))
		first := receive(t, "first delivery", arrived)
		outcome <- row.err
		if got := receive(t, "nak", said); got != row.want {
			t.Errorf("%s: the server was told %q, want %q", row.name, got, row.want)
		}
		wait := receive(t, "second delivery", arrived).Sub(first)
		if asked := fault.As(row.err).After; wait < asked {
			t.Errorf("%s: the job came back after %v, asked for %v", row.name, wait, asked)
		}
		outcome <- nil
		if got := receive(t, "acknowledgement", said); got != wireAck {
			t.Errorf("%s: the server was told %q at the end", row.name, got)
		}
	}
}

func TestOneLinkAtATimeInOrder(t *testing.T) {
	t.Parallel()
	const count = 12
	server := newBroker(t)
	var inside gauge
	arrived := make(chan session.ID, count+1)
	for _, name := range []string{"one", "two"} {
		w := newWorker(t, server.connect(Options{Name: name, AckWait: 5 * time.Second}), WorkerOptions{})
		handle(t, w.HandleLinkSession(func(ctx context.Context, command events.LinkSession) error {
			defer inside.enter()()
			arrived <- command.SessionID
			_, err := w.bus.InHand(ctx, ConsumerLinker) // A round trip, for the other to come in if it could.
			return err
		}))
		start(t, w)
	}
	bus := server.connect(Options{Name: "api"})
	var want, got []session.ID
	for i := range count {
		command := link(fmt.Sprint(i))
		want = append(want, command.SessionID)
		send(t, bus, command)
	}
	for range count {
		got = append(got, receive(t, "link", arrived))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the links were not taken in their order (-sent +taken):\n%s", diff)
	}
	if most := inside.most.Load(); most != 1 {
		t.Errorf("%d links at once", most)
	}
}

func TestAFailedLinkKeepsItsPlace(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	arrived := make(chan session.ID, 10)
	var failures atomic.Int32
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(_ context.Context, command events.LinkSession) error {
		arrived <- command.SessionID
		if command.SessionID == "ses_a" && failures.Add(1) < 3 {
			return fault.New(fault.RetryLater, "x", "x").WithAfter(20 * time.Millisecond)
		}
		return nil
	}))
	send(t, bus, link("a"), link("b"))
	start(t, w)
	var got []session.ID
	for range 4 {
		got = append(got, receive(t, "link", arrived))
	}
	if diff := cmp.Diff([]session.ID{"ses_a", "ses_a", "ses_a", "ses_b"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFiveCampaignsAtOnceAndTheSixthWaits(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	var inside gauge
	started, release := make(chan campaign.ID, 10), make(chan struct{}, 10)
	for _, name := range []string{"one", "two"} {
		w := newWorker(t, server.connect(Options{Name: name, AckWait: 5 * time.Second}), WorkerOptions{})
		handle(t, w.HandleRunCampaign(func(ctx context.Context, command events.RunCampaign) error {
			defer inside.enter()()
			started <- command.CampaignID
			return untilReleased(ctx, release)
		}))
		start(t, w)
	}
	bus := server.connect(Options{Name: "api"})
	for i := range 7 {
		send(t, bus, campaignJob(fmt.Sprint(i)))
	}
	for range DefaultMaxConcurrentJobs {
		receive(t, "campaign", started)
	}
	eventually(t, "two campaigns wait", func() bool { return consumerState(t, bus, ConsumerSender).NumPending == 2 }) // The count may lag.
	if n := len(started); n != 0 {
		t.Errorf("%d campaigns too many were begun", n)
	}
	if n, err := bus.InHand(t.Context(), ConsumerSender); n != 5 || err != nil {
		t.Errorf("InHand tells %d, %v", n, err)
	}
	release <- struct{}{}
	if id := receive(t, "sixth campaign", started); id != "cmp_5" {
		t.Errorf("after a place became free came %s", id)
	}
	for range 6 {
		release <- struct{}{}
	}
	receive(t, "seventh campaign", started)
	eventually(t, "all campaigns are done", func() bool { return pendingJobs(t, bus) == 0 })
	if most := inside.most.Load(); most != 5 {
		t.Errorf("%d campaigns at once", most)
	}
}

func TestNothingIsFetchedAhead(t *testing.T) {
	t.Parallel()
	const slots, count = 16, 40
	bus := newBroker(t).connect(Options{AckWait: 5 * time.Second})
	started, release := make(chan struct{}, count), make(chan struct{})
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleMessageReceipt(func(ctx context.Context, _ events.MessageReceipt) error {
		started <- struct{}{}
		return untilReleased(ctx, release)
	}))
	start(t, w)
	if err := bus.PublishFacts(t.Context(), receipts(count)); err != nil {
		t.Fatal(err)
	}
	for range slots {
		receive(t, "receipt", started)
	}
	// The consumer would give 256. No request for a message may stand at the server while all hands are full.
	eventually(t, "the rest is in the queue", func() bool { return consumerState(t, bus, ConsumerProjector).NumPending == count-slots })
	if state := consumerState(t, bus, ConsumerProjector); state.NumAckPending != slots || state.NumWaiting != 0 {
		t.Errorf("%d in hand and %d requests stand; want %d and none", state.NumAckPending, state.NumWaiting, slots)
	}
	close(release)
	for range count - slots {
		receive(t, "receipt", started)
	}
}

// receipts makes facts of a campaign each.
func receipts(count int) []events.Fact {
	facts := make([]events.Fact, count)
	for i := range facts {
		facts[i] = events.MessageReceipt{Version: events.FactVersion, SessionID: "ses_1", CampaignID: campaign.ID(fmt.Sprintf("cmp_%d", i)),
			MessageIDs: []string{fmt.Sprintf("3EB0%d", i)}, Receipt: session.ReceiptRead, At: time.Now()}
	}
	return facts
}

func TestAStoppedWorkerHandsItsJobBack(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	// Whatever comes back within the test was handed back: the AckWait is longer.
	options := Options{AckWait: 2 * testTimeout}
	first, second := server.connect(options), server.connect(options)
	started := make(chan struct{}, 10)
	stopping := newWorker(t, first, WorkerOptions{})
	handle(t, stopping.HandleLinkSession(func(ctx context.Context, _ events.LinkSession) error {
		started <- struct{}{}
		<-ctx.Done()
		return fmt.Errorf("pair: %w", ctx.Err())
	}))
	stop := start(t, stopping)
	send(t, first, link("a"))
	receive(t, "job", started)
	stop()
	refusing := newWorker(t, second, WorkerOptions{})
	handle(t, refusing.HandleLinkSession(func(context.Context, events.LinkSession) error {
		return fault.New(fault.Poison, "refused", "refused")
	}))
	start(t, refusing)
	eventually(t, "the job is in FAILED", func() bool { return len(failedJobs(t, second)) == 1 })
	if entry := failedJobs(t, second)[0]; entry.Attempts != 1 {
		t.Errorf("the job failed after %d attempts: the hand-back was counted", entry.Attempts)
	}
}

func TestAStoppedWorkerMayFinishWithinItsDrainTime(t *testing.T) {
	t.Parallel()
	bus := newBroker(t).connect(Options{AckWait: 5 * time.Second})
	started, release := make(chan struct{}, 10), make(chan struct{})
	w := newWorker(t, bus, WorkerOptions{DrainTime: testTimeout})
	handle(t, w.HandleRunCampaign(func(ctx context.Context, _ events.RunCampaign) error {
		started <- struct{}{}
		return untilReleased(ctx, release)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	<-w.Ready()
	send(t, bus, campaignJob("a"))
	receive(t, "job", started)
	cancel()
	send(t, bus, campaignJob("late"))
	// Its requests are withdrawn: it takes nothing more.
	eventually(t, "the worker asks for nothing", func() bool { return consumerState(t, bus, ConsumerSender).NumWaiting == 0 })
	close(release)
	if err := receive(t, "end of the worker", ended); err != nil {
		t.Error(err)
	}
	if len(started) != 0 || pendingJobs(t, bus) != 1 {
		t.Errorf("%d more jobs were begun, %d are in the queue; want 0 and 1", len(started), pendingJobs(t, bus))
	}
}

// startDoomed runs a worker whose connection the test is going to cut, which looks to the server as if its process were gone. What such a worker
// ends with does not matter.
func startDoomed(t *testing.T, w *Worker) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func TestACrashedWorkersJobGoesToAnother(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	first, second := server.connect(Options{Name: "one"}), server.connect(Options{Name: "two"})
	started := make(chan string, 10)
	for _, bus := range []*Bus{first, second} {
		w := newWorker(t, bus, WorkerOptions{})
		handle(t, w.HandleLinkSession(func(ctx context.Context, _ events.LinkSession) error {
			name := w.bus.options.Name
			started <- name
			if name == "one" {
				<-ctx.Done()
			}
			return ctx.Err()
		}))
		if bus == second {
			start(t, w)
			continue
		}
		startDoomed(t, w)
		send(t, bus, link("a"))
		receive(t, "job", started)
		bus.nc.Close()
	}
	if name := receive(t, "second delivery", started); name != "two" {
		t.Errorf("the job went to %s", name)
	}
	eventually(t, "the job is done", func() bool { return pendingJobs(t, second) == 0 })
}

func TestAWorkerWithoutHandlersOrWithTwoIsRefused(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	w := newWorker(t, bus, WorkerOptions{})
	if err := w.Run(t.Context()); err == nil {
		t.Error("a worker without handlers ran")
	}
	ignore := func(context.Context, events.LinkSession) error { return nil }
	handle(t, w.HandleLinkSession(ignore))
	if err := w.HandleLinkSession(ignore); err == nil {
		t.Error("a consumer got a second handler")
	}
	for name, policy := range map[string]Policy{"no attempt": {MinDelay: 1, MaxDelay: 1}, "no delay": {Attempts: 1}, "shrinking": {Attempts: 1, MinDelay: 2, MaxDelay: 1}} {
		if _, err := bus.NewWorker(WorkerOptions{Policies: map[string]Policy{"link_session": policy}}); err == nil {
			t.Errorf("a policy with %s was accepted", name)
		}
	}
}

func TestDelaysGrowToTheirCeiling(t *testing.T) {
	t.Parallel()
	policy := Policy{Attempts: 100, MinDelay: 100 * time.Millisecond, MaxDelay: time.Second}
	unclassified := fault.As(errors.New("x"))
	for n := 1; n <= 100; n++ {
		ceiling := min(time.Second, 100*time.Millisecond<<min(n-1, 10))
		for range 50 {
			if got := policy.delay(unclassified, n); got < time.Millisecond || got > ceiling {
				t.Fatalf("after failure %d: %v, the ceiling is %v", n, got, ceiling)
			}
		}
	}
	now := fault.New(fault.RetryNow, "x", "x")
	if got := policy.delay(now, 1); got != 0 {
		t.Errorf("retry_now waits %v the first time", got)
	}
	if got := policy.delay(now, 2); got <= 0 {
		t.Error("retry_now is a hot loop")
	}
	if got := policy.delay(fault.New(fault.RetryLater, "x", "x").WithAfter(time.Hour), 1); got != time.Hour {
		t.Errorf("the error asked for an hour and got %v", got)
	}
}
