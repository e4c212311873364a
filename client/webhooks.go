package client

import (
	"context"
	"iter"
)

// CreateWebhook makes a webhook; its answer alone has the secret.
func (c *Client) CreateWebhook(ctx context.Context, wanted NewWebhook) (Webhook, error) {
	return c.Operations().CreateWebhook(ctx, wanted)
}

// Webhooks walks the webhooks, oldest first, as Deliveries does.
func (c *Client) Webhooks(ctx context.Context) iter.Seq2[Webhook, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[Webhook], error) {
		return c.Operations().ListWebhooks(ctx, ListWebhooksQuery{After: after, Size: pageSize})
	})
}

// Webhook gives one.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	return c.Operations().GetWebhook(ctx, id)
}

// ChangeWebhook changes one and gives it as stored.
func (c *Client) ChangeWebhook(ctx context.Context, id string, change WebhookChange) (Webhook, error) {
	return c.Operations().EditWebhook(ctx, id, change)
}

// DeleteWebhook removes one; what waits for it is dropped.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	return c.Operations().DeleteWebhook(ctx, id)
}

// RotateWebhook gives one a new secret. The former one signs beside it for a day.
func (c *Client) RotateWebhook(ctx context.Context, id string) (Webhook, error) {
	return c.Operations().RotateWebhook(ctx, id)
}

// TestWebhook tells one of an event that is only a test, and gives the id that the receiver gets it under.
func (c *Client) TestWebhook(ctx context.Context, id string) (deliveryID string, err error) {
	queued, err := c.Operations().TestWebhook(ctx, id)
	return queued.DeliveryID, err
}

// WebhookAttempts walks the last requests of one, newest first, as Deliveries does.
func (c *Client) WebhookAttempts(ctx context.Context, id string) iter.Seq2[WebhookAttempt, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[WebhookAttempt], error) {
		return c.Operations().ListWebhookDeliveries(ctx, id, ListWebhookDeliveriesQuery{After: after, Size: pageSize})
	})
}
