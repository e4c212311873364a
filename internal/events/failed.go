package events

import (
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// FailedJobVersion is the present version of FailedJob.
const FailedJobVersion = 1

// FailedJob is a job that the workers gave up, as it stands in FAILED until an operator replays or discards it. Payload is the job itself and may
// hold a phone number; nothing else here does.
type FailedJob struct {
	Version int `json:"version"`
	// Subject, Stream, Sequence, MessageID and Headers are those of the original; Payload is its bytes.
	Subject   string            `json:"subject"`
	Stream    string            `json:"stream"`
	Consumer  string            `json:"consumer"`
	Sequence  uint64            `json:"sequence"`
	MessageID string            `json:"message_id"`
	Headers   map[string]string `json:"headers,omitempty"`
	Payload   []byte            `json:"payload"`
	// Kind and SchemaVersion are what the original says about itself; empty or zero when it says nothing.
	Kind          string `json:"kind"`
	SchemaVersion int    `json:"schema_version"`
	// SessionID and CampaignID are those that the payload names.
	SessionID  string `json:"session_id,omitempty"`
	CampaignID string `json:"campaign_id,omitempty"`
	TraceID    string `json:"trace_id,omitempty"`
	// Worker is the one that gave it up.
	Worker     string    `json:"worker"`
	Attempts   int       `json:"attempts"`
	QueuedAt   time.Time `json:"queued_at"`
	FailedAt   time.Time `json:"failed_at"`
	FirstError Failure   `json:"first_error"`
	// LastError has the class and the code that the job is listed under.
	LastError Failure `json:"last_error"`
	// Entry is the sequence of this entry in FAILED, set when it is read.
	Entry uint64 `json:"-"`
}

// Failure is one failed attempt of a job.
type Failure struct {
	Class fault.Class `json:"class"`
	Code  string      `json:"code"`
	// Message is the sentence for a person, Detail the whole error for an operator; numbers that may be a person's are masked in both.
	Message string    `json:"message"`
	Detail  string    `json:"detail"`
	At      time.Time `json:"at"`
}

// FailedFilter narrows failed jobs; its zero value takes all.
type FailedFilter struct {
	Kind                  string
	Class                 fault.Class
	SessionID, CampaignID string
	// Since and Before are when the job was given up.
	Since, Before time.Time
	// Text stands somewhere in the last error, whatever its case.
	Text string
}

// Takes tells whether a job is one of those wanted.
func (f FailedFilter) Takes(job FailedJob) bool {
	switch {
	case f.Kind != "" && job.Kind != f.Kind,
		f.Class != "" && job.LastError.Class != f.Class,
		f.SessionID != "" && job.SessionID != f.SessionID,
		f.CampaignID != "" && job.CampaignID != f.CampaignID,
		!f.Since.IsZero() && job.FailedAt.Before(f.Since),
		!f.Before.IsZero() && !job.FailedAt.Before(f.Before):
		return false
	}
	last := job.LastError
	return f.Text == "" || strings.Contains(strings.ToLower(last.Code+" "+last.Message+" "+last.Detail), strings.ToLower(f.Text))
}
