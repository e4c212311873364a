package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Sessions tell whose a session is.
type Sessions interface {
	Get(ctx context.Context, id session.ID) (session.Session, error)
}

// Queue publishes commands.
type Queue interface {
	SendCommand(ctx context.Context, command events.Command) error
}

// FanOutOptions configure a FanOut. Subscriptions, Sessions and Queue are required.
type FanOutOptions struct {
	Subscriptions Subscriptions
	Sessions      Sessions
	Queue         Queue
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// FanOut makes one command of a fact for each subscription that wants it. The same fact again makes the same commands, which the queue knows.
type FanOut struct {
	options FanOutOptions

	mu     sync.Mutex
	known  []Subscription
	readAt time.Time
	owners *session.Owners
}

// Fresh is how long a fan-out goes by the subscriptions that it has read: so long a change may take to be in effect.
const Fresh = time.Second

// NewFanOut checks the options and makes one.
func NewFanOut(options FanOutOptions) (*FanOut, error) {
	if options.Subscriptions.Documents == nil || options.Sessions == nil || options.Queue == nil {
		return nil, errors.New("webhook: a fan-out needs Subscriptions, Sessions and a Queue")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &FanOut{options: options, owners: session.NewOwners(options.Sessions.Get)}, nil
}

// Handle publishes the commands of one fact. One that cannot be published does not hold up the others.
func (f *FanOut) Handle(ctx context.Context, fact events.Occurrence) error {
	wanted, err := f.wanting(ctx, fact.Kind)
	if err != nil || len(wanted) == 0 {
		return err
	}
	if slices.ContainsFunc(wanted, func(s Subscription) bool { return s.UserID != "" }) {
		owner, err := f.ownerOf(ctx, fact)
		if err != nil {
			return err
		}
		wanted = slices.DeleteFunc(wanted, func(s Subscription) bool { return s.UserID != "" && s.UserID != owner })
	}
	var failures []error
	for _, subscription := range wanted {
		if err := f.options.Queue.SendCommand(ctx, events.NewDeliverWebhook(subscription.ID, fact, f.options.Now().UTC())); err != nil {
			failures = append(failures, fmt.Errorf("tell webhook %s: %w", subscription.ID, err))
		}
	}
	return errors.Join(failures...)
}

// wanting gives the subscriptions that want facts of a kind, whoever's they are.
func (f *FanOut) wanting(ctx context.Context, kind string) ([]Subscription, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.options.Now(); f.readAt.IsZero() || now.Sub(f.readAt) >= Fresh || now.Before(f.readAt) {
		all, err := f.options.Subscriptions.all(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the webhooks: %w", err)
		}
		f.known, f.readAt = all, now
	}
	var wanting []Subscription
	for _, subscription := range f.known {
		if subscription.wants(kind) {
			wanting = append(wanting, subscription)
		}
	}
	return wanting, nil
}

// ownerOf gives the user whom a fact is about; empty: nobody's any more. Facts about messages name only their session.
func (f *FanOut) ownerOf(ctx context.Context, fact events.Occurrence) (string, error) {
	about := fact.About()
	if about.UserID != "" {
		return about.UserID, nil
	}
	return f.owners.Of(ctx, about.SessionID)
}
