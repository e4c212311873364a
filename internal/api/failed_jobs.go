package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// FailedJobs are the jobs that the workers gave up; internal/bus.FailedQueue is it.
type FailedJobs interface {
	FailedJobReader
	FailedJobRepairer
}

// FailedJobReader finds failed jobs.
type FailedJobReader interface {
	// List gives them in the order in which they were given up, from the one behind an entry on, without payloads; next is zero when there is nothing more.
	List(ctx context.Context, filter events.FailedFilter, after uint64, limit int) (jobs []events.FailedJob, next uint64, err error)
	// Stats counts them by kind and class.
	Stats(ctx context.Context, filter events.FailedFilter) ([]events.FailedGroup, error)
	// Get gives one with its payload; fault.NotFound when there is none with this entry.
	Get(ctx context.Context, entry uint64) (events.FailedJob, error)
}

// FailedJobRepairer changes what becomes of failed jobs.
type FailedJobRepairer interface {
	// Edit puts a payload in the place of a job's own, for its replay; fault.Invalid when it does not hold.
	Edit(ctx context.Context, entry uint64, payload []byte, by string) (events.FailedJob, error)
	// Replay publishes one anew, once, under an identity of its own, and takes it out; fault.Conflict while a job for the same thing is active, and without
	// force when it is not safe.
	Replay(ctx context.Context, entry uint64, force bool) (id string, err error)
	// Discard takes one out for good.
	Discard(ctx context.Context, entry uint64) error
}

