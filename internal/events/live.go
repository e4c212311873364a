package events

import "time"

// JobState is where a command is on its way through the queue.
type JobState string

// The states of a job that has not ended.
const (
	// JobScheduled: it waits in the queue for its time.
	JobScheduled JobState = "scheduled"
	// JobPending: no worker has had it yet.
	JobPending JobState = "pending"
	// JobRunning: a worker has it and gave a sign of life within the queue's AckWait.
	JobRunning JobState = "running"
	// JobRetrying: it failed and waits for its next attempt; it keeps its place in its consumer's limit.
	JobRetrying JobState = "retrying"
	// JobUnattended: a worker had it and gives no sign of life any more. The queue gives it to another within an AckWait.
	JobUnattended JobState = "unattended"
)

// LiveJob is a command in the queue, as the queue itself tells: it is right after a crash too.
type LiveJob struct {
	// Sequence is the job's number in COMMANDS.
	Sequence  uint64
	Subject   string
	MessageID string
	Kind      string
	SessionID string
	// CampaignID is empty for a job that is not a campaign's.
	CampaignID string
	TraceID    string
	State      JobState
	QueuedAt   time.Time
	// DueAt is when a scheduled job comes.
	DueAt time.Time
	// Attempt counts from 1, 0 for a job that nobody had; MaxAttempts is where its policy ends.
	Attempt, MaxAttempts int
	// Worker, Since and Heartbeat are who runs it, since when, and the last sign of life (JobRunning).
	Worker           string
	Since, Heartbeat time.Time
	// NextAttemptAt is when it is tried again (JobRetrying); LastError is why it has to be.
	NextAttemptAt time.Time
	LastError     *Failure
	Payload       []byte
}

// Queue is the state of one durable consumer, as the queue itself tells.
type Queue struct {
	Consumer, Stream, Description string
	// Pending jobs had no worker yet; InHand were given out and are not settled, and may be at most MaxInHand, over the whole fleet; Redelivered of
	// them were given out more than once.
	Pending, InHand, MaxInHand, Redelivered int
	// Asking is how many requests for jobs stand: of workers that are there and have room.
	Asking int
	// Oldest is when the oldest job that has not ended was queued; zero: there is none. Of facts it is when the oldest unread one happened.
	Oldest time.Time
	// Retries is the policy of what it hands out.
	Retries RetryPolicy
}

// RetryPolicy says how a kind of job is tried again: Attempts in all, with random waits whose ceiling doubles from MinDelay to MaxDelay.
type RetryPolicy struct {
	Kind               string
	Attempts           int
	MinDelay, MaxDelay time.Duration
}
