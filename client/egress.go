package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Egress is the network way out of a session.
type Egress struct {
	// Egress is "direct" or the name of a proxy; Kind is "direct" or "proxy".
	Egress string `json:"egress"`
	Kind   string `json:"kind"`
	// Proxy is the proxy's address without user and password.
	Proxy string `json:"proxy"`
	// Moved tells that the session is linked: it is connected anew by the new way within seconds.
	Moved bool `json:"moved"`
}

// EgressCheck is what a try of a way out found.
type EgressCheck struct {
	Egress
	Reachable bool  `json:"reachable"`
	LatencyMS int64 `json:"latency_ms"`
	// Problem is a stable code for what is wrong; Message and MessageSpanish say it to a person.
	Problem        string `json:"problem"`
	Message        string `json:"message"`
	MessageSpanish string `json:"message_es"`
}

// Egress gives the way out of a session.
func (c *Client) Egress(ctx context.Context, id string) (Egress, error) {
	var found Egress
	err := c.call(ctx, http.MethodGet, egressPath(id), nil, &found)
	return found, err
}

// SetEgress gives a session a proxy, such as "socks5://user:password@host:1080". That of a linked session changes with move only.
func (c *Client) SetEgress(ctx context.Context, id, proxy string, move bool) (Egress, error) {
	var chosen Egress
	err := c.call(ctx, http.MethodPut, egressPath(id), map[string]any{"proxy": proxy, "move": move}, &chosen)
	return chosen, err
}

// DeleteEgress takes a session's proxy away: it connects straight. That of a linked session changes with move only.
func (c *Client) DeleteEgress(ctx context.Context, id string, move bool) (Egress, error) {
	var chosen Egress
	err := c.call(ctx, http.MethodDelete, egressPath(id)+"?"+url.Values{"move": {strconv.FormatBool(move)}}.Encode(), nil, &chosen)
	return chosen, err
}

// CheckEgress tries whether a session's way out reaches WhatsApp.
func (c *Client) CheckEgress(ctx context.Context, id string) (EgressCheck, error) {
	var found EgressCheck
	err := c.call(ctx, http.MethodPost, egressPath(id)+"/check", nil, &found)
	return found, err
}

func egressPath(id string) string { return sessionPath(id) + "/egress" }
