package client

import (
	"context"
	"fmt"
	"io"
	"iter"
)

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
	return c.Operations().CreateSession(ctx, CreateSessionRequest{UserID: userID, Name: name})
}

// Session gives one session.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	return c.Operations().GetSession(ctx, id)
}

// Sessions gives a page of sessions and the cursor of the next one.
func (c *Client) Sessions(ctx context.Context, after string) ([]Session, string, error) {
	list, err := c.Operations().ListSessions(ctx, ListSessionsQuery{After: after})
	return list.Items, list.Next, err
}

// SessionFilter narrows a list of sessions; its zero value takes all.
type SessionFilter struct {
	UserID string
	States []string
}

// AllSessions walks every session that a filter keeps.
func (c *Client) AllSessions(ctx context.Context, filter SessionFilter) iter.Seq2[Session, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[Session], error) {
		return c.Operations().ListSessions(ctx, ListSessionsQuery{After: after, Size: pageSize, UserID: filter.UserID, State: filter.States})
	})
}

// DeleteSession unlinks and removes a session.
func (c *Client) DeleteSession(ctx context.Context, id string) error {
	return c.Operations().DeleteSession(ctx, id)
}

// StartLink asks for a link; one in progress is given as it is.
func (c *Client) StartLink(ctx context.Context, id, method, phone string) (Link, error) {
	return c.Operations().StartLink(ctx, id, StartLinkRequest{Method: method, Phone: phone})
}

// Link gives the state of a session's link and what is to be scanned or typed.
func (c *Client) Link(ctx context.Context, id string) (Link, error) {
	return c.Operations().GetLink(ctx, id)
}

// CancelLink ends a session's link.
func (c *Client) CancelLink(ctx context.Context, id string) (Link, error) {
	return c.Operations().CancelLink(ctx, id)
}

// QRImage gives the present QR as a PNG.
func (c *Client) QRImage(ctx context.Context, id string) ([]byte, error) {
	body, err := c.Operations().GetLinkQRPNG(ctx, id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // what was read stands
	image, err := io.ReadAll(io.LimitReader(body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("read the QR: %w", err)
	}
	return image, nil
}

// SessionLimits gives how fast a session sends.
func (c *Client) SessionLimits(ctx context.Context, id string) (SessionLimits, error) {
	return c.Operations().GetLimits(ctx, id)
}

// SetSessionLimits says how fast a session sends; the zero value is as the service has it.
func (c *Client) SetSessionLimits(ctx context.Context, id string, limits Limits) (SessionLimits, error) {
	return c.Operations().SetLimits(ctx, id, limits)
}
