package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

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

// FailedJobs walks the jobs that the workers gave up, oldest first, as Deliveries does.
func (c *Client) FailedJobs(ctx context.Context, filter FailedFilter) iter.Seq2[FailedJob, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[FailedJob], error) {
		return c.Operations().ListFailedJobs(ctx, ListFailedJobsQuery{After: after, Size: pageSize, Kind: filter.Kind, Class: filter.Class, SessionID: filter.SessionID,
			CampaignID: filter.CampaignID, Text: filter.Text, Since: filter.Since, Before: filter.Before})
	})
}

// FailedJob gives one with its payload.
func (c *Client) FailedJob(ctx context.Context, entry uint64) (FailedJob, error) {
	return c.Operations().GetFailedJob(ctx, entry)
}

// FailedStats counts failed jobs by kind and class, the largest group first.
func (c *Client) FailedStats(ctx context.Context, filter FailedFilter) ([]FailedGroup, error) {
	stats, err := c.Operations().CountFailedJobs(ctx, filter.query())
	return stats.Groups, err
}

func (f FailedFilter) query() CountFailedJobsQuery {
	return CountFailedJobsQuery{Kind: f.Kind, Class: f.Class, SessionID: f.SessionID, CampaignID: f.CampaignID, Text: f.Text, Since: f.Since, Before: f.Before}
}

// EditJob puts a payload in the place of a failed job's own, for its replay.
func (c *Client) EditJob(ctx context.Context, entry uint64, payload json.RawMessage) (FailedJob, error) {
	return c.Operations().EditFailedJob(ctx, entry, EditFailedJobRequest{Payload: payload})
}

// ReplayJob lets a failed job run again and gives the identity of the new one. force does it although the job's class says that it is not safe.
func (c *Client) ReplayJob(ctx context.Context, entry uint64, force bool) (messageID string, err error) {
	queued, err := c.Operations().ReplayFailedJob(ctx, entry, ReplayRequest{Force: force})
	return queued.MessageID, err
}

// DiscardJob gives a failed job up for good.
func (c *Client) DiscardJob(ctx context.Context, entry uint64, reason string) error {
	return c.Operations().DiscardFailedJob(ctx, entry, DiscardRequest{Reason: reason})
}

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

// ReplayJobs replays a batch of the failed jobs that match; the next one begins at Next of the answer. A call that was interrupted may be made again.
func (c *Client) ReplayJobs(ctx context.Context, bulk Bulk) (BulkResult, error) {
	return c.Operations().ReplayFailedJobs(ctx, ReplayManyRequest{Kind: bulk.Kind, Class: bulk.Class, SessionID: bulk.SessionID, CampaignID: bulk.CampaignID, Text: bulk.Text,
		Since: bulk.Since, Before: bulk.Before, After: bulk.After, Until: bulk.Until, Limit: bulk.Limit, PerSecond: bulk.PerSecond, DryRun: bulk.DryRun, Force: bulk.Force})
}

// DiscardJobs discards a batch, as ReplayJobs replays one.
func (c *Client) DiscardJobs(ctx context.Context, bulk Bulk) (BulkResult, error) {
	return c.Operations().DiscardFailedJobs(ctx, DiscardManyRequest{Kind: bulk.Kind, Class: bulk.Class, SessionID: bulk.SessionID, CampaignID: bulk.CampaignID, Text: bulk.Text,
		Since: bulk.Since, Before: bulk.Before, After: bulk.After, Until: bulk.Until, Limit: bulk.Limit, PerSecond: bulk.PerSecond, DryRun: bulk.DryRun, Reason: bulk.Reason})
}

// Jobs walks the jobs in the queue that are in one of the states (none: all), oldest first.
func (c *Client) Jobs(ctx context.Context, states ...string) iter.Seq2[Job, error] {
	return walk(ctx, func(ctx context.Context, after string) (Page[Job], error) {
		return c.Operations().ListJobs(ctx, ListJobsQuery{After: after, Size: pageSize, State: states})
	})
}

// Job gives one with its payload.
func (c *Client) Job(ctx context.Context, sequence uint64) (Job, error) {
	return c.Operations().GetJob(ctx, sequence)
}

// CancelJob cancels a job that no worker has: its link is cancelled, its campaign paused.
func (c *Client) CancelJob(ctx context.Context, sequence uint64) (Job, error) {
	return c.Operations().CancelJob(ctx, sequence)
}

// Queues shows what there is to do.
func (c *Client) Queues(ctx context.Context) ([]Consumer, error) {
	list, err := c.Operations().ListQueues(ctx)
	return list.Items, err
}
