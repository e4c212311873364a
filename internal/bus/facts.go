package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

const (
	// factsQuiet is how long nothing may come before who follows the facts makes sure that the stream still has what was read of it.
	factsQuiet = 30 * time.Second
	// factsHeartbeat is how often the server says that a consumer of facts is there. One that says nothing twice is made anew, within factsQuiet.
	factsHeartbeat = 5 * time.Second
	// readerGone is how long the server keeps the consumer of a process that died.
	readerGone = time.Minute
	// factBytesAtOnce ends one reading of facts.
	factBytesAtOnce = 1 << 20
)

func factsUnavailable(err error) error {
	return fault.Wrap(fmt.Errorf("read facts: %w", err), fault.RetryLater, "queue_unavailable", "The events could not be read; try again")
}

// FactSpan tells which facts there are.
func (b *Bus) FactSpan(ctx context.Context) (events.Span, error) {
	stream, err := b.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return events.Span{}, factsUnavailable(err)
	}
	return spanOf(stream.CachedInfo()), nil
}

func spanOf(info *jetstream.StreamInfo) events.Span {
	return events.Span{First: info.State.FirstSeq, Last: info.State.LastSeq}
}

// ReadFacts gives the first facts behind a sequence, at most limit of them, and what there is. None: there is none up to the span's last.
func (b *Bus) ReadFacts(ctx context.Context, after uint64, limit int) ([]events.Recorded, events.Span, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	stream, err := b.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return nil, events.Span{}, factsUnavailable(err)
	}
	span := spanOf(stream.CachedInfo())
	if span.Last <= after {
		return nil, span, nil
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, InactiveThreshold: readerGone, Replicas: 1,
	})
	if err != nil {
		return nil, span, factsUnavailable(err)
	}
	defer func() {
		ctx, cancel := detached(ctx, confirmTimeout)
		defer cancel()
		_ = stream.DeleteConsumer(ctx, consumer.CachedInfo().Name) // Else the server does, after its InactiveThreshold.
	}()
	pending := consumer.CachedInfo().NumPending
	if pending == 0 {
		return nil, span, nil
	}
	batch, err := consumer.Fetch(int(min(pending, uint64(limit))), jetstream.FetchMaxWait(publishTimeout)) // #nosec G115 -- at most limit
	if err != nil {
		return nil, span, factsUnavailable(err)
	}
	facts, err := inSequence(batch)
	return facts, span, err
}

// inSequence gives the facts of a batch up to the first one that is missing, or is too much at once; what is behind it is read again.
func inSequence(batch jetstream.MessageBatch) ([]events.Recorded, error) {
	var facts []events.Recorded
	size := 0
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return nil, factsUnavailable(err)
		}
		if meta.Sequence.Consumer == uint64(len(facts))+1 && size < factBytesAtOnce {
			facts, size = append(facts, recorded(m, meta)), size+len(m.Data())
		}
	}
	if len(facts) == 0 {
		return nil, factsUnavailable(errors.Join(errors.New("facts that are there did not come"), batch.Error()))
	}
	return facts, nil
}

// FollowFacts calls take with every fact behind a sequence, in their order and each once, until the context ends or the facts can be followed no
// more, which is an error. A lost connection is no end: what was missed comes when it is back. It is one consumer at the server, whose name is its
// own: two processes with one name would share it, and have half of the facts each.
func (b *Bus) FollowFacts(ctx context.Context, after uint64, take func(events.Recorded)) error {
	stream, err := b.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return factsUnavailable(err)
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1, InactiveThreshold: readerGone,
	})
	if err != nil {
		return factsUnavailable(err)
	}
	messages, err := consumer.Messages(jetstream.PullHeartbeat(factsHeartbeat))
	if err != nil {
		return factsUnavailable(err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(factsQuiet))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, nats.ErrTimeout):
			if span, err := b.FactSpan(ctx); err == nil && span.Last < after {
				return factsUnavailable(fmt.Errorf("the last fact was %d, and is %d now: the stream was made anew", after, span.Last))
			}
			continue
		case err != nil:
			return factsUnavailable(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return factsUnavailable(err)
		}
		after = meta.Sequence.Stream
		take(recorded(m, meta))
	}
}

func recorded(m jetstream.Msg, meta *jetstream.MsgMetadata) events.Recorded {
	return events.Recorded{Sequence: meta.Sequence.Stream, Occurrence: events.Occurrence{Kind: m.Headers().Get(headerKind),
		MessageID: m.Headers().Get(jetstream.MsgIDHeader), Data: m.Data(), At: meta.Timestamp.UTC()}}
}
