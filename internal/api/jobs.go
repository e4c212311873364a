package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// Jobs are the commands in the queue, as the queue itself tells; internal/bus.Bus is it.
type Jobs interface {
	// LiveJobs gives those in one of the states (none: all), from the one behind a sequence on; next is zero when there is nothing more.
	LiveJobs(ctx context.Context, states []events.JobState, after uint64, limit int) (jobs []events.LiveJob, next uint64, err error)
	// LiveJob gives one; fault.NotFound when it has ended.
	LiveJob(ctx context.Context, sequence uint64) (events.LiveJob, error)
	// RemoveJob takes one out that no worker has; fault.Conflict when one has it.
	RemoveJob(ctx context.Context, sequence uint64) error
	// Queues tells how much each consumer has to do.
	Queues(ctx context.Context) ([]events.Queue, error)
}

// JobView is a job in the queue.
type JobView struct {
	Sequence      uint64          `json:"sequence" doc:"Names it here."`
	State         events.JobState `json:"state" enum:"scheduled,pending,running,retrying,unattended" doc:"retrying: it failed and waits for its next attempt; unattended: its worker is gone, and another gets it soon."`
	Kind          string          `json:"kind"`
	Subject       string          `json:"subject"`
	MessageID     string          `json:"message_id"`
	SessionID     string          `json:"session_id,omitempty"`
	CampaignID    string          `json:"campaign_id,omitempty"`
	TraceID       string          `json:"trace_id,omitempty"`
	QueuedAt      time.Time       `json:"queued_at"`
	DueAt         *time.Time      `json:"due_at,omitempty" doc:"When a scheduled job comes."`
	Attempt       int             `json:"attempt" doc:"From 1; 0 when no worker had it."`
	MaxAttempts   int             `json:"max_attempts"`
	Worker        string          `json:"worker,omitempty"`
	Since         *time.Time      `json:"since,omitempty" doc:"Since when the worker has it."`
	Heartbeat     *time.Time      `json:"heartbeat,omitempty" doc:"The worker's last sign of life."`
	NextAttemptAt *time.Time      `json:"next_attempt_at,omitempty"`
	LastError     *FailureView    `json:"last_error,omitempty"`
	Payload       json.RawMessage `json:"payload,omitempty" doc:"The job itself. Absent in lists, and when it is no JSON."`
}

func viewJob(job events.LiveJob) JobView {
	view := JobView{Sequence: job.Sequence, State: job.State, Kind: job.Kind, Subject: job.Subject, MessageID: job.MessageID, SessionID: job.SessionID,
		CampaignID: job.CampaignID, TraceID: job.TraceID, QueuedAt: job.QueuedAt, DueAt: optionalTime(job.DueAt), Attempt: job.Attempt, MaxAttempts: job.MaxAttempts,
		Worker: job.Worker, Since: optionalTime(job.Since), Heartbeat: optionalTime(job.Heartbeat), NextAttemptAt: optionalTime(job.NextAttemptAt)}
	if job.LastError != nil {
		view.LastError = (*FailureView)(job.LastError)
	}
	return view
}

type listJobsInput struct {
	PageInput
	State []events.JobState `query:"state" enum:"scheduled,pending,running,retrying,unattended" doc:"Only jobs in one of these states."`
}

type listJobsOutput struct{ Body listBody[JobView] }

func (a *API) listJobs(ctx context.Context, input *listJobsInput) (*listJobsOutput, error) {
	after, err := numberCursor(input.After)
	if err != nil {
		return nil, a.problem(ctx, "list jobs", err)
	}
	jobs, next, err := a.options.Jobs.LiveJobs(ctx, input.State, after, input.page().Limit())
	if err != nil {
		return nil, a.problem(ctx, "list jobs", err)
	}
	return &listJobsOutput{Body: numberedList(jobs, next, viewJob)}, nil
}

// JobInput names a job in the path. It is exported because huma reads embedded structs only then.
type JobInput struct {
	Sequence uint64 `path:"sequence" doc:"The job's number in the queue."`
}

type jobOutput struct{ Body JobView }

func (a *API) getJob(ctx context.Context, input *JobInput) (*jobOutput, error) {
	job, err := a.options.Jobs.LiveJob(ctx, input.Sequence)
	if err != nil {
		return nil, a.problem(ctx, "get job", err)
	}
	view := viewJob(job)
	if json.Valid(job.Payload) {
		view.Payload = job.Payload
	}
	return &jobOutput{Body: view}, nil
}

type cancelJobInput struct {
	JobInput
	OperatorInput
}

