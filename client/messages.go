package client

import (
	"context"
	"iter"
)

// SendMessage sends a single message through a session. Under one key it is sent once, however often it is asked for; an empty key is none.
func (c *Client) SendMessage(ctx context.Context, session, key string, message NewMessage) (Message, error) {
	return c.Operations().SendMessage(ctx, session, message, Once(key))
}

// Message gives what happened to a single message.
func (c *Client) Message(ctx context.Context, id string) (Message, error) {
	return c.Operations().GetMessage(ctx, id)
}

// Replies walks what recipients of a campaign wrote back, as Deliveries does.
func (c *Client) Replies(ctx context.Context, id string) iter.Seq2[Reply, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[Reply], error) {
		return c.Operations().ListReplies(ctx, id, ListRepliesQuery{After: after, Size: pageSize})
	})
}

// Suppressions walks the numbers that are not written to, as Deliveries does.
func (c *Client) Suppressions(ctx context.Context) iter.Seq2[Suppression, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[Suppression], error) {
		return c.Operations().ListSuppressions(ctx, ListSuppressionsQuery{After: after, Size: pageSize})
	})
}

// Suppress stops writing to numbers. source says who asks for it, for the audit.
func (c *Client) Suppress(ctx context.Context, source string, phones ...string) error {
	_, err := c.Operations().AddSuppressions(ctx, AddSuppressionsRequest{Phones: phones, Source: source})
	return err
}
