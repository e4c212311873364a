package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
)

// FailedJobVersion, FailedJob and Failure are words: internal/events says what they are.
const FailedJobVersion = events.FailedJobVersion

type (
	// FailedJob is events.FailedJob.
	FailedJob = events.FailedJob
	// Failure is events.Failure.
	Failure = events.Failure
)

// failedJob makes the entry of a job in hand.
func (b *Bus) failedJob(j *job) FailedJob {
	entry := b.failedEntry(j.claim.raw.Subject(), j.claim.raw.Headers(), j.claim.raw.Data(), j.record)
	meta := j.claim.meta
	entry.Stream, entry.Consumer, entry.Sequence = meta.Stream, meta.Consumer, meta.Sequence.Stream
	entry.Attempts, entry.QueuedAt = j.attempts, meta.Timestamp.UTC()
	return entry
}

// failedEntry makes what an entry takes from the original message and from the record.
func (b *Bus) failedEntry(subject string, headers nats.Header, payload []byte, r record) FailedJob {
	var about struct {
		Version    int    `json:"version"`
		SessionID  string `json:"session_id"`
		CampaignID string `json:"campaign_id"`
	}
	if err := json.Unmarshal(payload, &about); err != nil {
		about.Version = 0 // Not decodable, which is why it is here: what could be read of it stands.
	}
	entry := FailedJob{
		Version:       FailedJobVersion,
		Subject:       subject,
		MessageID:     headers.Get(jetstream.MsgIDHeader),
		Headers:       map[string]string{},
		Payload:       payload,
		Kind:          headers.Get(headerKind),
		SchemaVersion: about.Version,
		SessionID:     about.SessionID,
		CampaignID:    about.CampaignID,
		TraceID:       traceID(headers.Get(headerTrace)),
		Worker:        b.options.Name,
		FailedAt:      r.Last.At,
		FirstError:    *r.First,
		LastError:     *r.Last,
	}
	for key, values := range headers {
		if len(values) > 0 && !strings.HasPrefix(key, "Nats-") {
			entry.Headers[key] = values[0]
		}
	}
	return entry
}

// publishFailed puts an entry into FAILED. The same original has the same identity, so that it is there once however often this is tried. A fact
// may fail in several consumers, each for its own reason, so there the consumer is part of it.
func (b *Bus) publishFailed(ctx context.Context, entry FailedJob) error {
	id := fmt.Sprintf("%s:%d", entry.Stream, entry.Sequence)
	entry.MessageID = orDefault(entry.MessageID, id) // The server publishes a scheduled job without one, and its replay needs one of its own.
	payload, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("encode the failed job: %w", err)
	}
	m := nats.NewMsg("failed." + entry.Subject)
	m.Data = payload
	if entry.Stream != events.StreamCommands {
		id += ":" + entry.Consumer
	}
	m.Header.Set(jetstream.MsgIDHeader, id)
	if trace := entry.Headers[headerTrace]; trace != "" {
		m.Header.Set(headerTrace, trace)
	}
	return b.publish(ctx, m)
}