// FailedJobView is a job that the workers gave up.
type FailedJobView struct {
	Entry      uint64            `json:"entry" doc:"Names it here."`
	Kind       string            `json:"kind" doc:"What was to be done: link_session, run_campaign, deliver_webhook, or the kind of the fact that could not be handled."`
	Subject    string            `json:"subject"`
	Stream     string            `json:"stream" doc:"Where it came from, and under which number."`
	Sequence   uint64            `json:"sequence"`
	Consumer   string            `json:"consumer" doc:"Whose job it was."`
	MessageID  string            `json:"message_id"`
	SessionID  string            `json:"session_id,omitempty"`
	CampaignID string            `json:"campaign_id,omitempty"`
	TraceID    string            `json:"trace_id,omitempty"`
	Worker     string            `json:"worker" doc:"The worker that gave it up."`
	Attempts   int               `json:"attempts"`
	QueuedAt   time.Time         `json:"queued_at"`
	FailedAt   time.Time         `json:"failed_at"`
	FirstError FailureView       `json:"first_error"`
	LastError  FailureView       `json:"last_error"`
	Replay     ReplayAdvice      `json:"replay"`
	Schema     int               `json:"schema_version" doc:"The version that the job says it has."`
	Headers    map[string]string `json:"headers,omitempty" doc:"Absent in lists, as are the payload and the edit."`
	Payload    json.RawMessage   `json:"payload,omitempty" doc:"The job itself."`
	Bytes      []byte            `json:"payload_base64,omitempty" doc:"The job itself, when it is no JSON."`
	Edit       *EditView         `json:"edit,omitempty" doc:"What an operator put in the payload's place."`
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

// EditView is a payload that an operator wrote.
type EditView struct {
	Payload json.RawMessage `json:"payload"`
	By      string          `json:"by" doc:"The name that the operator gave."`
	At      time.Time       `json:"at"`
}

func viewFailedJob(job events.FailedJob) FailedJobView {
	safe, why := job.ReplayAdvice()
	view := FailedJobView{Entry: job.Entry, Kind: job.Kind, Subject: job.Subject, Stream: job.Stream, Sequence: job.Sequence, Consumer: job.Consumer,
		MessageID: job.MessageID, SessionID: job.SessionID, CampaignID: job.CampaignID, TraceID: job.TraceID, Worker: job.Worker, Attempts: job.Attempts,
		QueuedAt: job.QueuedAt, FailedAt: job.FailedAt, FirstError: FailureView(job.FirstError), LastError: FailureView(job.LastError),
		Replay: ReplayAdvice{Safe: safe, Why: why}, Schema: job.SchemaVersion, Headers: job.Headers}
	if json.Valid(job.Payload) {
		view.Payload = job.Payload
	} else {
		view.Bytes = job.Payload
	}
	if job.Edit != nil {
		view.Edit = &EditView{Payload: job.Edit.Payload, By: job.Edit.By, At: job.Edit.At}
	}
	return view
}

// FailedFilterInput narrows failed jobs. It is exported because huma reads embedded structs only then.
type FailedFilterInput struct {
	Kind       string      `query:"kind" maxLength:"100" doc:"Only jobs of this kind."`
	Class      fault.Class `query:"class" maxLength:"50" doc:"Only jobs whose last error is of this class."`
	SessionID  string      `query:"session_id" maxLength:"100" doc:"Only jobs of this session."`
	CampaignID string      `query:"campaign_id" maxLength:"100" doc:"Only jobs of this campaign."`
	Since      time.Time   `query:"since" doc:"Only jobs that were given up at this time or later."`
	Before     time.Time   `query:"before" doc:"Only jobs that were given up before this time."`
	Text       string      `query:"text" maxLength:"200" doc:"Only jobs whose last error holds this text, whatever its case."`
}

func (f FailedFilterInput) filter() events.FailedFilter {
	return events.FailedFilter{Kind: f.Kind, Class: f.Class, SessionID: f.SessionID, CampaignID: f.CampaignID, Since: f.Since, Before: f.Before, Text: f.Text}
}

type listFailedJobsInput struct {
	PageInput
	FailedFilterInput
}

type listFailedJobsOutput struct{ Body listBody[FailedJobView] }

func (a *API) listFailedJobs(ctx context.Context, input *listFailedJobsInput) (*listFailedJobsOutput, error) {
	after, err := numberCursor(input.After)
	if err != nil {
		return nil, a.problem(ctx, "list failed jobs", err)
	}
	jobs, next, err := a.options.FailedJobs.List(ctx, input.filter(), after, input.page().Limit())
	if err != nil {
		return nil, a.problem(ctx, "list failed jobs", err)
	}
	return &listFailedJobsOutput{Body: numberedList(jobs, next, viewFailedJob)}, nil
}

// numberCursor reads a cursor that is a number; an empty one is the beginning.
func numberCursor(cursor string) (uint64, error) {
	if cursor == "" {
		return 0, nil
	}
	after, err := strconv.ParseUint(cursor, 10, 64)
	if err != nil {
		return 0, fault.New(fault.Invalid, "bad_cursor", "The cursor is not one that this list gave; start from the first page")
	}
	return after, nil
}

// numberedList is a page whose cursor is a number, zero at the end.
func numberedList[T, V any](items []T, next uint64, view func(T) V) listBody[V] {
	body := listBody[V]{Items: make([]V, len(items))}
	for i, item := range items {
		body.Items[i] = view(item)
	}
	if next > 0 {
		body.Next = strconv.FormatUint(next, 10)
	}
	return body
}

// FailedGroupView counts the failed jobs of one kind and class.
type FailedGroupView struct {
	Kind   string       `json:"kind"`
	Class  fault.Class  `json:"class"`
	Count  int          `json:"count"`
	Oldest time.Time    `json:"oldest" doc:"When the first of them was given up."`
	Newest time.Time    `json:"newest"`
	Replay ReplayAdvice `json:"replay"`
}

type failedStatsOutput struct {
	Body struct {
		Total  int               `json:"total"`
		Groups []FailedGroupView `json:"groups" doc:"The largest first."`
	}
}

func (a *API) countFailedJobs(ctx context.Context, input *FailedFilterInput) (*failedStatsOutput, error) {
	groups, err := a.options.FailedJobs.Stats(ctx, input.filter())
	if err != nil {
		return nil, a.problem(ctx, "count failed jobs", err)
	}
	output := &failedStatsOutput{}
	output.Body.Groups = make([]FailedGroupView, len(groups))
	for i, group := range groups {
		safe, why := group.Class.Replay()
		output.Body.Total += group.Count
		output.Body.Groups[i] = FailedGroupView{Kind: group.Kind, Class: group.Class, Count: group.Count, Oldest: group.Oldest, Newest: group.Newest,
			Replay: ReplayAdvice{Safe: safe, Why: why}}
	}
	return output, nil
}

// FailedJobInput names a failed job in the path. It is exported because huma reads embedded structs only then.
type FailedJobInput struct {
	Entry uint64 `path:"entry" doc:"The failed job's entry."`
}

type failedJobOutput struct{ Body FailedJobView }

func (a *API) getFailedJob(ctx context.Context, input *FailedJobInput) (*failedJobOutput, error) {
	job, err := a.options.FailedJobs.Get(ctx, input.Entry)
	if err != nil {
		return nil, a.problem(ctx, "get failed job", err)
	}
	return &failedJobOutput{Body: viewFailedJob(job)}, nil
}

// registerFailedJobs lists the routes of failed jobs.
func (a *API) registerFailedJobs(doors huma.API) {
	huma.Register(doors, operation(http.MethodGet, "/v1/failed-jobs", "list-failed-jobs", "List the jobs that the workers gave up, oldest first", http.StatusOK), a.listFailedJobs)
	huma.Register(doors, operation(http.MethodGet, "/v1/failed-jobs/stats", "count-failed-jobs", "Count failed jobs by kind and class", http.StatusOK), a.countFailedJobs)
	huma.Register(doors, operation(http.MethodPost, "/v1/failed-jobs/replay", "replay-failed-jobs", "Let all that match run again, a batch at a time", http.StatusOK), a.replayFailedJobs)
	huma.Register(doors, operation(http.MethodPost, "/v1/failed-jobs/discard", "discard-failed-jobs", "Give all that match up for good, a batch at a time", http.StatusOK), a.discardFailedJobs)
	huma.Register(doors, operation(http.MethodGet, "/v1/failed-jobs/{entry}", "get-failed-job", "Get a failed job with its payload", http.StatusOK), a.getFailedJob)
	huma.Register(doors, operation(http.MethodPut, "/v1/failed-jobs/{entry}/payload", "edit-failed-job", "Put a payload in the place of a failed job's own, for its replay", http.StatusOK), a.editFailedJob)
	huma.Register(doors, operation(http.MethodPost, "/v1/failed-jobs/{entry}/replay", "replay-failed-job", "Let a failed job run again", http.StatusAccepted), a.replayFailedJob)
	huma.Register(doors, operation(http.MethodPost, "/v1/failed-jobs/{entry}/discard", "discard-failed-job", "Give a failed job up for good", http.StatusNoContent), a.discardFailedJob)
}
