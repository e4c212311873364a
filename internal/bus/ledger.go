package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// ledger keeps a record of each job in trouble, in the bucket "attempts". The attempts of a job are the server's own count of its deliveries,
// which includes those that ended in a crash, less the hand-backs that the record counts. A job that succeeds the first time has no record.
type ledger struct {
	bucket *Bucket
}

// record is what is known about a job beyond its message.
type record struct {
	// HandedBack counts the deliveries that were no attempts: a worker that stopped gave the job back.
	HandedBack int `json:"handed_back,omitempty"`
	// First and Last are the first and the last failed attempt.
	First *Failure `json:"first,omitempty"`
	Last  *Failure `json:"last,omitempty"`
	// Attempts and NextAt are how often it was tried and when it is tried again.
	Attempts int       `json:"attempts,omitempty"`
	NextAt   time.Time `json:"next_at,omitzero"`
	// Condemned: the job goes to FAILED or is there already; only the end of the original may be missing. It is not run again.
	Condemned bool `json:"condemned,omitempty"`
}

// maxDetail bounds the stored error text, in bytes.
const maxDetail = 2 << 10

func failureOf(err error, at time.Time) *Failure {
	known := fault.As(err)
	return &Failure{
		Class:   known.Class,
		Code:    known.Code,
		Message: redact(known.Message),
		Detail:  redact(err.Error()),
		At:      at.UTC().Truncate(time.Millisecond),
	}
}

// note adds a failed attempt to a record.
func (r *record) note(failure *Failure) {
	if r.First == nil {
		r.First = failure
	}
	r.Last = failure
}

// get reads the record of a message. One that was delivered for the first time has none, and none is asked for.
func (l *ledger) get(ctx context.Context, meta *jetstream.MsgMetadata) (record, error) {
	if meta.NumDelivered <= 1 {
		return record{}, nil
	}
	return l.read(ctx, jobKey(meta))
}

func (l *ledger) read(ctx context.Context, key string) (record, error) {
	value, _, err := l.bucket.Get(ctx, key)
	if errors.Is(err, ErrMissing) {
		return record{}, nil
	}
	var r record
	if err == nil {
		err = json.Unmarshal(value, &r)
	}
	if err != nil {
		return record{}, fmt.Errorf("read the record of a job: %w", err)
	}
	return r, nil
}

func (l *ledger) put(ctx context.Context, meta *jetstream.MsgMetadata, r record) error {
	value, err := json.Marshal(r)
	if err == nil {
		_, err = l.bucket.Put(ctx, jobKey(meta), value)
	}
	if err != nil {
		return fmt.Errorf("write the record of a job: %w", err)
	}
	return nil
}

// handBack counts a delivery that was no attempt.
func (l *ledger) handBack(ctx context.Context, c *claim) error {
	r, err := l.get(ctx, c.meta)
	if err != nil {
		return err
	}
	r.HandedBack++
	return l.put(ctx, c.meta, r)
}

// forget removes the record of a job that has ended.
func (l *ledger) forget(ctx context.Context, key string) error {
	return l.bucket.Remove(ctx, key)
}

// jobKey names a message of a consumer.
func jobKey(meta *jetstream.MsgMetadata) string {
	return keyOf(meta.Stream, meta.Consumer, meta.Sequence.Stream)
}

func keyOf(stream, consumer string, sequence uint64) string {
	return fmt.Sprintf("%s-%s-%d", stream, consumer, sequence)
}
