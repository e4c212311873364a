package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Webhook is a subscription: who is told of what, and where.
type Webhook struct {
	ID                string    `json:"id"`
	UserID            string    `json:"user_id"`
	URL               string    `json:"url"`
	Events            []string  `json:"events"`
	Enabled           bool      `json:"enabled"`
	Reason            string    `json:"reason"`
	FormerSecretUntil time.Time `json:"former_secret_until"`
	CreatedAt         time.Time `json:"created_at"`
	UpdatedAt         time.Time `json:"updated_at"`
	// Secret checks signatures. It is there when the webhook was just created or its secret rotated, and never again.
	Secret string `json:"secret"`
}

// NewWebhook is what a webhook is to be. An empty UserID is every user.
type NewWebhook struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
	UserID string   `json:"user_id,omitempty"`
}

// WebhookChange is what is to be different about a webhook; what is nil stays.
type WebhookChange struct {
	URL     *string  `json:"url,omitempty"`
	Events  []string `json:"events,omitempty"`
	Enabled *bool    `json:"enabled,omitempty"`
}

// WebhookAttempt is one request to a receiver.
type WebhookAttempt struct {
	At         time.Time `json:"at"`
	DeliveryID string    `json:"delivery_id"`
	Event      string    `json:"event"`
	Outcome    string    `json:"outcome"`
	Status     int       `json:"status"`
	TookMS     int64     `json:"took_ms"`
	Code       string    `json:"code"`
	Message    string    `json:"message"`
}

// CreateWebhook makes a webhook; its answer alone has the secret.
func (c *Client) CreateWebhook(ctx context.Context, wanted NewWebhook) (Webhook, error) {
	var made Webhook
	err := c.call(ctx, http.MethodPost, "/v1/webhooks", wanted, &made)
	return made, err
}

// Webhooks walks the webhooks, oldest first, as Deliveries does.
func (c *Client) Webhooks(ctx context.Context) iter.Seq2[Webhook, error] {
	return walk[Webhook](ctx, c, "/v1/webhooks", url.Values{})
}

// Webhook gives one.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	var found Webhook
	err := c.call(ctx, http.MethodGet, webhookPath(id), nil, &found)
	return found, err
}

// ChangeWebhook changes one and gives it as stored.
func (c *Client) ChangeWebhook(ctx context.Context, id string, change WebhookChange) (Webhook, error) {
	var changed Webhook
	err := c.call(ctx, http.MethodPatch, webhookPath(id), change, &changed)
	return changed, err
}

// DeleteWebhook removes one; what waits for it is dropped.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, webhookPath(id), nil, nil)
}

// RotateWebhook gives one a new secret. The former one signs beside it for a day.
func (c *Client) RotateWebhook(ctx context.Context, id string) (Webhook, error) {
	var changed Webhook
	err := c.call(ctx, http.MethodPost, webhookPath(id)+"/rotate", nil, &changed)
	return changed, err
}

// TestWebhook tells one of an event that is only a test, and gives the id that the receiver gets it under.
func (c *Client) TestWebhook(ctx context.Context, id string) (deliveryID string, err error) {
	var queued struct {
		DeliveryID string `json:"delivery_id"`
	}
	err = c.call(ctx, http.MethodPost, webhookPath(id)+"/test", nil, &queued)
	return queued.DeliveryID, err
}

// WebhookAttempts walks the last requests of one, newest first, as Deliveries does.
func (c *Client) WebhookAttempts(ctx context.Context, id string) iter.Seq2[WebhookAttempt, error] {
	return walk[WebhookAttempt](ctx, c, webhookPath(id)+"/deliveries", url.Values{})
}

func webhookPath(id string) string { return "/v1/webhooks/" + url.PathEscape(id) }
