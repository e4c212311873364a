package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Session is a WhatsApp companion device, linked for one user.
type Session struct {
	ID     string    `json:"id"`
	UserID string    `json:"user_id"`
	Name   string    `json:"name"`
	State  string    `json:"state"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
	Phone  string    `json:"phone"`
	// Egress is "direct" or the name of a proxy.
	Egress    string    `json:"egress"`
	CreatedAt time.Time `json:"created_at"`
	Link      *Link     `json:"link"`
	LinkedAt  time.Time `json:"linked_at"`
	// PhoneSeenAt is when the phone itself last gave a sign of life; Warning says what somebody should do something about.
	PhoneSeenAt time.Time `json:"phone_seen_at"`
	Warning     *Note     `json:"warning"`
}

// Note is something that people should know, in both languages.
type Note struct {
	Code string `json:"code"`
	En   string `json:"en"`
	Es   string `json:"es"`
}

// Link is the work of pairing a session with a phone.
type Link struct {
	ID       string    `json:"id"`
	Method   string    `json:"method"`
	State    string    `json:"state"`
	Reason   string    `json:"reason"`
	Deadline time.Time `json:"deadline"`
	QueuedAt time.Time `json:"queued_at"`
	EndedAt  time.Time `json:"ended_at"`
	Queue    *Queue    `json:"queue"`
	Warning  *Note     `json:"warning"`
	// Holder names the other session that has the phone's number, if the user may see it.
	Holder *Holder `json:"holder"`
	Prompt *Prompt `json:"prompt"`
}

// Holder is a session that has a number which somebody wanted to link once more.
type Holder struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Queue is where a link stands that waits for its turn; 1 is next.
type Queue struct {
	Position         int       `json:"position"`
	EstimatedStartAt time.Time `json:"estimated_start_at"`
	// EstimatedWait is the same in seconds from the answer.
	EstimatedWait int    `json:"estimated_wait_seconds"`
	WaitsFor      string `json:"waits_for"`
}

// Prompt is what a person has to scan or type now. It is a secret.
type Prompt struct {
	QR   string `json:"qr"`
	Code string `json:"code"`
	// Passkey is WhatsApp's question for a passkey: WebAuthn request options, as a browser takes them.
	Passkey  json.RawMessage `json:"passkey"`
	Index    int             `json:"index"`
	Deadline time.Time       `json:"deadline"`
}

// Ended tells whether nothing more will happen to the link.
func (l Link) Ended() bool {
	switch l.State {
	case "ready", "expired", "duplicate", "refused", "cancelled", "failed":
		return true
	}
	return false
}

// CreateSession makes a session for a user.
func (c *Client) CreateSession(ctx context.Context, userID, name string) (Session, error) {
	var created Session
	err := c.call(ctx, http.MethodPost, "/v1/sessions", map[string]string{"user_id": userID, "name": name}, &created)
	return created, err
}

// Session gives one session.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	var found Session
	err := c.call(ctx, http.MethodGet, sessionPath(id), nil, &found)
	return found, err
}

// Sessions gives a page of sessions and the cursor of the next one.
func (c *Client) Sessions(ctx context.Context, after string) ([]Session, string, error) {
	var list page[Session]
	err := c.call(ctx, http.MethodGet, "/v1/sessions?"+url.Values{"after": {after}}.Encode(), nil, &list)
	return list.Items, list.Next, err
}

// SessionFilter narrows a list of sessions; its zero value takes all.
type SessionFilter struct {
	UserID string
	States []string
}

// AllSessions walks every session that a filter keeps.
func (c *Client) AllSessions(ctx context.Context, filter SessionFilter) iter.Seq2[Session, error] {
	query := url.Values{}
	if filter.UserID != "" {
		query.Set("user_id", filter.UserID)
	}
	if len(filter.States) > 0 {
		query.Set("state", strings.Join(filter.States, ","))
	}
	return walk[Session](ctx, c, "/v1/sessions", query)
}

// DeleteSession unlinks and removes a session.
func (c *Client) DeleteSession(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, sessionPath(id), nil, nil)
}

// StartLink asks for a link; one in progress is given as it is.
func (c *Client) StartLink(ctx context.Context, id, method, phone string) (Link, error) {
	var link Link
	err := c.call(ctx, http.MethodPost, sessionPath(id)+"/link", map[string]string{"method": method, "phone": phone}, &link)
	return link, err
}

// Link gives the state of a session's link and what is to be scanned or typed.
func (c *Client) Link(ctx context.Context, id string) (Link, error) {
	var link Link
	err := c.call(ctx, http.MethodGet, sessionPath(id)+"/link", nil, &link)
	return link, err
}

// CancelLink ends a session's link.
func (c *Client) CancelLink(ctx context.Context, id string) (Link, error) {
	var link Link
	err := c.call(ctx, http.MethodDelete, sessionPath(id)+"/link", nil, &link)
	return link, err
}

// QRImage gives the present QR as a PNG.
func (c *Client) QRImage(ctx context.Context, id string) ([]byte, error) {
	var image []byte
	err := c.call(ctx, http.MethodGet, sessionPath(id)+"/link/qr.png", nil, &image)
	return image, err
}

func sessionPath(id string) string { return "/v1/sessions/" + url.PathEscape(id) }
