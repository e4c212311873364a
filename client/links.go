package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// AnswerPasskey gives WhatsApp the browser's answer to Prompt.Passkey: the JSON of its PublicKeyCredential.
func (c *Client) AnswerPasskey(ctx context.Context, id string, credential json.RawMessage) (Link, error) {
	var link Link
	err := c.send(ctx, outgoing{method: http.MethodPost, path: "/v1/sessions/" + escape(id) + "/link/passkey", body: credential}, &link)
	return link, err
}

// ConfirmPasskey says that the code of the prompt is the same on the phone.
func (c *Client) ConfirmPasskey(ctx context.Context, id string) (Link, error) {
	return c.Operations().ConfirmPasskey(ctx, id)
}

const (
	// reconnectAfter is the wait before a stream that broke is opened again.
	reconnectAfter = time.Second
	// maxEventBytes bounds one event of a stream.
	maxEventBytes = 1 << 20
)

// FollowLink calls changed with each state of a session's link until it has ended, which it gives. A stream that breaks, as when the API restarts, is
// opened again until the context ends; what changed meanwhile is seen then. An error of changed ends it.
func (c *Client) FollowLink(ctx context.Context, id string, changed func(Link) error) (Link, error) {
	for {
		last, err := c.streamLink(ctx, id, changed)
		var broken *brokenStreamError
		if err == nil && last.Ended() {
			return last, nil
		}
		if err != nil && !errors.As(err, &broken) {
			return last, err
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(reconnectAfter):
		}
	}
}

// brokenStreamError is the end of a stream that may be opened again.
type brokenStreamError struct{ cause error }

// Error implements error.
func (e *brokenStreamError) Error() string { return "the stream broke: " + e.cause.Error() }

// Unwrap gives the cause.
func (e *brokenStreamError) Unwrap() error { return e.cause }

// streamLink follows one stream to its end.
func (c *Client) streamLink(ctx context.Context, id string, changed func(Link) error) (last Link, err error) {
	body, err := c.Operations().StreamLink(ctx, id)
	var problem *Problem
	switch {
	case errors.As(err, &problem) && problem.Status < http.StatusInternalServerError:
		return last, problem
	case err != nil:
		return last, &brokenStreamError{err}
	}
	defer func() { _ = body.Close() }()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEventBytes)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		last = Link{}
		if err := json.Unmarshal([]byte(data), &last); err != nil {
			return last, fmt.Errorf("decode an event: %w", err)
		}
		if err := changed(last); err != nil {
			return last, err
		}
	}
	if err := lines.Err(); err != nil {
		return last, &brokenStreamError{err}
	}
	return last, nil
}
