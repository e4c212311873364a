package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/guard"
	"github.com/dannsalud/broadcaster/internal/store"
)

// DefaultTimeout is how long a receiver may take to answer.
const DefaultTimeout = 10 * time.Second

// DelivererOptions configure a Deliverer. Subscriptions with a Sealer and Slots are required.
type DelivererOptions struct {
	Subscriptions Subscriptions
	// Slots is how many deliveries the worker has in hand at once; a receiver gets a quarter of them.
	Slots int
	// AllowPrivate are private networks that receivers may be in; none: only public addresses.
	AllowPrivate []netip.Prefix
	// Timeout is how long a receiver may take to answer; zero: DefaultTimeout.
	Timeout time.Duration
	// Rest is the first rest of a receiver that failed several times in a row; zero: DefaultRest.
	Rest time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
	// Log takes what goes wrong beside the deliveries; nil: it is dropped.
	Log *slog.Logger
}

// Deliverer sends facts to receivers.
type Deliverer struct {
	options DelivererOptions
	client  *http.Client
	lanes   *lanes
	// requests times what receivers answer.
	requests *prometheus.HistogramVec
}

// NewDeliverer checks the options and makes one.
func NewDeliverer(options DelivererOptions) (*Deliverer, error) {
	if options.Subscriptions.Documents == nil || options.Subscriptions.Sealer == nil || options.Slots < 1 {
		return nil, errors.New("webhook: a deliverer needs Documents, a Sealer and Slots")
	}
	if options.Timeout == 0 {
		options.Timeout = DefaultTimeout
	}
	if options.Rest == 0 {
		options.Rest = DefaultRest
	}
	if options.Timeout < 0 || options.Rest < 0 {
		return nil, errors.New("webhook: Timeout and Rest must not be negative")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	requests, err := newRequests(options.Registerer)
	if err != nil {
		return nil, err
	}
	return &Deliverer{options: options, requests: requests, client: guard.New(guard.Options{Allowed: options.AllowPrivate, AnyPort: true}),
		lanes: &lanes{room: max(1, options.Slots/4), rest: options.Rest}}, nil
}

// Handle makes one attempt at a delivery. What a subscription has that is deleted or disabled is dropped: nobody wants it any more.
func (d *Deliverer) Handle(ctx context.Context, command events.DeliverWebhook) error {
	subscription, err := d.options.Subscriptions.Get(ctx, command.SubscriptionID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !subscription.Enabled {
		d.options.Log.InfoContext(ctx, "delivery dropped: its webhook is deleted or disabled", "webhook", command.SubscriptionID, "delivery", command.DeliveryID)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read webhook %s: %w", command.SubscriptionID, err)
	}
	request, err := d.request(subscription, command)
	if err != nil {
		return err
	}
	begun := d.options.Now()
	leave, err := d.lanes.enter(subscription.ID, begun)
	if err != nil {
		return err
	}
	status, err := d.post(ctx, request)
	ended := d.options.Now()
	leave(resultOf(ctx, err), ended)
	if ctx.Err() != nil && err != nil {
		return fault.Wrap(errors.Join(ctx.Err(), err), fault.RetryLater, "interrupted", "The delivery was interrupted before it was answered; it is tried again")
	}
	attempt := Attempt{At: begun.UTC(), DeliveryID: command.DeliveryID, Event: command.FactKind, Outcome: outcomeOf(err), Status: status, Took: ended.Sub(begun)}
	if failure := fault.As(err); failure != nil {
		attempt.Code, attempt.Message = failure.Code, failure.Message
	}
	d.requests.WithLabelValues(string(attempt.Outcome)).Observe(attempt.Took.Seconds())
	d.note(ctx, subscription, attempt)
	return err
}

// envelope is the body of a request.
type envelope struct {
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// request makes the signed request of a delivery. Its body is the same each time; the signature is over the time of the attempt, too.
func (d *Deliverer) request(subscription Subscription, command events.DeliverWebhook) (*http.Request, error) {
	body, err := json.Marshal(envelope{Type: command.FactKind, Timestamp: command.OccurredAt.UTC(), Data: command.Fact})
	if err != nil {
		return nil, fault.Wrap(err, fault.Poison, "undecodable", "The fact of this delivery is no JSON; edit the job")
	}
	request, err := http.NewRequest(http.MethodPost, subscription.URL, bytes.NewReader(body)) //nolint:noctx // post gives it the context with its deadline
	if err != nil {
		return nil, fault.New(fault.Conflict, "bad_webhook_url", "The webhook's address cannot be used; change it and replay") // the cause repeats it
	}
	at := d.options.Now()
	signatures, err := d.sign(subscription, command.DeliveryID, at, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Broadcaster-Webhooks/1")
	request.Header.Set(standard.HeaderWebhookID, command.DeliveryID)
	request.Header.Set(standard.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(standard.HeaderWebhookSignature, signatures)
	return request, nil
}

// sign gives the signatures by all secrets of a subscription.
func (d *Deliverer) sign(subscription Subscription, id string, at time.Time, body []byte) (string, error) {
	secrets, err := d.options.Subscriptions.secrets(subscription, at)
	if err != nil {
		return "", err
	}
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		signer, err := standard.NewWebhook(secret.Reveal())
		if err == nil {
			signatures[i], err = signer.Sign(id, at, body)
		}
		if err != nil { // its words could show the secret
			return "", fault.New(fault.Internal, "webhook_unsigned", "The delivery could not be signed; rotate the webhook's secret")
		}
	}
	return strings.Join(signatures, " "), nil
}

// post sends a request and says what its answer means. No answer's body is read: nothing in it could change anything.
func (d *Deliverer) post(ctx context.Context, request *http.Request) (status int, err error) {
	limited, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	response, err := d.client.Do(request.WithContext(limited))
	if err != nil {
		return 0, unanswered(ctx, err)
	}
	_ = response.Body.Close() // the status is all that counts
	return response.StatusCode, judge(response, d.options.Now())
}

// bookTimeout bounds the writes behind an attempt.
const bookTimeout = 5 * time.Second

// note writes an attempt down. It cannot fail the delivery, which has happened.
func (d *Deliverer) note(ctx context.Context, subscription Subscription, attempt Attempt) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookTimeout)
	defer cancel()
	book := d.options.Subscriptions
	err := book.record(ctx, subscription.ID, attempt)
	if d.lanes.dueForSweep(subscription.ID) {
		err = errors.Join(err, book.sweep(ctx, subscription.ID))
	}
	if attempt.Status == http.StatusGone {
		err = errors.Join(err, book.disable(ctx, subscription.ID, ReasonGone, d.options.Now().UTC()))
		d.options.Log.WarnContext(ctx, "webhook disabled: its receiver is gone", "webhook", subscription.ID)
	}
	if err != nil {
		d.options.Log.ErrorContext(ctx, "attempt of a webhook not written down", "webhook", subscription.ID, "delivery", attempt.DeliveryID, "error", err)
	}
}
