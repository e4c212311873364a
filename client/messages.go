package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// NewMessage is a single message.
type NewMessage struct {
	Phone       string `json:"phone"`
	Text        string `json:"text,omitempty"`
	Media       *Media `json:"media,omitempty"`
	LinkPreview bool   `json:"link_preview,omitempty"`
	Typing      bool   `json:"typing,omitempty"`
	Hours       *Hours `json:"hours,omitempty"`
}

// Message is what happened to a single message.
type Message struct {
	ID        string    `json:"id"`
	MessageID string    `json:"message_id"`
	State     string    `json:"state"`
	WaitsFor  string    `json:"waits_for"`
	Code      string    `json:"code"`
	Reason    string    `json:"reason"`
	SentAt    time.Time `json:"sent_at"`
}

// SendMessage sends a single message through a session. Under one key it is sent once, however often it is asked for; an empty key is none.
func (c *Client) SendMessage(ctx context.Context, session, key string, message NewMessage) (Message, error) {
	var queued Message
	err := c.callOnce(ctx, sessionPath(session)+"/messages", key, message, &queued)
	return queued, err
}

// Message gives what happened to a single message.
func (c *Client) Message(ctx context.Context, id string) (Message, error) {
	var found Message
	err := c.call(ctx, http.MethodGet, "/v1/messages/"+url.PathEscape(id), nil, &found)
	return found, err
}

// Reply is what a recipient wrote back.
type Reply struct {
	DeliveryID string    `json:"delivery_id"`
	Phone      string    `json:"phone"`
	Text       string    `json:"text"`
	At         time.Time `json:"at"`
	OptOut     bool      `json:"opt_out"`
}

// Replies walks what recipients of a campaign wrote back, as Deliveries does.
func (c *Client) Replies(ctx context.Context, id string) iter.Seq2[Reply, error] {
	return walk[Reply](ctx, c, campaignPath(id)+"/replies", url.Values{})
}

// Suppression is a number that is not written to.
type Suppression struct {
	Phone     string    `json:"phone"`
	Reason    string    `json:"reason"`
	Source    string    `json:"source"`
	CreatedAt time.Time `json:"created_at"`
}

// Suppressions walks the numbers that are not written to, as Deliveries does.
func (c *Client) Suppressions(ctx context.Context) iter.Seq2[Suppression, error] {
	return walk[Suppression](ctx, c, "/v1/suppressions", url.Values{})
}

// Suppress stops writing to numbers. source says who asks for it, for the audit.
func (c *Client) Suppress(ctx context.Context, source string, phones ...string) error {
	return c.call(ctx, http.MethodPost, "/v1/suppressions", map[string]any{"phones": phones, "source": source}, &struct{}{})
}