// cancelJob ends what a job is for, then takes the job out of the queue: a link is cancelled, a campaign is paused, so that it can go on when somebody wants it to.
// In this order a worker that takes the job at this moment finds nothing to do, and nobody asks for the job again.
func (a *API) cancelJob(ctx context.Context, input *cancelJobInput) (*jobOutput, error) {
	job, err := a.options.Jobs.LiveJob(ctx, input.Sequence)
	if err == nil && job.State != events.JobPending && job.State != events.JobScheduled {
		err = fault.New(fault.Conflict, "job_in_hand", fmt.Sprintf("The job is %s; cancel its link, pause its campaign, or disable its webhook", job.State))
	}
	if err != nil {
		return nil, a.problem(ctx, "cancel job", err)
	}
	err = a.record(ctx, campaign.AuditEntry{Action: "job.cancelled", Subject: job.MessageID, Detail: fmt.Sprintf("job %d, %s%s", job.Sequence, job.State, input.note())})
	if err == nil {
		err = a.endPurpose(ctx, job)
	}
	if err == nil {
		err = a.options.Jobs.RemoveJob(ctx, input.Sequence)
	}
	if err != nil && fault.Of(err) != fault.NotFound { // Not there any more: a worker took it at this moment, and it has ended.
		return nil, a.problem(ctx, "cancel job", err)
	}
	return &jobOutput{Body: viewJob(job)}, nil
}

// endPurpose ends what a job was for. What is not there, or has ended, needs no end.
func (a *API) endPurpose(ctx context.Context, job events.LiveJob) error {
	var err error
	switch job.Kind {
	case events.LinkSession{}.Kind():
		var command events.LinkSession
		if json.Unmarshal(job.Payload, &command) == nil {
			_, err = a.endLink(ctx, command.SessionID, command.LinkID)
		}
	case events.RunCampaign{}.Kind():
		err = a.applyToCampaign(ctx, campaign.ID(job.CampaignID), campaign.Pause)
	}
	if class := fault.Of(err); class == fault.NotFound || class == fault.Conflict {
		return nil
	}
	return err
}

// ConsumerView is what one consumer has to do.
type ConsumerView struct {
	Consumer    string     `json:"consumer"`
	Stream      string     `json:"stream"`
	Description string     `json:"description"`
	Pending     int        `json:"pending" doc:"Jobs that no worker had yet."`
	InHand      int        `json:"in_hand" doc:"Jobs that were given out and are not settled, those that wait for their next attempt too."`
	MaxInHand   int        `json:"max_in_hand" doc:"The limit of that, over all workers."`
	Redelivered int        `json:"redelivered" doc:"How many of those in hand were given out more than once."`
	Oldest      *time.Time `json:"oldest,omitempty" doc:"When the oldest one that has not ended was queued."`
	Retries     *RetryView `json:"retries,omitempty"`
}

// RetryView is how a kind of job is tried again.
type RetryView struct {
	Kind     string `json:"kind"`
	Attempts int    `json:"attempts" doc:"How often it is tried before it fails."`
	MinDelay string `json:"min_delay" doc:"The wait before the next attempt is random, below a ceiling that doubles from this"`
	MaxDelay string `json:"max_delay" doc:"to this."`
}

func viewConsumer(queue events.Queue) ConsumerView {
	view := ConsumerView{Consumer: queue.Consumer, Stream: queue.Stream, Description: queue.Description, Pending: queue.Pending, InHand: queue.InHand,
		MaxInHand: queue.MaxInHand, Redelivered: queue.Redelivered, Oldest: optionalTime(queue.Oldest)}
	if retries := queue.Retries; retries.Kind != "" {
		view.Retries = &RetryView{Kind: retries.Kind, Attempts: retries.Attempts, MinDelay: retries.MinDelay.String(), MaxDelay: retries.MaxDelay.String()}
	}
	return view
}

type queuesOutput struct{ Body listBody[ConsumerView] }

func (a *API) listQueues(ctx context.Context, _ *struct{}) (*queuesOutput, error) {
	queues, err := a.options.Jobs.Queues(ctx)
	if err != nil {
		return nil, a.problem(ctx, "list queues", err)
	}
	return &queuesOutput{Body: numberedList(queues, 0, viewConsumer)}, nil
}

// registerJobs lists the routes of jobs in the queue.
func (a *API) registerJobs(doors huma.API) {
	huma.Register(doors, operation(http.MethodGet, "/v1/jobs", "list-jobs", "List the jobs in the queue, oldest first", http.StatusOK), a.listJobs)
	huma.Register(doors, operation(http.MethodGet, "/v1/jobs/{sequence}", "get-job", "Get a job in the queue with its payload", http.StatusOK), a.getJob)
	huma.Register(doors, operation(http.MethodPost, "/v1/jobs/{sequence}/cancel", "cancel-job", "Cancel a job that no worker has: its link is cancelled, its campaign paused", http.StatusOK), a.cancelJob)
	huma.Register(doors, operation(http.MethodGet, "/v1/queues", "list-queues", "Show how much there is to do, and how jobs are tried again", http.StatusOK), a.listQueues)
}
