package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// FailedJobs are the jobs that the workers gave up; internal/bus.Bus is it.
type FailedJobs interface {
	// FailedJobs lists them in the order in which they were given up, from the one behind an entry on; next is zero when there is nothing more.
	FailedJobs(ctx context.Context, filter events.FailedFilter, after uint64, limit int) (jobs []events.FailedJob, next uint64, err error)
	// FailedJob gives one; fault.NotFound when there is none with this entry.
	FailedJob(ctx context.Context, entry uint64) (events.FailedJob, error)
	// Replay publishes one anew, under an identity of its own, and takes it out; fault.Conflict while a job for the same thing is active.
	Replay(ctx context.Context, entry uint64) (id string, err error)
	// Discard takes one out for good.
	Discard(ctx context.Context, entry uint64) error
}

// FailedJobView is a job that the workers gave up.
type FailedJobView struct {
	Entry      uint64          `json:"entry" doc:"Names it here."`
	Kind       string          `json:"kind" doc:"What was to be done: link_session, run_campaign, or the kind of the fact that could not be handled."`
	Subject    string          `json:"subject"`
	MessageID  string          `json:"message_id"`
	SessionID  string          `json:"session_id,omitempty"`
	CampaignID string          `json:"campaign_id,omitempty"`
	TraceID    string          `json:"trace_id,omitempty"`
	Worker     string          `json:"worker" doc:"The worker that gave it up."`
	Attempts   int             `json:"attempts"`
	QueuedAt   time.Time       `json:"queued_at"`
	FailedAt   time.Time       `json:"failed_at"`
	FirstError FailureView     `json:"first_error"`
	LastError  FailureView     `json:"last_error"`
	Replay     ReplayAdvice    `json:"replay"`
	Payload    json.RawMessage `json:"payload,omitempty" doc:"The job itself. Absent in lists, and when it is no JSON."`
}

// FailureView is one failed attempt.
type FailureView struct {
	Class   fault.Class `json:"class"`
	Code    string      `json:"code"`
	Message string      `json:"message" doc:"A sentence for a person."`
	Detail  string      `json:"detail,omitempty" doc:"The whole error, numbers masked."`
	At      time.Time   `json:"at"`
}

// ReplayAdvice says whether a replay is safe.
type ReplayAdvice struct {
	Safe bool   `json:"safe" doc:"Whether it may be replayed without force."`
	Why  string `json:"why"`
}

func viewFailedJob(job events.FailedJob) FailedJobView {
	safe, why := job.LastError.Class.Replay()
	return FailedJobView{Entry: job.Entry, Kind: job.Kind, Subject: job.Subject, MessageID: job.MessageID, SessionID: job.SessionID, CampaignID: job.CampaignID,
		TraceID: job.TraceID, Worker: job.Worker, Attempts: job.Attempts, QueuedAt: job.QueuedAt, FailedAt: job.FailedAt,
		FirstError: FailureView(job.FirstError), LastError: FailureView(job.LastError), Replay: ReplayAdvice{Safe: safe, Why: why}}
}

type listFailedJobsInput struct {
	PageInput
	Kind       string      `query:"kind" maxLength:"100" doc:"Only jobs of this kind."`
	Class      fault.Class `query:"class" maxLength:"50" doc:"Only jobs whose last error is of this class."`
	SessionID  string      `query:"session_id" maxLength:"100" doc:"Only jobs of this session."`
	CampaignID string      `query:"campaign_id" maxLength:"100" doc:"Only jobs of this campaign."`
	Since      time.Time   `query:"since" doc:"Only jobs that were given up at this time or later."`
	Before     time.Time   `query:"before" doc:"Only jobs that were given up before this time."`
	Text       string      `query:"text" maxLength:"200" doc:"Only jobs whose last error holds this text, whatever its case."`
}

type listFailedJobsOutput struct{ Body listBody[FailedJobView] }

