// Package client is a small typed client of the Broadcaster API: what our own command line, demo and tests use, and what a Go program of
// yours can use.
//
// A Client is made with New and may be used by many goroutines. Every method sends one request and gives the answer as a struct, or a
// *Problem for an answer that is an error; errors.As reaches it. Lists are walked by Deliveries and Rejections page by page, so that a
// million rows need no memory. It never retries by itself: every write of the API is safe to send again, and the caller knows best when.
//
// The types of what is sent and answered (types.gen.go) and Operations, which has every operation of the API, are made from docs/openapi.json by
// internal/api/contract; a test keeps them true. The methods of Client are written by hand on top of them, for what is used most.
package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls one Broadcaster.
type Client struct {
	base string
	http *http.Client
	// operator is the note that the audit gets.
	operator string
	// key is the API key.
	key string
}

// WithKey gives a client that shows an API key with each request.
func (c *Client) WithKey(key string) *Client {
	keyed := *c
	keyed.key = key
	return &keyed
}

// As gives a client whose repairs of the queue are noted in the audit with the name of whom they are for; who did them is the key.
func (c *Client) As(operator string) *Client {
	named := *c
	named.operator = operator
	return &named
}

// New makes a client for the API at an address such as "http://127.0.0.1:8080". A nil HTTP client is one with a time-out of a minute.
func New(address string, httpClient *http.Client) (*Client, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return nil, fmt.Errorf("the API's address must look like http://127.0.0.1:8080, not %q", address)
	}
	if httpClient == nil {
		httpClient = &http.Client{Timeout: time.Minute}
	}
	return &Client{base: strings.TrimSuffix(address, "/"), http: httpClient}, nil
}

// Problem is an error answer of the API (RFC 9457).
type Problem struct {
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Detail  string          `json:"detail"`
	Class   string          `json:"class"`
	Code    string          `json:"code"`
	RetryAt time.Time       `json:"retry_at"`
	Errors  []ProblemDetail `json:"errors"`
}

// ProblemDetail names one wrong place of a request.
type ProblemDetail struct {
	Location string `json:"location"`
	Message  string `json:"message"`
	Value    any    `json:"value"`
}

// Error gives the sentence and each wrong place.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, detail := range p.Errors {
		text += fmt.Sprintf("\n  %s: %s", detail.Location, detail.Message)
	}
	return text
}

// IsCode tells whether an error is a Problem with this code.
func IsCode(err error, code string) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Code == code
}

// maxAnswerBytes bounds what is read of one answer; a page of 500 deliveries stays far below it.
const maxAnswerBytes = 32 << 20

func setKey(request *http.Request, key string) {
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
}

// sign says who sends a request.
func (c *Client) sign(request *http.Request) {
	if c.operator != "" {
		request.Header.Set("X-Operator", c.operator)
	}
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
}

// do sends a request and reads a JSON answer into out (nil: it is dropped).
func (c *Client) do(request *http.Request, out any) error {
	c.sign(request)
	answer, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("call the API: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("read the API's answer: %w", err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return problemOf(answer.StatusCode, content)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("decode the API's answer: %w", err)
	}
	return nil
}

// problemOf reads an answer that is an error. One that is no problem document keeps its status.
func problemOf(status int, content []byte) *Problem {
	problem := &Problem{Status: status, Title: http.StatusText(status)}
	_ = json.Unmarshal(content, problem) // the same
	return problem
}
