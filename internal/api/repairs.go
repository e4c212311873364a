package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// DefaultReplaysPerSecond is fast enough for ten thousand jobs in a few minutes, and leaves the queue to the work of the day.
const DefaultReplaysPerSecond = 50

// OperatorInput says for whom a key does something to the queue, as a note in the audit. It is exported because huma reads embedded structs only then.
type OperatorInput struct {
	Operator string `header:"X-Operator" maxLength:"100" pattern:"^[^\\x00-\\x1f]*$" doc:"For whom it is done, as a note in the audit; the actor there is the key."`
}

// note is how the audit notes an operator: in quotes, since anybody may give any name.
func (o OperatorInput) note() string {
	if o.Operator == "" {
		return ""
	}
	return fmt.Sprintf(", for %q", o.Operator)
}

type editFailedJobInput struct {
	FailedJobInput
	OperatorInput
	Body struct {
		Payload json.RawMessage `json:"payload" doc:"The whole payload: the command that the job's subject carries."`
	}
}

func (a *API) editFailedJob(ctx context.Context, input *editFailedJobInput) (*failedJobOutput, error) {
	job, err := a.options.FailedJobs.Edit(ctx, input.Entry, input.Body.Payload, editor(ctx, input.Operator))
	if err == nil {
		err = a.recordJob(ctx, "job.edited", job, input.OperatorInput, "")
	}
	if err != nil {
		return nil, a.problem(ctx, "edit failed job", err)
	}
	return &failedJobOutput{Body: viewFailedJob(job)}, nil
}

// recordJob writes into the audit what is done to a failed job. It is written before it is done: nothing is done to somebody's queue without a trace.
func (a *API) recordJob(ctx context.Context, action string, job events.FailedJob, operator OperatorInput, detail string) error {
	about := fmt.Sprintf("failed job %d, %s %s", job.Entry, job.LastError.Class, job.LastError.Code)
	if detail != "" {
		about += ": " + detail
	}
	return a.record(ctx, campaign.AuditEntry{Action: action, Subject: job.MessageID, Detail: about + operator.note()})
}

// editor is how a failed job names who edited it.
func editor(ctx context.Context, operator string) string {
	return cmp.Or(operator, access.From(ctx).Name)
}

type replayInput struct {
	FailedJobInput
	OperatorInput
	Body struct {
		Force bool `json:"force,omitempty" doc:"Replay it although its class says that this is not safe."`
	}
}

type replayOutput struct {
	Body struct {
		MessageID string `json:"message_id" doc:"The identity of the new job."`
	}
}

func (a *API) replayFailedJob(ctx context.Context, input *replayInput) (*replayOutput, error) {
	id, err := a.replay(ctx, input.Entry, input.Body.Force, input.OperatorInput)
	if err != nil {
		return nil, a.problem(ctx, "replay failed job", err)
	}
	output := &replayOutput{}
	output.Body.MessageID = id
	return output, nil
}

func (a *API) replay(ctx context.Context, entry uint64, force bool, operator OperatorInput) (id string, err error) {
	job, err := a.options.FailedJobs.Get(ctx, entry)
	if err != nil {
		return "", err
	}
	if safe, _ := job.ReplayAdvice(); safe || force { // Else it is refused, and nothing was done.
		detail := ""
		if force {
			detail = "with force"
		}
		if err := a.recordJob(ctx, "job.replayed", job, operator, detail); err != nil {
			return "", err
		}
	}
	return a.options.FailedJobs.Replay(ctx, entry, force)
}

type discardInput struct {
	FailedJobInput
	OperatorInput
	Body struct {
		Reason string `json:"reason" minLength:"3" maxLength:"500" doc:"Why it is not needed any more, for the audit."`
	}
}

func (a *API) discardFailedJob(ctx context.Context, input *discardInput) (*struct{}, error) {
	if err := a.discard(ctx, input.Entry, input.Body.Reason, input.OperatorInput); err != nil {
		return nil, a.problem(ctx, "discard failed job", err)
	}
	return nil, nil //nolint:nilnil // huma's answer without a body
}

func (a *API) discard(ctx context.Context, entry uint64, reason string, operator OperatorInput) error {
	job, err := a.options.FailedJobs.Get(ctx, entry)
	if err == nil {
		err = a.recordJob(ctx, "job.discarded", job, operator, reason)
	}
	if err == nil {
		err = a.options.FailedJobs.Discard(ctx, entry)
	}
	return err
}

