package client

import (
	"context"
	"net/http"
)

// SessionLimits are how fast a session sends.
type SessionLimits struct {
	// Own is what was said of the session, nil when nothing was; Effective is what that comes to with the service's own limits and the session's age.
	Own       *Limits `json:"own"`
	Effective Limits  `json:"effective"`
}

// SessionLimits gives how fast a session sends.
func (c *Client) SessionLimits(ctx context.Context, id string) (SessionLimits, error) {
	var found SessionLimits
	err := c.call(ctx, http.MethodGet, sessionPath(id)+"/limits", nil, &found)
	return found, err
}

// SetSessionLimits says how fast a session sends; the zero value is as the service has it.
func (c *Client) SetSessionLimits(ctx context.Context, id string, limits Limits) (SessionLimits, error) {
	var found SessionLimits
	err := c.call(ctx, http.MethodPut, sessionPath(id)+"/limits", limits, &found)
	return found, err
}
