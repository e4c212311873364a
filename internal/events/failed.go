package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// The versions of FailedJob. In the first one the payload was always base64, under "payload"; both are read.
const (
	firstFailedJobVersion = 1
	FailedJobVersion      = 2
)

// FailedJob is a job that the workers gave up, as it stands in FAILED until an operator replays or discards it. Payload is the job itself and may
// hold a phone number; nothing else here does.
type FailedJob struct {
	Version int `json:"version"`
	// Subject, Stream, Sequence, MessageID and Headers are those of the original.
	Subject   string            `json:"subject"`
	Stream    string            `json:"stream"`
	Consumer  string            `json:"consumer"`
	Sequence  uint64            `json:"sequence"`
	MessageID string            `json:"message_id"`
	Headers   map[string]string `json:"headers,omitempty"`
	// Payload is the original's bytes. On the wire it is "payload", as the JSON that it is, or "payload_base64" when it is not compact JSON.
	Payload []byte `json:"-"`
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
	// Edit is the payload that an operator put in the place of the original's; nil: none. It is kept beside the entry, not in it.
	Edit *Edit `json:"-"`
}

// Edit is a payload that an operator wrote for a failed job. The original stays what it was.
type Edit struct {
	Payload json.RawMessage `json:"payload"`
	By      string          `json:"by"`
	At      time.Time       `json:"at"`
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

// wireFailedJob is FailedJob with its payload as it stands on the wire.
type wireFailedJob struct {
	failedJobFields
	Payload       json.RawMessage `json:"payload,omitempty"`
	PayloadBase64 []byte          `json:"payload_base64,omitempty"`
}

// failedJobFields keeps the fields of FailedJob without its methods.
type failedJobFields FailedJob

// MarshalJSON implements json.Marshaler. A payload that is compact JSON, as all of ours are, can be read by a person; any other comes back byte for byte too.
func (j FailedJob) MarshalJSON() ([]byte, error) {
	wire := wireFailedJob{failedJobFields: failedJobFields(j)}
	if encoded, err := json.Marshal(json.RawMessage(j.Payload)); err == nil && len(j.Payload) > 0 && bytes.Equal(encoded, j.Payload) {
		wire.Payload = j.Payload
	} else {
		wire.PayloadBase64 = j.Payload
	}
	return json.Marshal(wire)
}

// UnmarshalJSON implements json.Unmarshaler.
func (j *FailedJob) UnmarshalJSON(text []byte) error {
	var wire wireFailedJob
	if err := json.Unmarshal(text, &wire); err != nil {
		return err
	}
	*j = FailedJob(wire.failedJobFields)
	switch {
	case j.Version == firstFailedJobVersion && wire.Payload != nil:
		return json.Unmarshal(wire.Payload, &j.Payload)
	case wire.Payload != nil:
		j.Payload = bytes.Clone(wire.Payload)
	default:
		j.Payload = wire.PayloadBase64
	}
	return nil
}

// ReplayAdvice tells whether this job may be replayed without force, and why. What made a job unsafe to run again is gone when an operator has
// mended its payload.
func (j FailedJob) ReplayAdvice() (safe bool, why string) {
	if j.Edit != nil {
		return true, "its payload was edited after it failed"
	}
	return j.LastError.Class.Replay()
}

// CheckPayload tells whether a payload could stand in the place of this job's: the command that its subject carries, of a version that the workers know,
// complete, with no field that the command has not, and about the same thing. It gives the command, or fault.Invalid with the reason.
func (j FailedJob) CheckPayload(payload []byte) (Command, error) {
	command, err := decodeStrictly(j.Subject, payload)
	if err != nil {
		return nil, invalidPayload(err.Error())
	}
	if err := command.Validate(); err != nil {
		return nil, invalidPayload(fault.As(err).Message)
	}
	if command.Subject() != j.Subject {
		return nil, invalidPayload("it is about something else: the failed job's subject is " + j.Subject)
	}
	return command, nil
}

func invalidPayload(reason string) error {
	return fault.New(fault.Invalid, "invalid_payload", "The payload does not hold: "+reason+". Correct it and send it again").
		WithDetails(fault.Detail{Location: "body.payload", Reason: reason})
}

// decodeStrictly decodes the command that a subject carries, and refuses what the command has no field for: a misspelt field would be lost silently.
func decodeStrictly(subject string, payload []byte) (Command, error) {
	switch {
	case strings.HasPrefix(subject, "commands.link."):
		return strictly[LinkSession](payload)
	case strings.HasPrefix(subject, "commands.campaign."):
		return strictly[RunCampaign](payload)
	case strings.HasPrefix(subject, "commands.webhook."):
		return strictly[DeliverWebhook](payload)
	}
	return nil, fmt.Errorf("the subject %s carries no command that could be edited", subject)
}

func strictly[C Command](payload []byte) (Command, error) {
	var command C
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&command); err != nil {
		return nil, fmt.Errorf("it is not a %s: %s", command.Kind(), strings.TrimPrefix(err.Error(), "json: "))
	}
	if decoder.More() {
		return nil, fmt.Errorf("it is more than one %s", command.Kind())
	}
	return command, nil
}

// FailedFilter narrows failed jobs; its zero value takes all.
type FailedFilter struct {
	Kind                  string
	Class                 fault.Class
	SessionID, CampaignID string
	// Since and Before are when the job was given up.
	Since, Before time.Time
	// Until is the last entry that is taken; zero: there is no last one. Who replays many of them is not led on by those that fail again.
	Until uint64
	// Text stands somewhere in the last error, whatever its case.
	Text string
	// Only keeps the jobs that it takes; nil: all. It is asked last.
	Only func(FailedJob) bool
}

// Takes tells whether a job is one of those wanted.
func (f FailedFilter) Takes(job FailedJob) bool {
	switch {
	case f.Kind != "" && job.Kind != f.Kind,
		f.Class != "" && job.LastError.Class != f.Class,
		f.SessionID != "" && job.SessionID != f.SessionID,
		f.CampaignID != "" && job.CampaignID != f.CampaignID,
		f.Until > 0 && job.Entry > f.Until,
		!f.Since.IsZero() && job.FailedAt.Before(f.Since),
		!f.Before.IsZero() && !job.FailedAt.Before(f.Before):
		return false
	}
	last := job.LastError
	if f.Text != "" && !strings.Contains(strings.ToLower(last.Code+" "+last.Message+" "+last.Detail), strings.ToLower(f.Text)) {
		return false
	}
	return f.Only == nil || f.Only(job)
}

// FailedGroup counts the failed jobs of one kind and class.
type FailedGroup struct {
	Kind  string
	Class fault.Class
	Count int
	// Oldest and Newest are when the first and the last of them were given up.
	Oldest, Newest time.Time
	// Last is the highest entry among them.
	Last uint64
}
