package events

import (
	"encoding/json"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// DeliverWebhook asks a sender to tell the receiver of a subscription of one fact.
type DeliverWebhook struct {
	Version        int    `json:"version"`
	SubscriptionID string `json:"subscription_id"`
	// DeliveryID is the same for the same fact and subscription, however often it is sent: receivers know a repeated one by it.
	DeliveryID string `json:"delivery_id"`
	// FactID is the message id of the fact; FactKind its kind.
	FactID   string `json:"fact_id"`
	FactKind string `json:"fact_kind"`
	// Fact is the fact as it stands in EVENTS, OccurredAt when it happened.
	Fact        json.RawMessage `json:"fact"`
	OccurredAt  time.Time       `json:"occurred_at"`
	RequestedAt time.Time       `json:"requested_at"`
}

// DeliverWebhookVersion is the present version of DeliverWebhook.
const DeliverWebhookVersion = 1

// NewDeliverWebhook makes the command that tells a subscription of a fact.
func NewDeliverWebhook(subscription string, fact Occurrence, at time.Time) DeliverWebhook {
	return DeliverWebhook{Version: DeliverWebhookVersion, SubscriptionID: subscription, DeliveryID: "whd_" + digest("webhook", subscription, fact.MessageID),
		FactID: fact.MessageID, FactKind: fact.Kind, Fact: fact.Data, OccurredAt: fact.At, RequestedAt: at}
}

// Kind implements Message.
func (DeliverWebhook) Kind() string { return "deliver_webhook" }

// Subject implements Message. Each delivery has its own: one that is replayed must not wait until its subscription has no other.
func (c DeliverWebhook) Subject() string { return "commands.webhook." + c.DeliveryID }

// MessageID implements Message: one fact is one job for each subscription.
func (c DeliverWebhook) MessageID() string { return "webhook:" + c.SubscriptionID + ":" + c.FactID }

// SchemaVersion implements Message.
func (c DeliverWebhook) SchemaVersion() int { return c.Version }

// Validate implements Message.
func (c DeliverWebhook) Validate() error {
	if c.Version != DeliverWebhookVersion {
		return unknownVersion(c)
	}
	if err := needsIDs(c, field{"delivery_id", c.DeliveryID}, field{"subscription_id", c.SubscriptionID}, field{"fact_kind", c.FactKind}); err != nil {
		return err
	}
	if c.FactID == "" || !json.Valid(c.Fact) {
		return incomplete(c, "a fact and its id")
	}
	return nil
}

func (DeliverWebhook) command() {}

// Occurrence is a fact as it stands in EVENTS, for who passes facts of all kinds on and understands none.
type Occurrence struct {
	Kind      string
	MessageID string
	// Data is the fact's JSON.
	Data json.RawMessage
	// At is when the queue took it.
	At time.Time
}

// Validate gives a fault.Poison for what is no fact.
func (o Occurrence) Validate() error {
	if !isToken(o.Kind) || o.Kind == "" || o.MessageID == "" || !json.Valid(o.Data) {
		return fault.New(fault.Poison, "undecodable", "The fact has no kind, no id or no JSON; discard it")
	}
	return nil
}

// FactKinds lists the kinds of all facts.
func FactKinds() []string {
	return []string{SessionChanged{}.Kind(), SessionStable{}.Kind(), LinkChanged{}.Kind(), PhoneOffline{}.Kind(), CampaignChanged{}.Kind(),
		MessageReceipt{}.Kind(), MessageReceived{}.Kind()}
}
