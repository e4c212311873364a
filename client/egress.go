package client

import "context"

// Egress gives the way out of a session.
func (c *Client) Egress(ctx context.Context, id string) (Egress, error) {
	return c.Operations().GetEgress(ctx, id)
}

// SetEgress gives a session a proxy, such as "socks5://user:password@host:1080". That of a linked session changes with move only.
func (c *Client) SetEgress(ctx context.Context, id, proxy string, move bool) (Egress, error) {
	return c.Operations().SetEgress(ctx, id, SetEgressRequest{Proxy: proxy, Move: move})
}

// DeleteEgress takes a session's proxy away: it connects straight. That of a linked session changes with move only.
func (c *Client) DeleteEgress(ctx context.Context, id string, move bool) (Egress, error) {
	return c.Operations().DeleteEgress(ctx, id, DeleteEgressQuery{Move: move})
}

// CheckEgress tries whether a session's way out reaches WhatsApp.
func (c *Client) CheckEgress(ctx context.Context, id string) (EgressCheck, error) {
	return c.Operations().CheckEgress(ctx, id)
}
