package bus

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestFactsOfEveryKindAreHandedOutAndWhatIsNoneIsInFailed(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	w := newWorker(t, bus, WorkerOptions{})
	came := make(chan events.Occurrence, 8)
	handle(t, w.HandleEveryFact(func(_ context.Context, fact events.Occurrence) error {
		came <- fact
		return nil
	}))
	start(t, w)
	stable := events.SessionStable{Version: events.FactVersion, SessionID: "ses_1", UserID: "user-1", Since: time.Unix(1, 0), At: time.Unix(2, 0)}
	handle(t, bus.PublishFact(t.Context(), stable))
	if got := receive(t, "a fact", came); got.Kind != stable.Kind() || got.MessageID != stable.MessageID() || got.At.IsZero() || len(got.Data) == 0 {
		t.Errorf("it came as %+v", got)
	}
	for kind, payload := range map[string]string{"pigeon_arrived": `{"version":7}`, "half_a_fact": `{"version":`} {
		m := nats.NewMsg("events.pigeon.p1.arrived")
		m.Header.Set(jetstream.MsgIDHeader, kind)
		m.Header.Set(headerKind, kind)
		m.Data = []byte(payload)
		handle(t, bus.publish(t.Context(), m))
	}
	if got := receive(t, "a fact of tomorrow", came); got.Kind != "pigeon_arrived" {
		t.Errorf("it came as %+v", got)
	}
	eventually(t, "the other is in FAILED", func() bool { return len(failedJobs(t, bus)) == 1 })
	if entry := failedJobs(t, bus)[0]; entry.Consumer != ConsumerWebhooks || entry.LastError.Code != "undecodable" || entry.Attempts != 1 {
		t.Errorf("FAILED has %+v", entry)
	}
}

// TestAJobThatIsPutOffHasMadeNoAttempt: it is put off more often than its attempts are, and more often than others are delivered at most.
func TestAJobThatIsPutOffHasMadeNoAttempt(t *testing.T) {
	t.Parallel()
	bus := newBroker(t).connect(Options{MaxDeliver: 5})
	w := newWorker(t, bus, WorkerOptions{Policies: map[string]Policy{
		events.DeliverWebhook{}.Kind(): {Attempts: 2, MinDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond, PutOff: true}}})
	deliveries := atomic.Int64{}
	handle(t, w.HandleDeliverWebhook(func(context.Context, events.DeliverWebhook) error {
		if n := deliveries.Add(1); n <= 8 || n == 10 {
			return fault.New(fault.CoolingDown, "later", "Not now").WithAfter(time.Millisecond)
		}
		return fault.New(fault.RetryLater, "again", "It did not work")
	}))
	start(t, w)
	handle(t, bus.SendCommand(t.Context(), events.NewDeliverWebhook("whk_1", events.Occurrence{Kind: "k", MessageID: "f", Data: []byte(`{}`)}, time.Unix(1, 0))))
	eventually(t, "it is in FAILED", func() bool { return len(failedJobs(t, bus)) == 1 })
	if entry := failedJobs(t, bus)[0]; entry.Attempts != 2 || entry.FirstError.Code != "again" || deliveries.Load() != 11 {
		t.Errorf("after %d deliveries FAILED has %+v", deliveries.Load(), entry)
	}
}

// TestAReplayedFactIsTheSameFact: webhooks that were told of it before the fan-out failed know its id, and are not told again under another.
func TestAReplayedFactIsTheSameFact(t *testing.T) {
	t.Parallel()
	bus := newBus(t)
	w := newWorker(t, bus, WorkerOptions{})
	came := make(chan events.Occurrence, 8)
	var mended atomic.Bool
	handle(t, w.HandleEveryFact(func(_ context.Context, fact events.Occurrence) error {
		if !mended.Load() {
			return fault.New(fault.NotFound, "broken", "It broke")
		}
		came <- fact
		return nil
	}))
	start(t, w)
	stable := events.SessionStable{Version: events.FactVersion, SessionID: "ses_1", UserID: "user-1", Since: time.Unix(1, 0), At: time.Unix(2, 0)}
	handle(t, bus.PublishFact(t.Context(), stable))
	eventually(t, "it failed", func() bool { return len(failedJobs(t, bus)) == 1 })
	mended.Store(true)
	_, err := bus.NewFailedQueue().Replay(t.Context(), failedJobs(t, bus)[0].Entry, false)
	handle(t, err)
	if got := receive(t, "the replayed fact", came); got.MessageID != stable.MessageID() {
		t.Errorf("it came as %s, want %s", got.MessageID, stable.MessageID())
	}
}
