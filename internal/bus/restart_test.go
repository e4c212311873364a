package bus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/dannsalud/broadcaster/internal/bus/embed/embedtest"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

// TestARestartOfTheServerLosesNothing stops the server while one job is in a handler and others, and facts, are in the queue.
func TestARestartOfTheServerLosesNothing(t *testing.T) {
	t.Parallel()
	const count = 20
	server := newBroker(t)
	bus := server.connect(Options{})
	var mu sync.Mutex
	done := map[string]bool{}
	note := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		done[id] = true
	}
	started, release := make(chan struct{}, 4*count), make(chan struct{})
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleRunCampaign(func(ctx context.Context, command events.RunCampaign) error {
		started <- struct{}{}
		if err := untilReleased(ctx, release); err != nil {
			return err
		}
		note(string(command.CampaignID))
		return nil
	}))
	handle(t, w.HandleMessageReceipt(func(_ context.Context, fact events.MessageReceipt) error {
		note("receipt of " + string(fact.CampaignID))
		return nil
	}))
	facts := receipts(2 * count)
	handle(t, bus.PublishFacts(t.Context(), facts[:count]))
	for i := range count {
		send(t, bus, campaignJob(fmt.Sprint(i)))
	}
	lease, err := openBucket(t, bus, BucketPacing).Create(t.Context(), "kept", []byte("yes"))
	handle(t, err)
	start(t, w)
	for range DefaultMaxConcurrentJobs {
		receive(t, "job", started)
	}
	server.stop()
	close(release) // These jobs end while nobody can be told.
	server.start()
	handle(t, bus.AwaitTopology(t.Context()))
	handle(t, bus.PublishFacts(t.Context(), facts[count:]))
	eventually(t, "everything is done", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(done) == 3*count
	})
	eventually(t, "no job is left", func() bool { return pendingJobs(t, bus) == 0 })
	if entries := failedJobs(t, bus); len(entries) != 0 {
		t.Errorf("jobs failed because of the restart: %+v", entries)
	}
	stream, err := bus.js.Stream(t.Context(), events.StreamEvents)
	handle(t, err)
	if n := stream.CachedInfo().State.Msgs; n != 2*count {
		t.Errorf("%d facts are in EVENTS, want %d", n, 2*count)
	}
	if value, revision, err := openBucket(t, bus, BucketPacing).Get(t.Context(), "kept"); string(value) != "yes" || revision != lease || err != nil {
		t.Errorf("the key is %q at %d, %v", value, revision, err)
	}
}

// TestAHandAsksOnceAfterAReconnect: a second request would bring a job into a hand that has one, where it waits unseen until its AckWait is over.
func TestAHandAsksOnceAfterAReconnect(t *testing.T) {
	t.Parallel()
	const hands = 2
	server := newBroker(t)
	bus := server.connect(Options{MaxConcurrentJobs: hands})
	started, release := make(chan struct{}, 10), make(chan struct{})
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleRunCampaign(func(ctx context.Context, _ events.RunCampaign) error {
		started <- struct{}{}
		return untilReleased(ctx, release)
	}))
	send(t, bus, campaignJob("before"))
	start(t, w)
	receive(t, "job", started)
	server.stop()
	server.start()
	handle(t, bus.AwaitTopology(t.Context()))
	release <- struct{}{}
	eventually(t, "the job is over", func() bool { return pendingJobs(t, bus) == 0 })
	for i := range hands {
		send(t, bus, campaignJob(fmt.Sprint(i)))
		receive(t, "job", started)
	}
	if waiting := consumerState(t, bus, ConsumerSender).NumWaiting; waiting != 0 {
		t.Errorf("%d requests stand although every hand has a job", waiting)
	}
	close(release)
}

// TestWhatAKilledServerForgetsIsMadeAnew: buckets in memory are gone with the server's process, and every worker needs them.
func TestWhatAKilledServerForgetsIsMadeAnew(t *testing.T) {
	t.Parallel()
	broker := embedtest.Start(t)
	tending := connectTo(t, broker.URL(), 100)
	other, err := Connect(t.Context(), Options{URL: broker.URL(), Name: "other", Log: slog.New(slog.DiscardHandler)})
	handle(t, err)
	t.Cleanup(func() { handle(t, other.Close()) })
	prompts, err := other.Prompts(t.Context())
	handle(t, err)
	handle(t, prompts.Show(t.Context(), "ses_1", session.Prompt{LinkID: "lnk_1", QR: "2@secret"}))
	broker.Kill()
	broker.Restart()
	eventually(t, "codes can be shown again", func() bool {
		return prompts.Show(t.Context(), "ses_1", session.Prompt{LinkID: "lnk_1", QR: "2@secret"}) == nil
	})
	for _, bus := range []*Bus{other, tending} {
		eventually(t, "everything is there again", func() bool { return bus.Health(t.Context()) == nil })
	}
}