func (a *API) listFailedJobs(ctx context.Context, input *listFailedJobsInput) (*listFailedJobsOutput, error) {
	after := uint64(0)
	page := input.page()
	if page.After != "" {
		var err error
		if after, err = strconv.ParseUint(page.After, 10, 64); err != nil {
			return nil, a.problem(ctx, "list failed jobs", fault.New(fault.Invalid, "bad_cursor", "The cursor is not one that this list gave; start from the first page"))
		}
	}
	filter := events.FailedFilter{Kind: input.Kind, Class: input.Class, SessionID: input.SessionID, CampaignID: input.CampaignID,
		Since: input.Since, Before: input.Before, Text: input.Text}
	jobs, next, err := a.options.FailedJobs.FailedJobs(ctx, filter, after, page.Limit())
	if err != nil {
		return nil, a.problem(ctx, "list failed jobs", err)
	}
	output := &listFailedJobsOutput{Body: listBody[FailedJobView]{Items: make([]FailedJobView, len(jobs))}}
	for i, job := range jobs {
		output.Body.Items[i] = viewFailedJob(job)
	}
	if next > 0 {
		output.Body.Next = strconv.FormatUint(next, 10)
	}
	return output, nil
}

// FailedJobInput names a failed job in the path. It is exported because huma reads embedded structs only then.
type FailedJobInput struct {
	Entry uint64 `path:"entry" doc:"The failed job's entry."`
}

type failedJobOutput struct{ Body FailedJobView }

func (a *API) getFailedJob(ctx context.Context, input *FailedJobInput) (*failedJobOutput, error) {
	job, err := a.options.FailedJobs.FailedJob(ctx, input.Entry)
	if err != nil {
		return nil, a.problem(ctx, "get failed job", err)
	}
	view := viewFailedJob(job)
	if json.Valid(job.Payload) {
		view.Payload = job.Payload
	}
	return &failedJobOutput{Body: view}, nil
}

type replayInput struct {
	FailedJobInput
	Body struct {
		Force bool `json:"force,omitempty" doc:"Replay it although its class says that this is not safe."`
	}
}

type replayOutput struct {
	Body struct {
		MessageID string `json:"message_id" doc:"The identity of the new job."`
	}
}

// replayFailedJob lets a failed job run again. The audit says so first: what was done to somebody's queue is never without a trace.
func (a *API) replayFailedJob(ctx context.Context, input *replayInput) (*replayOutput, error) {
	job, err := a.options.FailedJobs.FailedJob(ctx, input.Entry)
	if err == nil {
		if safe, why := job.LastError.Class.Replay(); !safe && !input.Body.Force {
			err = fault.New(fault.Conflict, "replay_unsafe", fmt.Sprintf("A replay is not safe: %s. Ask for it with force if it is to be done all the same", why))
		}
	}
	if err == nil {
		err = a.record(ctx, campaign.AuditEntry{Action: "job.replayed", Subject: job.MessageID, Detail: fmt.Sprintf("entry %d, %s", job.Entry, job.LastError.Class)})
	}
	output := &replayOutput{}
	if err == nil {
		output.Body.MessageID, err = a.options.FailedJobs.Replay(ctx, input.Entry)
	}
	if err != nil {
		return nil, a.problem(ctx, "replay failed job", err)
	}
	return output, nil
}

type discardInput struct {
	FailedJobInput
	Body struct {
		Reason string `json:"reason" minLength:"3" maxLength:"500" doc:"Why it is not needed any more, for the audit."`
	}
}

func (a *API) discardFailedJob(ctx context.Context, input *discardInput) (*struct{}, error) {
	job, err := a.options.FailedJobs.FailedJob(ctx, input.Entry)
	if err == nil {
		err = a.record(ctx, campaign.AuditEntry{Action: "job.discarded", Subject: job.MessageID, Detail: input.Body.Reason})
	}
	if err == nil {
		err = a.options.FailedJobs.Discard(ctx, input.Entry)
	}
	if err != nil {
		return nil, a.problem(ctx, "discard failed job", err)
	}
	return nil, nil //nolint:nilnil // huma's answer without a body
}

// registerFailedJobs lists the routes of failed jobs.
func (a *API) registerFailedJobs(doors huma.API) {
	huma.Register(doors, operation(http.MethodGet, "/v1/failed-jobs", "list-failed-jobs", "List the jobs that the workers gave up, oldest first", http.StatusOK), a.listFailedJobs)
	huma.Register(doors, operation(http.MethodGet, "/v1/failed-jobs/{entry}", "get-failed-job", "Get a failed job with its payload", http.StatusOK), a.getFailedJob)
	huma.Register(doors, operation(http.MethodPost, "/v1/failed-jobs/{entry}/replay", "replay-failed-job", "Let a failed job run again", http.StatusAccepted), a.replayFailedJob)
	huma.Register(doors, operation(http.MethodPost, "/v1/failed-jobs/{entry}/discard", "discard-failed-job", "Give a failed job up for good", http.StatusNoContent), a.discardFailedJob)
}
