package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// FailedJob is a job that the workers gave up.
type FailedJob struct {
	Entry      uint64          `json:"entry"`
	Kind       string          `json:"kind"`
	Subject    string          `json:"subject"`
	MessageID  string          `json:"message_id"`
	SessionID  string          `json:"session_id"`
	CampaignID string          `json:"campaign_id"`
	Worker     string          `json:"worker"`
	Attempts   int             `json:"attempts"`
	FailedAt   time.Time       `json:"failed_at"`
	FirstError Failure         `json:"first_error"`
	LastError  Failure         `json:"last_error"`
	Replay     Replay          `json:"replay"`
	Payload    json.RawMessage `json:"payload"`
}

// Failure is one failed attempt.
type Failure struct {
	Class   string    `json:"class"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Detail  string    `json:"detail"`
	At      time.Time `json:"at"`
}

// Replay says whether a replay is safe, and why.
type Replay struct {
	Safe bool   `json:"safe"`
	Why  string `json:"why"`
}

// FailedFilter narrows failed jobs; its zero value takes all.
type FailedFilter struct {
	Kind, Class, SessionID, CampaignID, Text string
	Since, Before                            time.Time
}

func (f FailedFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"kind": f.Kind, "class": f.Class, "session_id": f.SessionID, "campaign_id": f.CampaignID, "text": f.Text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"since": f.Since, "before": f.Before} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339))
		}
	}
	return query
}

// FailedJobs walks the jobs that the workers gave up, oldest first, as Deliveries does.
func (c *Client) FailedJobs(ctx context.Context, filter FailedFilter) iter.Seq2[FailedJob, error] {
	return walk[FailedJob](ctx, c, "/v1/failed-jobs", filter.query())
}

// FailedJob gives one with its payload.
func (c *Client) FailedJob(ctx context.Context, entry uint64) (FailedJob, error) {
	var found FailedJob
	err := c.call(ctx, http.MethodGet, failedJobPath(entry), nil, &found)
	return found, err
}

// ReplayJob lets a failed job run again and gives the identity of the new one. force does it although the job's class says that it is not safe.
func (c *Client) ReplayJob(ctx context.Context, entry uint64, force bool) (messageID string, err error) {
	var queued struct {
		MessageID string `json:"message_id"`
	}
	err = c.call(ctx, http.MethodPost, failedJobPath(entry)+"/replay", map[string]bool{"force": force}, &queued)
	return queued.MessageID, err
}

// DiscardJob gives a failed job up for good.
func (c *Client) DiscardJob(ctx context.Context, entry uint64, reason string) error {
	return c.call(ctx, http.MethodPost, failedJobPath(entry)+"/discard", map[string]string{"reason": reason}, nil)
}

func failedJobPath(entry uint64) string { return "/v1/failed-jobs/" + strconv.FormatUint(entry, 10) }
