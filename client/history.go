package client

import (
	"context"
	"net/http"
	"time"
)

// Entry is one thing that happened to a session.
type Entry struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	Detail string    `json:"detail"`
	// Sent counts the messages of the hour before, SentNew those to new contacts; Beside counts other sessions on the same egress.
	Sent    int    `json:"sent"`
	SentNew int    `json:"sent_new"`
	Beside  int    `json:"beside"`
	Egress  string `json:"egress"`
}

// Text is a text in both languages.
type Text struct {
	En string `json:"en"`
	Es string `json:"es"`
}

// Diagnosis says why a session was logged out.
type Diagnosis struct {
	At       time.Time `json:"at"`
	Reason   string    `json:"reason"`
	Happened Text      `json:"happened"`
	Cause    string    `json:"cause"`
	Guess    bool      `json:"guess"`
	Why      Text      `json:"why"`
	Next     Text      `json:"next"`
	Until    time.Time `json:"until"`
	Evidence []Entry   `json:"evidence"`
}

// History gives what happened to a session lately, newest first.
func (c *Client) History(ctx context.Context, id string) ([]Entry, error) {
	var history struct {
		Entries []Entry `json:"entries"`
	}
	err := c.call(ctx, http.MethodGet, sessionPath(id)+"/history", nil, &history)
	return history.Entries, err
}

// Diagnosis gives why a session was logged out; a Problem with the code nothing_to_diagnose when it was not.
func (c *Client) Diagnosis(ctx context.Context, id string) (Diagnosis, error) {
	var diagnosis Diagnosis
	err := c.call(ctx, http.MethodGet, sessionPath(id)+"/diagnosis", nil, &diagnosis)
	return diagnosis, err
}
