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
	Entry         uint64            `json:"entry"`
	Kind          string            `json:"kind"`
	Subject       string            `json:"subject"`
	Stream        string            `json:"stream"`
	Sequence      uint64            `json:"sequence"`
	Consumer      string            `json:"consumer"`
	MessageID     string            `json:"message_id"`
	SessionID     string            `json:"session_id,omitempty"`
	CampaignID    string            `json:"campaign_id,omitempty"`
	TraceID       string            `json:"trace_id,omitempty"`
	Worker        string            `json:"worker"`
	Attempts      int               `json:"attempts"`
	QueuedAt      time.Time         `json:"queued_at"`
	FailedAt      time.Time         `json:"failed_at"`
	FirstError    Failure           `json:"first_error"`
	LastError     Failure           `json:"last_error"`
	Replay        Replay            `json:"replay"`
	SchemaVersion int               `json:"schema_version"`
	Headers       map[string]string `json:"headers,omitempty"`
	// Payload is the job itself; PayloadBase64 has it when it is no JSON. Neither is in a list.
	Payload       json.RawMessage `json:"payload,omitempty"`
	PayloadBase64 []byte          `json:"payload_base64,omitempty"`
	Edit          *Edit           `json:"edit,omitempty"`
}

// Failure is one failed attempt.
type Failure struct {
	Class   string    `json:"class"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Detail  string    `json:"detail,omitempty"`
	At      time.Time `json:"at"`
}

// Replay says whether a replay is safe, and why.
type Replay struct {
	Safe bool   `json:"safe"`
	Why  string `json:"why"`
}

// Edit is a payload that an operator put in the place of a failed job's own.
type Edit struct {
	Payload json.RawMessage `json:"payload"`
	By      string          `json:"by"`
	At      time.Time       `json:"at"`
}

// FailedFilter narrows failed jobs; its zero value takes all.
type FailedFilter struct {
	Kind       string    `json:"kind,omitempty"`
	Class      string    `json:"class,omitempty"`
	SessionID  string    `json:"session_id,omitempty"`
	CampaignID string    `json:"campaign_id,omitempty"`
	Text       string    `json:"text,omitempty"`
	Since      time.Time `json:"since,omitzero"`
	Before     time.Time `json:"before,omitzero"`
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

// FailedGroup counts the failed jobs of one kind and class.
type FailedGroup struct {
	Kind   string    `json:"kind"`
	Class  string    `json:"class"`
	Count  int       `json:"count"`
	Oldest time.Time `json:"oldest"`
	Newest time.Time `json:"newest"`
	Replay Replay    `json:"replay"`
}

// FailedStats counts failed jobs by kind and class, the largest group first.
func (c *Client) FailedStats(ctx context.Context, filter FailedFilter) ([]FailedGroup, error) {
	var stats struct{ Groups []FailedGroup }
	err := c.call(ctx, http.MethodGet, "/v1/failed-jobs/stats?"+filter.query().Encode(), nil, &stats)
	return stats.Groups, err
}

// EditJob puts a payload in the place of a failed job's own, for its replay.
func (c *Client) EditJob(ctx context.Context, entry uint64, payload json.RawMessage) (FailedJob, error) {
	var edited FailedJob
	err := c.call(ctx, http.MethodPut, failedJobPath(entry)+"/payload", map[string]json.RawMessage{"payload": payload}, &edited)
	return edited, err
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

// Bulk names many failed jobs, and how far one call goes.
type Bulk struct {
	FailedFilter
	// After is where the call begins: Next of the one before. Until is the last entry that is meant: that of the first call's answer.
	After uint64 `json:"after,omitempty"`
	Until uint64 `json:"until,omitempty"`
	// Limit is the most jobs of the call, PerSecond their pace; zero: the API's own.
	Limit     int     `json:"limit,omitempty"`
	PerSecond float64 `json:"per_second,omitempty"`
	DryRun    bool    `json:"dry_run,omitempty"`
	// Force replays those, too, whose class says that this is not safe; Reason says why they are discarded.
	Force  bool   `json:"force,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// BulkResult is what became of a batch.
type BulkResult struct {
	Until   uint64    `json:"until"`
	Matched int       `json:"matched"`
	Unsafe  int       `json:"unsafe"`
	Done    int       `json:"done"`
	Refused []Refused `json:"refused"`
	Next    uint64    `json:"next"`
}

// Refused is a failed job that stayed, and why.
type Refused struct {
	Entry   uint64 `json:"entry"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ReplayJobs replays a batch of the failed jobs that match; the next one begins at Next of the answer. A call that was interrupted may be made again.
func (c *Client) ReplayJobs(ctx context.Context, bulk Bulk) (BulkResult, error) {
	var result BulkResult
	err := c.call(ctx, http.MethodPost, "/v1/failed-jobs/replay", bulk, &result)
	return result, err
}

// DiscardJobs discards a batch, as ReplayJobs replays one.
func (c *Client) DiscardJobs(ctx context.Context, bulk Bulk) (BulkResult, error) {
	var result BulkResult
	err := c.call(ctx, http.MethodPost, "/v1/failed-jobs/discard", bulk, &result)
	return result, err
}

// Job is a job in the queue.
type Job struct {
	Sequence      uint64          `json:"sequence"`
	State         string          `json:"state"`
	Kind          string          `json:"kind"`
	Subject       string          `json:"subject"`
	MessageID     string          `json:"message_id"`
	SessionID     string          `json:"session_id,omitempty"`
	CampaignID    string          `json:"campaign_id,omitempty"`
	TraceID       string          `json:"trace_id,omitempty"`
	QueuedAt      time.Time       `json:"queued_at"`
	DueAt         time.Time       `json:"due_at,omitzero"`
	Attempt       int             `json:"attempt"`
	MaxAttempts   int             `json:"max_attempts"`
	Worker        string          `json:"worker,omitempty"`
	Since         time.Time       `json:"since,omitzero"`
	Heartbeat     time.Time       `json:"heartbeat,omitzero"`
	NextAttemptAt time.Time       `json:"next_attempt_at,omitzero"`
	LastError     *Failure        `json:"last_error,omitempty"`
	Payload       json.RawMessage `json:"payload,omitempty"`
}

// Jobs walks the jobs in the queue that are in one of the states (none: all), oldest first.
func (c *Client) Jobs(ctx context.Context, states ...string) iter.Seq2[Job, error] {
	query := url.Values{}
	for _, state := range states {
		query.Add("state", state)
	}
	return walk[Job](ctx, c, "/v1/jobs", query)
}

// Job gives one with its payload.
func (c *Client) Job(ctx context.Context, sequence uint64) (Job, error) {
	var found Job
	err := c.call(ctx, http.MethodGet, jobPath(sequence), nil, &found)
	return found, err
}

// CancelJob cancels a job that no worker has: its link is cancelled, its campaign paused.
func (c *Client) CancelJob(ctx context.Context, sequence uint64) (Job, error) {
	var found Job
	err := c.call(ctx, http.MethodPost, jobPath(sequence)+"/cancel", nil, &found)
	return found, err
}

func jobPath(sequence uint64) string { return "/v1/jobs/" + strconv.FormatUint(sequence, 10) }

// Consumer is what one consumer of the queue has to do, and how it tries again what fails.
type Consumer struct {
	Consumer    string    `json:"consumer"`
	Stream      string    `json:"stream"`
	Description string    `json:"description"`
	Pending     int       `json:"pending"`
	InHand      int       `json:"in_hand"`
	MaxInHand   int       `json:"max_in_hand"`
	Redelivered int       `json:"redelivered"`
	Oldest      time.Time `json:"oldest,omitzero"`
	Retries     *Retries  `json:"retries,omitempty"`
}

// Retries is how a kind of job is tried again.
type Retries struct {
	Kind     string `json:"kind"`
	Attempts int    `json:"attempts"`
	MinDelay string `json:"min_delay"`
	MaxDelay string `json:"max_delay"`
}

// Queues shows what there is to do.
func (c *Client) Queues(ctx context.Context) ([]Consumer, error) {
	var list page[Consumer]
	err := c.call(ctx, http.MethodGet, "/v1/queues", nil, &list)
	return list.Items, err
}
