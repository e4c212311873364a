package bus

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// TestWatermillConformance runs Watermill's own suite for Pub/Subs against a real nats-server: once in order, with one message in hand at a time
// as the linker has it, once with many in hand. A topic is a stream of its own here, since the suite publishes the same message to several topics
// and a stream takes a message id once.
//
// The suite's TestReconnect is the one that does not run (no RestartServiceCommand): it reads the list of what it published while another of its
// goroutines still appends to it, so it fails under the race detector, and without it when the Pub/Sub is fast. The test below does the same.
func TestWatermillConformance(t *testing.T) {
	t.Parallel()
	for name, suite := range map[string]struct {
		inFlight int
		features tests.Features
	}{
		"in order": {inFlight: 1, features: tests.Features{
			ConsumerGroups: true,
			// A message may be delivered twice when its acknowledgement is lost.
			ExactlyOnceDelivery: false,
			// One message in hand in the whole fleet, by MaxAckPending: the order holds whatever the number of subscribers.
			GuaranteedOrder: true,
			Persistent:      true,
			// A subscriber binds to a durable consumer, which remembers what was done: a new one gets what is left, not what is done.
			NewSubscriberReceivesOldMessages: false,
			// Messages travel between processes, so a context's values do not.
			ContextPreserved: false,
			ForceShort:       true,
		}},
		"many in hand": {inFlight: 16, features: tests.Features{ConsumerGroups: true, Persistent: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topics := topics{bus: newBroker(t).connect(Options{Name: "conformance"}), storage: jetstream.MemoryStorage}
			everybody := func(t *testing.T) (message.Publisher, message.Subscriber) {
				return topics.pubSub(t, "everybody", suite.inFlight)
			}
			tests.TestPubSub(t, suite.features, everybody, func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
				return topics.pubSub(t, group, suite.inFlight)
			})
			if suite.features.ForceShort {
				suite.features.ForceShort = false
				tests.TestPublishSubscribeInOrder(t, tests.TestContext{TestID: tests.NewTestID(), Features: suite.features}, everybody)
				tests.TestContinueAfterErrors(t, tests.TestContext{TestID: tests.NewTestID(), Features: suite.features}, everybody)
			}
		})
	}
}

// TestMessagesSurviveRestartsOfTheServer is the suite's TestReconnect: the server restarts twice while many publish and one subscribes.
func TestMessagesSurviveRestartsOfTheServer(t *testing.T) {
	t.Parallel()
	const count, publishers = 3000, 20
	server := newBroker(t)
	topics := topics{bus: server.connect(Options{Name: "conformance"}), storage: jetstream.FileStorage}
	publisher, subscriber := topics.pubSub(t, "everybody", 16)
	if _, err := topics.ensure(t.Context(), "restarts", "everybody", 16); err != nil {
		t.Fatal(err)
	}
	arriving, err := subscriber.Subscribe(t.Context(), "restarts")
	if err != nil {
		t.Fatal(err)
	}
	var next atomic.Int64
	var restarting sync.Mutex
	var publishing errgroup.Group
	for range publishers {
		publishing.Go(func() error {
			for n := next.Add(1); n <= count; n = next.Add(1) {
				if n == count/3 || n == count/2 {
					restarting.Lock() // others publish on while it stops, and may get to the second one
					server.stop()
					server.start()
					restarting.Unlock()
				}
				m := message.NewMessage(strconv.FormatInt(n, 10), []byte("x"))
				for publisher.Publish("restarts", m) != nil && t.Context().Err() == nil {
				}
			}
			return nil
		})
	}
	received := map[string]bool{}
	for len(received) < count {
		m := receive(t, "message", arriving)
		received[m.UUID] = true
		m.Ack()
	}
	if err := publishing.Wait(); err != nil {
		t.Error(err)
	}
	if err := subscriber.Close(); err != nil {
		t.Error(err)
	}
}

// topics makes a stream and a consumer for each topic.
type topics struct {
	bus     *Bus
	storage jetstream.StorageType
}

// pubSub makes what is under test: the Publisher as it is, and the Subscriber bound to a consumer per topic and group. It is closed with the test
// that asked for it, since the suite forgets some: its TestPublishSubscribeInOrder says "defer require.NoError(t, sub.Close())", which closes
// before it subscribes.
func (s topics) pubSub(t *testing.T, group string, inFlight int) (message.Publisher, message.Subscriber) {
	t.Helper()
	subscriber, err := s.bus.NewSubscriber(SubscriberOptions{
		ConsumerFor: func(ctx context.Context, topic string) (jetstream.Consumer, int, error) {
			consumer, err := s.ensure(ctx, topic, group, inFlight)
			return consumer, inFlight, err
		},
		Grace: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := subscriber.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.bus.NewPublisher(), initializing{Subscriber: subscriber, ensure: func(topic string) error {
		_, err := s.ensure(t.Context(), topic, group, inFlight)
		return err
	}}
}

// initializing lets the suite make a topic before it publishes to it; outside of tests EnsureTopology does that.
type initializing struct {
	message.Subscriber
	ensure func(topic string) error
}

func (i initializing) SubscribeInitialize(topic string) error { return i.ensure(topic) }

func (s topics) ensure(ctx context.Context, topic, group string, inFlight int) (jetstream.Consumer, error) {
	stream, err := s.bus.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: topic, Subjects: []string{topic}, Storage: s.storage})
	if err != nil {
		return nil, err
	}
	return stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       group,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       5 * time.Second,
		MaxAckPending: inFlight,
		MaxDeliver:    10_000, // The suite naks one message hundreds of times.
	})
}
