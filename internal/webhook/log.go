package webhook

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Attempt is one request to a receiver.
type Attempt struct {
	At         time.Time `json:"at"`
	DeliveryID string    `json:"delivery_id"`
	Event      string    `json:"event"`
	Outcome    Outcome   `json:"outcome"`
	// Status is the receiver's answer; zero: there was none.
	Status int `json:"status,omitempty"`
	// Took is how long the receiver took.
	Took time.Duration `json:"took_ns"`
	// Code and Message say what was wrong; empty when it was delivered.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// Outcome is what an attempt came to.
type Outcome string

// The outcomes.
const (
	// Delivered: the receiver has it.
	Delivered Outcome = "delivered"
	// Again: it is tried again, if attempts are left.
	Again Outcome = "again"
	// Refused: it is not tried again.
	Refused Outcome = "refused"
)

const (
	// keptAttempts is how many attempts a subscription's log keeps; keptFor for how long. A few more may be there until the next sweep.
	keptAttempts = 200
	keptFor      = 7 * 24 * time.Hour
	// sweepEvery is how many attempts of a worker bring a sweep.
	sweepEvery = 32
)

func logFolder(subscription string) string { return "webhook-log/" + subscription }

// record adds an attempt to a subscription's log, newest first.
func (s Subscriptions) record(ctx context.Context, subscription string, attempt Attempt) error {
	id := fmt.Sprintf("%016x-%s", math.MaxInt64-attempt.At.UnixNano(), attempt.DeliveryID)
	document, err := encode(id, attempt)
	if err != nil {
		return err
	}
	document.ExpiresAt = attempt.At.Add(keptFor)
	return s.Documents.Put(ctx, logFolder(subscription), []store.Document{document})
}

// sweep removes what a log has too much.
func (s Subscriptions) sweep(ctx context.Context, subscription string) error {
	kept, err := s.Documents.List(ctx, logFolder(subscription), store.Page{Size: keptAttempts})
	if err != nil || kept.Next == "" {
		return err
	}
	old, err := s.Documents.List(ctx, logFolder(subscription), store.Page{After: kept.Next, Size: store.MaxPageSize})
	if err != nil || len(old.Items) == 0 {
		return err
	}
	ids := make([]string, len(old.Items))
	for i, document := range old.Items {
		ids[i] = document.ID
	}
	_, err = s.Documents.Remove(ctx, logFolder(subscription), ids)
	return err
}

// Attempts gives the last requests of a subscription, newest first.
func (s Subscriptions) Attempts(ctx context.Context, subscription string, page store.Page) (store.List[Attempt], error) {
	return list[Attempt](ctx, s.Documents, logFolder(subscription), page)
}
