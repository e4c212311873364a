package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// The headers of a command or a fact.
const (
	headerKind    = "Broadcaster-Kind"
	headerVersion = "Broadcaster-Version"
)

const (
	// publishTimeout bounds the wait for the queue's acknowledgement, and for other single answers of it: one that is lost, because the broker was
	// killed, is not waited for as long as the caller has time.
	publishTimeout = 10 * time.Second
	// maxFactsInFlight is how many facts may be on their way without an acknowledgement.
	maxFactsInFlight = 4096
	// factsPerBatch is how many facts of one call are, so that several callers fit.
	factsPerBatch = 512
)

// SendCommand publishes a command and waits until the queue has it. A command that is not valid is refused with the error of its Validate;
// any other failure is fault.RetryLater, and the call may be repeated: the same command twice is one job.
func (b *Bus) SendCommand(ctx context.Context, command events.Command) (err error) {
	if err := command.Validate(); err != nil {
		return err
	}
	ctx, end := b.span(ctx, "publish "+command.Kind(), trace.SpanKindProducer, aboutSubject(command.Subject()))
	defer func() { end(err) }()
	m, err := encode(ctx, command)
	if err != nil {
		return err
	}
	if m.Header.Get(headerTrace) == "" {
		m.Header.Set(headerTrace, newTraceparent())
	}
	return b.publish(ctx, m)
}

// PublishFact publishes a fact and waits until the queue has it. A fact that is not valid is refused with the error of its Validate; any other
// failure is fault.RetryLater; the same fact twice is one fact.
func (b *Bus) PublishFact(ctx context.Context, fact events.Fact) (err error) {
	if err := fact.Validate(); err != nil {
		return err
	}
	ctx, end := b.spanWithin(ctx, "publish "+fact.Kind(), trace.SpanKindProducer, aboutSubject(fact.Subject()))
	defer func() { end(err) }()
	m, err := encode(ctx, fact)
	if err != nil {
		return err
	}
	return b.publish(ctx, m)
}

// PublishFacts publishes many facts without waiting for each, and returns when the queue has all of them. None is published when one is not valid.
// After any other failure some may be published; the call may be repeated with all of them.
func (b *Bus) PublishFacts(ctx context.Context, facts []events.Fact) error {
	for _, fact := range facts {
		if err := fact.Validate(); err != nil {
			return err
		}
	}
	for len(facts) > 0 {
		n := min(len(facts), factsPerBatch)
		if err := b.publishBatch(ctx, facts[:n]); err != nil {
			return err
		}
		facts = facts[n:]
	}
	return nil
}

func (b *Bus) publishBatch(ctx context.Context, facts []events.Fact) error {
	acknowledgements := make([]jetstream.PubAckFuture, 0, len(facts))
	for _, fact := range facts {
		m, err := encode(ctx, fact)
		if err != nil {
			return err
		}
		acknowledgement, err := b.js.PublishMsgAsync(m, jetstream.WithStallWait(publishTimeout))
		if err != nil {
			return b.unpublished(m.Subject, err)
		}
		acknowledgements = append(acknowledgements, acknowledgement)
	}
	for _, acknowledgement := range acknowledgements {
		select {
		case <-acknowledgement.Ok():
		case err := <-acknowledgement.Err():
			return b.unpublished(acknowledgement.Msg().Subject, err)
		case <-ctx.Done():
			return b.unpublished(acknowledgement.Msg().Subject, ctx.Err())
		}
	}
	return nil
}

// encode makes the NATS message of a command or a fact.
func encode(ctx context.Context, word events.Message) (*nats.Msg, error) {
	payload, err := json.Marshal(word)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", word.Kind(), err)
	}
	m := nats.NewMsg(word.Subject())
	m.Data = payload
	m.Header.Set(jetstream.MsgIDHeader, word.MessageID())
	m.Header.Set(headerKind, word.Kind())
	m.Header.Set(headerVersion, strconv.Itoa(word.SchemaVersion()))
	if parent := Traceparent(ctx); parent != "" {
		m.Header.Set(headerTrace, parent)
	}
	return m, nil
}

// publish sends one message and waits for the queue's acknowledgement.
func (b *Bus) publish(ctx context.Context, m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := b.js.PublishMsg(ctx, m)
	return b.unpublished(m.Subject, err)
}

// unpublished classifies a failure to publish, and counts it.
func (b *Bus) unpublished(subject string, err error) error {
	if err == nil {
		return nil
	}
	b.metrics.refused(subject)
	kind, _, _ := strings.Cut(subject, ".")
	err = fmt.Errorf("publish to %s: %w", kind, err)
	if errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) || errors.Is(err, nats.ErrMaxPayload) {
		return fault.Wrap(err, fault.TooLarge, "message_too_large", "The message is larger than the queue takes; make it smaller")
	}
	return fault.Wrap(err, fault.RetryLater, "queue_unavailable", "The queue did not confirm the message; try again").WithAfter(time.Second)
}

// Publisher is a Watermill Publisher: a topic is a subject, a message's UUID its identity for de-duplication, its metadata the headers. Publish
// returns when the queue has all messages. Commands and facts have their own typed doors, SendCommand and PublishFact.
type Publisher struct {
	bus    *Bus
	closed atomic.Bool
}

// NewPublisher makes a Publisher.
func (b *Bus) NewPublisher() *Publisher { return &Publisher{bus: b} }

// Publish implements message.Publisher. The first failure ends it; the messages before it are published.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	if p.closed.Load() {
		return errors.New("publisher is closed")
	}
	for _, m := range messages {
		out := nats.NewMsg(topic)
		out.Data = m.Payload
		for key, value := range m.Metadata {
			if !strings.HasPrefix(key, "Nats-") { // They are orders to the server.
				out.Header.Set(key, value)
			}
		}
		if m.UUID != "" {
			out.Header.Set(jetstream.MsgIDHeader, m.UUID)
		}
		if err := p.bus.publish(m.Context(), out); err != nil {
			return err
		}
	}
	return nil
}

// Close implements message.Publisher. Nothing is left to send: Publish waited.
func (p *Publisher) Close() error {
	p.closed.Store(true)
	return nil
}
