package client

import "context"

// History gives what happened to a session lately, newest first.
func (c *Client) History(ctx context.Context, id string) ([]Entry, error) {
	history, err := c.Operations().GetSessionHistory(ctx, id)
	return history.Entries, err
}

// Diagnosis gives why a session was logged out; a Problem with the code nothing_to_diagnose when it was not.
func (c *Client) Diagnosis(ctx context.Context, id string) (Diagnosis, error) {
	return c.Operations().GetSessionDiagnosis(ctx, id)
}
