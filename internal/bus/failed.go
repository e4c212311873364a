package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/events"
)

// FailedJobVersion is the present version of FailedJob.
const FailedJobVersion = 1

// FailedJob is a job that the workers gave up, as it stands in FAILED until an operator replays or discards it. Payload is the job itself and may
// hold a phone number; nothing else here does.
type FailedJob struct {
	Version int `json:"version"`
	// Subject, Stream, Sequence, MessageID and Headers are those of the original; Payload is its bytes.
	Subject   string            `json:"subject"`
	Stream    string            `json:"stream"`
	Consumer  string            `json:"consumer"`
	Sequence  uint64            `json:"sequence"`
	MessageID string            `json:"message_id"`
	Headers   map[string]string `json:"headers,omitempty"`
	Payload   []byte            `json:"payload"`
	// Kind and SchemaVersion are what the original says about itself; empty or zero when it says nothing.
	Kind          string `json:"kind"`
	SchemaVersion int    `json:"schema_version"`
	// SessionID and CampaignID are those that the payload names.
	SessionID  string `json:"session_id,omitempty"`
	CampaignID string `json:"campaign_id,omitempty"`
	TraceID    string `json:"trace_id,omitempty"`
	// Worker is the one that gave it up.
	Worker     string    `json:"worker"`
	Attempts   int       `json:"attempts"`
	QueuedAt   time.Time `json:"queued_at"`
	FailedAt   time.Time `json:"failed_at"`
	FirstError Failure   `json:"first_error"`
	// LastError has the class and the code that the job is listed under.
	LastError Failure `json:"last_error"`
	// Entry is the sequence of this entry in FAILED, set when it is read.
	Entry uint64 `json:"-"`
}

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
	payload, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("encode the failed job: %w", err)
	}
	m := nats.NewMsg("failed." + entry.Subject)
	m.Data = payload
	id := fmt.Sprintf("%s:%d", entry.Stream, entry.Sequence)
	if entry.Stream != events.StreamCommands {
		id += ":" + entry.Consumer
	}
	m.Header.Set(jetstream.MsgIDHeader, id)
	if trace := entry.Headers[headerTrace]; trace != "" {
		m.Header.Set(headerTrace, trace)
	}
	return b.publish(ctx, m)
}

// ReadFailed lists failed jobs in the order in which they were given up, from an entry number on, at most limit of them.
func (b *Bus) ReadFailed(ctx context.Context, from uint64, limit int) ([]FailedJob, error) {
	stream, err := b.js.Stream(ctx, events.StreamFailed)
	if err != nil {
		return nil, fmt.Errorf("read failed jobs: %w", err)
	}
	var entries []FailedJob
	for next := max(from, 1); len(entries) < limit; {
		m, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(events.AllFailed))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read failed jobs: %w", err)
		}
		next = m.Sequence + 1
		var entry FailedJob
		if err := json.Unmarshal(m.Data, &entry); err != nil {
			return nil, fmt.Errorf("read failed job %d: %w", m.Sequence, err)
		}
		entry.Entry = m.Sequence
		entries = append(entries, entry)
	}
	return entries, nil
}
