package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
)

// SubscriberOptions configure a Subscriber. The zero value takes messages of the topology's consumers.
type SubscriberOptions struct {
	// ConsumerFor gives the pull consumer of a topic and how many of its messages may be in hand at once. Nil: the topic is the name of a
	// consumer of the topology.
	ConsumerFor func(ctx context.Context, topic string) (consumer jetstream.Consumer, inFlight int, err error)
	// DrainTime is how long messages in hand may take to be settled after the end of the subscription, before their contexts are
	// cancelled; zero: they are cancelled at once.
	DrainTime time.Duration
	// Grace is how long after that a message may still be settled, before it is left to its AckWait; zero: DefaultGrace.
	Grace time.Duration

	// handBack is told of each message that is given back without having been an attempt; nil: nobody is.
	handBack func(context.Context, *claim) error
	// inHand is told of each message that is handed out, and again with each heartbeat; released when it is settled; nil: nobody is.
	inHand, released func(*claim)
}

// DefaultGrace is the time to react to the end of a context.
const DefaultGrace = 3 * time.Second

// pullExpiry is how long one request for a message stands at the server. Half of it without a heartbeat, twice, and it is asked anew.
const pullExpiry = 4 * time.Second

// Subscriber is a Watermill Subscriber over JetStream pull consumers, which it binds to and never makes. It asks the server for a message
// only when it has a free hand, and tells the server of each message in hand every third of the consumer's AckWait. An Ack is confirmed by the
// server. A Nack is a nak without delay, unless the worker has left a verdict on the message.
//
// At the end of a subscription, by its context or by Close, what has not been handed out goes back to the server at once, and what is in hand
// may be finished as SubscriberOptions say.
type Subscriber struct {
	bus     *Bus
	options SubscriberOptions
	log     *slog.Logger

	closing  chan struct{}
	close    sync.Once
	mu       sync.Mutex
	closed   bool
	children sync.WaitGroup
}

// NewSubscriber makes a Subscriber; it does nothing until Subscribe.
func (b *Bus) NewSubscriber(options SubscriberOptions) (*Subscriber, error) {
	if options.DrainTime < 0 || options.Grace < 0 {
		return nil, errors.New("subscriber: DrainTime and Grace must not be negative")
	}
	options.Grace = orDefault(options.Grace, DefaultGrace)
	if options.inHand == nil {
		options.inHand, options.released = func(*claim) {}, func(*claim) {}
	}
	if options.ConsumerFor == nil {
		options.ConsumerFor = b.bind
	}
	return &Subscriber{bus: b, options: options, log: b.log, closing: make(chan struct{})}, nil
}

// bind looks up a consumer of the topology.
func (b *Bus) bind(ctx context.Context, topic string) (jetstream.Consumer, int, error) {
	c, err := b.consumer(topic)
	if err != nil {
		return nil, 0, err
	}
	bound, err := b.js.Consumer(ctx, c.stream, c.name)
	if err != nil {
		return nil, 0, fmt.Errorf("bind consumer %s: %w", c.name, err)
	}
	return bound, c.slots, nil
}

// Subscribe implements message.Subscriber. The channel is closed when the context has ended or the Subscriber was closed, and every message
// in hand is settled or abandoned. The messages' contexts have the values of the given one; they end with the drain time, not with it.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	consumer, inFlight, err := s.options.ConsumerFor(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("subscriber is closed")
	}
	sub := &subscription{
		subscriber: s,
		topic:      topic,
		consumer:   consumer,
		ackWait:    consumer.CachedInfo().Config.AckWait,
		out:        make(chan *message.Message),
		forsaken:   make(chan struct{}),
	}
	s.children.Go(func() { sub.run(ctx, inFlight) })
	return sub.out, nil
}

// Close implements message.Subscriber: it ends all subscriptions and waits for them.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.close.Do(func() { close(s.closing) })
	s.children.Wait()
	return nil
}

// subscription is one topic being taken from.
type subscription struct {
	subscriber *Subscriber
	topic      string
	consumer   jetstream.Consumer
	ackWait    time.Duration
	out        chan *message.Message
	forsaken   chan struct{}
}

// run takes messages until the context ends or the Subscriber closes, then sees those in hand to their end.
func (s *subscription) run(ctx context.Context, inFlight int) {
	defer close(s.out)
	fetch, stop := context.WithCancel(ctx)
	defer stop()
	work, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	defer interrupt()

	var hands sync.WaitGroup
	for range inFlight {
		hands.Go(func() { s.take(fetch, work) })
	}
	finished := make(chan struct{})
	go func() {
		hands.Wait()
		close(finished)
	}()
	select {
	case <-fetch.Done():
	case <-s.subscriber.closing:
		stop()
	}
	if !within(finished, s.subscriber.options.DrainTime) {
		interrupt()
		if !within(finished, s.subscriber.options.Grace) {
			close(s.forsaken)
		}
	}
	<-finished
}

// within waits for something to be done, and tells whether it was in time.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// take is one hand: it asks for one message, holds it until it is settled, and asks for the next.
func (s *subscription) take(fetch, work context.Context) {
	for n := 0; fetch.Err() == nil; n++ {
		taken, err := s.takeFrom(fetch, work)
		if err == nil {
			return
		}
		if taken {
			n = 0
		}
		if errors.Is(err, errReconnected) {
			continue
		}
		s.subscriber.log.WarnContext(fetch, "messages could not be taken; asking again", "topic", s.topic, "error", err)
		select {
		case <-fetch.Done():
		case <-time.After(backoff(n)):
		}
	}
}

// errReconnected ends an iterator whose hand had a message while the connection was lost. It would ask at once and, because it is told of the
// reconnect only then, once more: a job of the second request would wait in this hand, behind the one that it has, until its AckWait is over.
var errReconnected = errors.New("the connection is another one")

// takeFrom opens an iterator, which is one inbox at the server, and takes from it until fetch ends (nil) or it fails. After a failure a new
// one is opened, so that a forgotten request cannot bring a second message into this hand.
func (s *subscription) takeFrom(fetch, work context.Context) (taken bool, err error) {
	connection := s.subscriber.bus.nc.Stats().Reconnects
	messages, err := s.consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	patience, cancel := context.WithCancel(context.WithoutCancel(fetch))
	defer cancel()
	// After a drain the server sends nothing more, and what it had sent comes out of Next. Without a connection that would wait for one.
	defer context.AfterFunc(fetch, func() {
		messages.Drain()
		time.AfterFunc(confirmTimeout, cancel)
	})()
	for {
		raw, err := messages.Next(jetstream.NextContext(patience))
		switch {
		case err == nil:
			taken = true
			s.hold(fetch, work, raw)
			if fetch.Err() == nil && s.subscriber.bus.nc.Stats().Reconnects != connection {
				return taken, errReconnected
			}
		case fetch.Err() != nil:
			return taken, nil
		default:
			return taken, err
		}
	}
}

// hold keeps one message until it is settled.
func (s *subscription) hold(fetch, work context.Context, raw jetstream.Msg) {
	meta, err := raw.Metadata()
	if err != nil {
		s.subscriber.log.ErrorContext(work, "message without JetStream metadata", "topic", s.topic, "error", err)
		return
	}
	held := &claim{
		bus:      s.subscriber.bus,
		log:      s.subscriber.log,
		raw:      raw,
		meta:     meta,
		ackWait:  s.ackWait,
		handBack: s.subscriber.options.handBack,
		inHand:   s.subscriber.options.inHand,
		released: s.subscriber.options.released,
		stopping: fetch.Done(),
		forsaken: s.forsaken,
	}
	held.hold(work, s.out)
}
