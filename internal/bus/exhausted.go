package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// advisory is what the server says of a message that it delivered MaxDeliver times (io.nats.jetstream.advisory.v1.max_deliver). A message of a
// work queue stays in its stream after that, and nobody sees it any more.
type advisory struct {
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	StreamSeq  uint64 `json:"stream_seq"`
	Deliveries int    `json:"deliveries"`
}

// buryExhausted moves jobs that the server gave up to FAILED: their workers crashed each time before any of our code could. It runs in every
// worker; the advisories wait in a stream of their own, so none is missed while no worker runs.
func (w *Worker) buryExhausted(ctx context.Context) error {
	advisories, err := w.subscriber.Subscribe(ctx, ConsumerExhausted)
	if err != nil {
		return fmt.Errorf("listen for exhausted jobs: %w", err)
	}
	for m := range advisories {
		if err := w.bury(m); err != nil {
			w.log.WarnContext(ctx, "exhausted job could not be moved to FAILED; it is tried again", "error", err)
			claimOf(m).verdict = verdict{action: retry, delay: backoff(int(claimOf(m).meta.NumDelivered))} // #nosec G115 -- a small count
			m.Nack()
			continue
		}
		m.Ack()
	}
	return nil
}

// bury copies one message to FAILED and, if it was a job, deletes the original. Both may be repeated.
func (w *Worker) bury(m *message.Message) error {
	var about advisory
	if err := json.Unmarshal(m.Payload, &about); err != nil {
		w.log.Error("advisory of the server not understood", "error", err)
		return nil // It would not be understood the next time either.
	}
	ctx, cancel := detached(m.Context(), settleTimeout)
	defer cancel()
	stream, err := w.bus.js.Stream(ctx, about.Stream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", about.Stream, err)
	}
	original, err := stream.GetMsg(ctx, about.StreamSeq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // Moved before, or deleted by an operator.
	}
	if err != nil {
		return fmt.Errorf("read message %d of %s: %w", about.StreamSeq, about.Stream, err)
	}
	key := keyOf(about.Stream, about.Consumer, about.StreamSeq)
	r, err := w.ledger.read(ctx, key)
	if err != nil {
		return err
	}
	if err := w.buryOriginal(ctx, about, original, r); err != nil {
		return err
	}
	if about.Stream == events.StreamCommands {
		if err := stream.DeleteMsg(ctx, about.StreamSeq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("delete message %d of %s: %w", about.StreamSeq, about.Stream, err)
		}
	}
	return w.ledger.forget(ctx, key)
}

func (w *Worker) buryOriginal(ctx context.Context, about advisory, original *jetstream.RawStreamMsg, r record) error {
	if r.Last == nil {
		r.note(failureOf(errExhausted(about.Deliveries), time.Now()))
	}
	entry := w.bus.failedEntry(original.Subject, original.Header, original.Data, r)
	entry.Stream, entry.Consumer, entry.Sequence = about.Stream, about.Consumer, about.StreamSeq
	entry.Attempts, entry.QueuedAt = max(1, about.Deliveries-r.HandedBack), original.Time.UTC()
	if err := w.bus.publishFailed(ctx, entry); err != nil {
		return err
	}
	kind := w.kinds[about.Consumer]
	if kind == "" {
		kind = "other" // Of a consumer that this worker does not serve; the label stays bounded.
	}
	w.bus.metrics.failedJob(kind, fault.Class(r.Last.Class))
	w.log.ErrorContext(ctx, "job given up by the server and moved to FAILED", "job", entry.MessageID, "class", r.Last.Class, "attempt", entry.Attempts)
	return nil
}
