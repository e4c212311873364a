package bus

import (
	"context"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// WebhookSlots is how many deliveries of webhooks one worker has in hand at once.
const WebhookSlots = 32

// kindOfAnyFact is the kind of the consumer whose handler takes facts of every kind.
const kindOfAnyFact = "any_fact"

// HandleEveryFact gives the worker its handler of facts of every kind, also those that this version does not know. It is called for several at once, in
// no order, and for one fact more than once after a crash.
func (w *Worker) HandleEveryFact(handle func(context.Context, events.Occurrence) error) error {
	if err := w.claimConsumer(ConsumerWebhooks); err != nil {
		return err
	}
	w.router.AddConsumerHandler(ConsumerWebhooks, ConsumerWebhooks, w.subscriber, func(m *message.Message) error {
		held := claimOf(m)
		// A fact that is replayed is still the same fact: who was told of it before the failure is not told again under another id.
		id := replayed.ReplaceAllString(held.raw.Headers().Get(jetstream.MsgIDHeader), "")
		fact := events.Occurrence{Kind: m.Metadata.Get(headerKind), MessageID: id, Data: []byte(m.Payload), At: held.meta.Timestamp.UTC()}
		if err := fact.Validate(); err != nil {
			return err
		}
		return handle(m.Context(), fact)
	})
	return nil
}

// shortestPutOff keeps a job that was not tried from coming back in a hot loop.
const shortestPutOff = 10 * time.Millisecond

// putOff gives the verdict for a job that was not tried because it was too early for it, if its policy knows that.
func (w *Worker) putOff(j *job, failure *fault.Error) (verdict, bool) {
	if !j.policy.PutOff || failure.Class != fault.CoolingDown {
		return verdict{}, false
	}
	w.bus.metrics.handledJob(j.kind, labelHandedBack, time.Since(j.started))
	w.log.Debug("job put off", "job", j.claim.message.UUID, "kind", j.kind, "after", failure.After)
	return verdict{action: giveBack, delay: max(shortestPutOff, failure.After)}, true
}
