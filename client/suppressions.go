package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// SuppressionsPage gives a page of the numbers that are not written to, in their order.
func (c *Client) SuppressionsPage(ctx context.Context, after string, size int) (Page[Suppression], error) {
	return pageOf[Suppression](ctx, c, "/v1/suppressions", part{after, size}, url.Values{})
}

// NewSuppressions are numbers that are not to be written to. Reason is "opt_out" or "blocked", Source who asks for it.
type NewSuppressions struct {
	Phones []string `json:"phones"`
	Reason string   `json:"reason,omitempty"`
	Source string   `json:"source,omitempty"`
}

// AddSuppressions stops writing to numbers, and says which ones were none.
func (c *Client) AddSuppressions(ctx context.Context, numbers NewSuppressions) (Import, error) {
	var added Import
	err := c.call(ctx, http.MethodPost, "/v1/suppressions", numbers, &added)
	return added, err
}

// UploadSuppressions stops writing to the numbers of a spreadsheet or CSV file, for the reason and source of numbers.
func (c *Client) UploadSuppressions(ctx context.Context, numbers NewSuppressions, file File, how Reading) (Import, error) {
	var added Import
	fields := append(how.fields(), [2]string{"reason", numbers.Reason}, [2]string{"source", numbers.Source})
	err := c.upload(ctx, "/v1/suppressions/upload", fields, file, &added)
	return added, err
}

// RemoveSuppression lets a number be written to again, and writes the reason into the audit.
func (c *Client) RemoveSuppression(ctx context.Context, phone, reason string) error {
	path := "/v1/suppressions/" + url.PathEscape(phone)
	if reason != "" {
		path += "?" + url.Values{"reason": {reason}}.Encode()
	}
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

// AuditEntry is something that must be provable later.
type AuditEntry struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"`
	Actor  string    `json:"actor"`
	// ActorName is what people call the key that did it.
	ActorName string `json:"actor_name"`
	Subject   string `json:"subject"`
	UserID    string `json:"user_id"`
	Detail    string `json:"detail"`
}

// AuditPage gives a page of the audit, newest first.
func (c *Client) AuditPage(ctx context.Context, after string, size int) (Page[AuditEntry], error) {
	return pageOf[AuditEntry](ctx, c, "/v1/audit", part{after, size}, url.Values{})
}