// ManyBody names many failed jobs, and how far this call goes. It is exported because huma reads embedded structs only then.
type ManyBody struct {
	Kind       string      `json:"kind,omitempty" maxLength:"100"`
	Class      fault.Class `json:"class,omitempty" maxLength:"50"`
	SessionID  string      `json:"session_id,omitempty" maxLength:"100"`
	CampaignID string      `json:"campaign_id,omitempty" maxLength:"100"`
	Since      time.Time   `json:"since,omitempty"`
	Before     time.Time   `json:"before,omitempty"`
	Text       string      `json:"text,omitempty" maxLength:"200"`
	After      uint64      `json:"after,omitempty" doc:"Begin behind this entry: next of the call before."`
	Until      uint64      `json:"until,omitempty" doc:"Go no further than this entry; absent: the last one there is now. Give the one that the first call answered, so that jobs that fail again are left."`
	Limit      int         `json:"limit,omitempty" minimum:"1" maximum:"500" default:"100" doc:"The most jobs of this call."`
	PerSecond  float64     `json:"per_second,omitempty" minimum:"0.1" maximum:"10000" doc:"How many a second; never more than the server's own limit."`
	DryRun     bool        `json:"dry_run,omitempty" doc:"Only count."`
}

func (b ManyBody) filter() events.FailedFilter {
	return events.FailedFilter{Kind: b.Kind, Class: b.Class, SessionID: b.SessionID, CampaignID: b.CampaignID, Since: b.Since, Before: b.Before, Text: b.Text, Until: b.Until}
}

type replayManyInput struct {
	OperatorInput
	Body struct {
		ManyBody
		Force bool `json:"force,omitempty" doc:"Replay those, too, whose class says that this is not safe."`
	}
}

type discardManyInput struct {
	OperatorInput
	Body struct {
		ManyBody
		Reason string `json:"reason" minLength:"3" maxLength:"500" doc:"Why they are not needed any more, for the audit."`
	}
}

// ManyView is what became of a batch.
type ManyView struct {
	Until   uint64    `json:"until" doc:"The last entry that is meant; zero when there is none."`
	Matched int       `json:"matched" doc:"How many match, from the first entry on."`
	Unsafe  int       `json:"unsafe" doc:"How many of them are not replayed without force."`
	Done    int       `json:"done" doc:"How many were replayed, or discarded, by this call."`
	Refused []Refused `json:"refused" doc:"Those that were not."`
	Next    uint64    `json:"next" doc:"Where the next call begins; zero when all was done."`
}

// Refused is a failed job that stayed, and why.
type Refused struct {
	Entry   uint64 `json:"entry"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

type manyOutput struct{ Body ManyView }

// replayFailedJobs replays a batch of those that match. A call that was interrupted may be made again: what it had replayed is not there any more.
func (a *API) replayFailedJobs(ctx context.Context, input *replayManyInput) (*manyOutput, error) {
	view, err := a.many(ctx, input.Body.ManyBody, func(ctx context.Context, entry uint64) error {
		_, err := a.replay(ctx, entry, input.Body.Force, input.OperatorInput)
		return err
	})
	if err != nil {
		return nil, a.problem(ctx, "replay failed jobs", err)
	}
	return &manyOutput{Body: view}, nil
}

func (a *API) discardFailedJobs(ctx context.Context, input *discardManyInput) (*manyOutput, error) {
	view, err := a.many(ctx, input.Body.ManyBody, func(ctx context.Context, entry uint64) error {
		return a.discard(ctx, entry, input.Body.Reason, input.OperatorInput)
	})
	if err != nil {
		return nil, a.problem(ctx, "discard failed jobs", err)
	}
	return &manyOutput{Body: view}, nil
}

// many does something to one failed job after the other, at the pace that was asked for. A job that is refused stays and does not stop the others; a failure of
// the queue does.
func (a *API) many(ctx context.Context, wanted ManyBody, act func(context.Context, uint64) error) (ManyView, error) {
	view, err := a.matching(ctx, wanted)
	if err != nil || wanted.DryRun || view.Matched == 0 {
		return view, err
	}
	wanted.Until = view.Until
	jobs, next, err := a.options.FailedJobs.List(ctx, wanted.filter(), wanted.After, max(1, wanted.Limit))
	if err != nil {
		return view, err
	}
	pace := rate.NewLimiter(rate.Inf, 1)
	if wanted.PerSecond > 0 {
		pace.SetLimit(rate.Limit(wanted.PerSecond))
	}
	for _, job := range jobs {
		if err := pace.Wait(ctx); err != nil {
			return view, err
		}
		if err := a.repairs.Wait(ctx); err != nil {
			return view, err
		}
		switch err := act(ctx, job.Entry); fault.Of(err) {
		case "":
			view.Done++
		case fault.Conflict, fault.Invalid:
			known := fault.As(err)
			view.Refused = append(view.Refused, Refused{Entry: job.Entry, Code: known.Code, Message: known.Message})
		case fault.NotFound: // Somebody else did it.
		default:
			return view, err
		}
	}
	view.Next = next
	return view, nil
}

// matching counts those that are meant.
func (a *API) matching(ctx context.Context, wanted ManyBody) (ManyView, error) {
	view := ManyView{Until: wanted.Until, Refused: []Refused{}}
	groups, err := a.options.FailedJobs.Stats(ctx, wanted.filter())
	for _, group := range groups {
		view.Matched += group.Count
		if safe, _ := group.Class.Replay(); !safe {
			view.Unsafe += group.Count
		}
		if wanted.Until == 0 {
			view.Until = max(view.Until, group.Last)
		}
	}
	return view, err
}
