package bus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
)

func TestTheTopologyIsMadeOnceAndBroughtUpToDate(t *testing.T) {
	t.Parallel()
	server := newBroker(t)
	waiting := make(chan error, 1)
	reader, err := Connect(t.Context(), Options{Name: "reader", Server: server})
	handle(t, err)
	t.Cleanup(func() { handle(t, reader.Close()) })
	go func() { waiting <- reader.AwaitTopology(t.Context()) }()
	bus := server.connect(Options{MaxConcurrentJobs: 2})
	handle(t, receive(t, "end of the wait", waiting))
	send(t, bus, campaignJob("kept"))
	changed := server.connect(Options{MaxConcurrentJobs: 7, AckWait: 3 * time.Second})
	config := consumerState(t, changed, ConsumerSender).Config
	if config.MaxAckPending != 7 || config.AckWait != 3*time.Second || pendingJobs(t, changed) != 1 {
		t.Errorf("the consumer is now %+v, with %d jobs", config, pendingJobs(t, changed))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	handle(t, bus.js.DeleteStream(t.Context(), events.StreamFailed))
	if err := reader.AwaitTopology(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stream FAILED") {
		t.Errorf("waiting for a stream that nobody makes: %v", err)
	}
	if err := reader.Health(t.Context()); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("healthy without FAILED: %v", err)
	}
}
