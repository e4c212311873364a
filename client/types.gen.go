// Code generated from docs/openapi.json by `make update-golden`. DO NOT EDIT.

package client

import (
	"encoding/json"
	"time"
)

// AddContactsRequest is the schema AddContactsInputBody in the document.
type AddContactsRequest struct {
	Contacts []Recipient `json:"contacts"`
	// Tags that all of them get.
	Tags []string `json:"tags,omitempty"`
}

// AddSuppressionsRequest is the schema AddSuppressionsInputBody in the document.
type AddSuppressionsRequest struct {
	// The numbers; without a country code they are of the default region.
	Phones []string `json:"phones"`
	Reason string   `json:"reason,omitempty"`
	// Who or what asks for it, for the audit.
	Source string `json:"source,omitempty"`
}

// Attachment is the schema AttachmentView in the document.
type Attachment struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
}

// Audit is the schema AuditView in the document.
type Audit struct {
	// A stable word.
	Action string `json:"action"`
	// The id of the key that did it, or contact for a person who wrote an opt-out word.
	Actor string `json:"actor"`
	// What the key is called.
	ActorName string    `json:"actor_name,omitempty"`
	At        time.Time `json:"at"`
	Detail    string    `json:"detail,omitempty"`
	// What it was done to: an id or a phone number.
	Subject string `json:"subject"`
	UserID  string `json:"user_id,omitempty"`
}

// Caller is the schema CallerView in the document.
type Caller struct {
	KeyID string `json:"key_id"`
	Name  string `json:"name"`
	Role  string `json:"role"`
	// The only user whose things the key is for; absent: everybody's.
	UserID string `json:"user_id,omitempty"`
}

// Campaign is the schema CampaignView in the document.
type Campaign struct {
	// Deliveries by state. Absent in lists.
	Counts    Counts    `json:"counts,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	// A stable code for why it is paused or failed.
	Reason string `json:"reason,omitempty"`
	// The size of the plan: one delivery each.
	Recipients int `json:"recipients"`
	// Rows of the audience that were refused; see rejections.
	Rejected int `json:"rejected"`
	// When it may go on, while a limit of WhatsApp pauses it.
	ResumeAt time.Time `json:"resume_at,omitzero"`
	// The session that sends.
	SessionID string `json:"session_id"`
	// How it is sent.
	Settings  CampaignSettings `json:"settings"`
	StartedAt time.Time        `json:"started_at,omitzero"`
	State     string           `json:"state"`
	// The message with its {{column}} placeholders.
	Text   string `json:"text"`
	UserID string `json:"user_id"`
	// What somebody should look at. Absent in lists.
	Warning *Note `json:"warning,omitempty"`
}

// CloneRequest is the schema CloneInputBody in the document.
type CloneRequest struct {
	Name string `json:"name,omitempty"`
	// Only the recipients whose delivery is in one of these states; all when it is left out.
	States []string `json:"states,omitempty"`
}

// Consumer is the schema ConsumerView in the document.
type Consumer struct {
	Consumer    string `json:"consumer"`
	Description string `json:"description"`
	// Jobs that were given out and are not settled, those that wait for their next attempt too.
	InHand int `json:"in_hand"`
	// The limit of that, over all workers.
	MaxInHand int `json:"max_in_hand"`
	// When the oldest one that has not ended was queued.
	Oldest time.Time `json:"oldest,omitzero"`
	// Jobs that no worker had yet.
	Pending int `json:"pending"`
	// How many of those in hand were given out more than once.
	Redelivered int      `json:"redelivered"`
	Retries     *Retries `json:"retries,omitempty"`
	Stream      string   `json:"stream"`
}

// Contact is the schema ContactView in the document.
type Contact struct {
	Fields map[string]string `json:"fields,omitempty"`
	Phone  string            `json:"phone"`
	Tags   []string          `json:"tags,omitempty"`
}

// Counts is the schema CountsView in the document.
type Counts struct {
	// On a device, not yet read.
	Delivered int `json:"delivered"`
	Failed    int `json:"failed"`
	Pending   int `json:"pending"`
	// Opened, not yet answered.
	Read int `json:"read"`
	// The recipient wrote back.
	Replied int `json:"replied"`
	Sending int `json:"sending"`
	// Acknowledged by the server, not yet on a device.
	Sent    int `json:"sent"`
	Skipped int `json:"skipped"`
	// May have left; settled by a receipt.
	Unknown int `json:"unknown"`
}

// CreateCampaignRequest is the schema CreateCampaignInputBody in the document.
type CreateCampaignRequest struct {
	// The ISO country of recipients' numbers that are written without a country code; the service's own when it is left out.
	DefaultRegion string `json:"default_region,omitempty"`
	// Only plan it: it can be edited, and is started or scheduled later.
	Draft bool `json:"draft,omitempty"`
	// When it may send; the service's hours when it is left out.
	Hours *Hours `json:"hours,omitempty"`
	// How fast it sends; what is left out is as the session's.
	Limits *Limits `json:"limits,omitempty"`
	// Show a preview of the first link in the text.
	LinkPreview bool `json:"link_preview,omitempty"`
	// A saved contact list instead.
	ListID string `json:"list_id,omitempty"`
	// Which column a placeholder stands for, where the two are called differently.
	Mapping map[string]string `json:"mapping,omitempty"`
	// A file that goes with the text.
	Media *Media `json:"media,omitempty"`
	// What people call it.
	Name string `json:"name,omitempty"`
	// The people; a larger audience comes as a file.
	Recipients []Recipient `json:"recipients,omitempty"`
	// When it begins; at once when it is left out.
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`
	// The session that sends.
	SessionID string `json:"session_id"`
	// Only the contacts of the list with one of these tags.
	Tags []string `json:"tags,omitempty"`
	// The message; {{column}} stands for a field of the recipient, {{column|text}} with a fallback. The caption, when there is a file.
	Text string `json:"text,omitempty"`
	// Show that somebody types before each message.
	Typing bool `json:"typing,omitempty"`
	// Further texts. Each recipient gets one of all of them, always the same one.
	Variants []string `json:"variants,omitempty"`
	// Skip people who never wrote to the session. Such a campaign goes on while WhatsApp locks the account for strangers.
	WarmOnly bool `json:"warm_only,omitempty"`
}

// CreateKeyRequest is the schema CreateKeyInputBody in the document.
type CreateKeyRequest struct {
	// When it ceases to hold; never, when it is left out.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// What people call it: what it is for, and who has it.
	Name string `json:"name"`
	// viewer reads; operator links phones, sends and mends; admin makes keys and webhooks, too.
	Role string `json:"role"`
	// The only user whose things it is for. A key that is for one user makes keys for this user only.
	UserID string `json:"user_id,omitempty"`
}

// CreateListRequest is the schema CreateListInputBody in the document.
type CreateListRequest struct {
	// What people call it.
	Name string `json:"name"`
	// The web app's user that the list belongs to.
	UserID string `json:"user_id"`
}

// CreateSessionRequest is the schema CreateSessionInputBody in the document.
type CreateSessionRequest struct {
	// What people call it; the user id when it is left out.
	Name string `json:"name,omitempty"`
	// The web app's user that the session belongs to.
	UserID string `json:"user_id"`
}

// NewWebhook is the schema CreateWebhookInputBody in the document.
type NewWebhook struct {
	// The kinds of events that it is told, such as campaign_changed; * stands for all of them.
	Events []string `json:"events"`
	// Where requests go: https, on a public address.
	URL string `json:"url"`
	// Tell it the events of this user only.
	UserID string `json:"user_id,omitempty"`
}

// Delivery is the schema DeliveryView in the document.
type Delivery struct {
	Attempts    int       `json:"attempts"`
	Class       string    `json:"class,omitempty"`
	Code        string    `json:"code,omitempty"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	// The WhatsApp message id.
	ID        string    `json:"id"`
	Phone     string    `json:"phone"`
	ReadAt    time.Time `json:"read_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
	RepliedAt time.Time `json:"replied_at,omitzero"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	// The order of sending, from 1.
	Sequence int    `json:"sequence"`
	State    string `json:"state"`
}

// Diagnosis is the schema DiagnosisView in the document.
type Diagnosis struct {
	// When it ended.
	At time.Time `json:"at"`
	// The likely cause.
	Cause string `json:"cause"`
	// What the cause was concluded from, oldest first.
	Evidence []Entry `json:"evidence"`
	// The cause is concluded from what happened around the end; else WhatsApp said it.
	Guess bool `json:"guess"`
	// The same for a person.
	Happened Text `json:"happened"`
	// What to do now.
	Next Text `json:"next"`
	// What WhatsApp said.
	Reason string `json:"reason"`
	// When it may be linked again, while its egress rests.
	Until time.Time `json:"until,omitzero"`
	// The cause for a person.
	Why Text `json:"why"`
}

// DiscardRequest is the schema DiscardInputBody in the document.
type DiscardRequest struct {
	// Why it is not needed any more, for the audit.
	Reason string `json:"reason"`
}

// DiscardManyRequest is the schema DiscardManyInputBody in the document.
type DiscardManyRequest struct {
	// Begin behind this entry: next of the call before.
	After      uint64    `json:"after,omitempty"`
	Before     time.Time `json:"before,omitzero"`
	CampaignID string    `json:"campaign_id,omitempty"`
	Class      string    `json:"class,omitempty"`
	// Only count.
	DryRun bool   `json:"dry_run,omitempty"`
	Kind   string `json:"kind,omitempty"`
	// The most jobs of this call.
	Limit int `json:"limit,omitempty"`
	// How many a second; never more than the server's own limit.
	PerSecond float64 `json:"per_second,omitempty"`
	// Why they are not needed any more, for the audit.
	Reason    string    `json:"reason"`
	SessionID string    `json:"session_id,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Text      string    `json:"text,omitempty"`
	// Go no further than this entry; absent: the last one there is now. Give the one that the first call answered, so that jobs that fail again are left.
	Until uint64 `json:"until,omitempty"`
}

// EditCampaignRequest is the schema EditCampaignInputBody in the document.
type EditCampaignRequest struct {
	Hours       *Hours            `json:"hours,omitempty"`
	Limits      *Limits           `json:"limits,omitempty"`
	LinkPreview *bool             `json:"link_preview,omitempty"`
	Mapping     map[string]string `json:"mapping,omitempty"`
	Media       *Media            `json:"media,omitempty"`
	Name        *string           `json:"name,omitempty"`
	// Take the file away.
	NoMedia  *bool    `json:"no_media,omitempty"`
	Text     *string  `json:"text,omitempty"`
	Typing   *bool    `json:"typing,omitempty"`
	Variants []string `json:"variants,omitempty"`
	WarmOnly *bool    `json:"warm_only,omitempty"`
}

// EditFailedJobRequest is the schema EditFailedJobInputBody in the document.
type EditFailedJobRequest struct {
	// The whole payload: the command that the job's subject carries.
	Payload json.RawMessage `json:"payload"`
}

// Edit is the schema EditView in the document.
type Edit struct {
	At time.Time `json:"at"`
	// The name that the operator gave.
	By      string          `json:"by"`
	Payload json.RawMessage `json:"payload"`
}

// WebhookChange is the schema EditWebhookInputBody in the document.
type WebhookChange struct {
	// A disabled webhook is told nothing, and what waits for it is dropped.
	Enabled *bool    `json:"enabled,omitempty"`
	Events  []string `json:"events,omitempty"`
	URL     *string  `json:"url,omitempty"`
}

// EgressCheck is the schema EgressCheckView in the document.
type EgressCheck struct {
	// Names the way out: direct, or the name of a proxy. Sessions with the same one share its limits.
	Egress string `json:"egress"`
	// The host's own address, or a proxy, without which the session never connects.
	Kind string `json:"kind"`
	// Milliseconds from the first dial to the answer, or to the failure.
	LatencyMS int64 `json:"latency_ms"`
	// What is wrong and what to do, in English.
	Message string `json:"message,omitempty"`
	// The same in Spanish.
	MessageSpanish string `json:"message_es,omitempty"`
	// The session is linked; it is connected anew by the new way within seconds.
	Moved bool `json:"moved,omitempty"`
	// What is wrong.
	Problem string `json:"problem,omitempty"`
	// The proxy's address. User and password are never shown.
	Proxy string `json:"proxy,omitempty"`
	// WhatsApp answered.
	Reachable bool `json:"reachable"`
}

// EgressState is the schema EgressStateView in the document.
type EgressState struct {
	// How many it may have; absent when there is no limit.
	Capacity int `json:"capacity,omitempty"`
	// Links are stopped: too many sessions were logged out soon after pairing.
	CircuitOpen bool `json:"circuit_open"`
	// The end of the rest after the last logout.
	CoolsUntil time.Time `json:"cools_until,omitzero"`
	// direct, or the name of a proxy.
	ID string `json:"id"`
	// The last connection to WhatsApp, of whatever kind.
	LastConnection time.Time `json:"last_connection,omitzero"`
	// When a link there began, or ended with a paired phone.
	LastLink time.Time `json:"last_link,omitzero"`
	// Logouts and bans that still count: of the last week, or since the last reset.
	Logouts int `json:"logouts"`
	// The earliest time of the next link; absent: now.
	NextLinkAt time.Time `json:"next_link_at,omitzero"`
	// When links go on without a reset.
	OpenUntil time.Time `json:"open_until,omitzero"`
	// A stable code for what the next link waits for.
	Reason string `json:"reason,omitempty"`
	// Sessions that are linked, or being linked, on it.
	Sessions int `json:"sessions"`
	// Links that wait, or are in work.
	Waiting int `json:"waiting"`
}

// Egress is the schema EgressView in the document.
type Egress struct {
	// Names the way out: direct, or the name of a proxy. Sessions with the same one share its limits.
	Egress string `json:"egress"`
	// The host's own address, or a proxy, without which the session never connects.
	Kind string `json:"kind"`
	// The session is linked; it is connected anew by the new way within seconds.
	Moved bool `json:"moved,omitempty"`
	// The proxy's address. User and password are never shown.
	Proxy string `json:"proxy,omitempty"`
}

// Entry is the schema EntryView in the document.
type Entry struct {
	At time.Time `json:"at"`
	// Other sessions on the same egress; only for ended.
	Beside int `json:"beside,omitempty"`
	// WhatsApp's own code.
	Detail string `json:"detail,omitempty"`
	Egress string `json:"egress"`
	// What happened.
	Kind string `json:"kind"`
	// A stable code for why.
	Reason string `json:"reason,omitempty"`
	// Messages in the hour before; for sends, in the hour that began then.
	Sent int `json:"sent"`
	// How many of them were the first to a number that had not written, as far as the worker knows that sent them.
	SentNew int `json:"sent_new"`
}

// FailedGroup is the schema FailedGroupView in the document.
type FailedGroup struct {
	Class  string    `json:"class"`
	Count  int       `json:"count"`
	Kind   string    `json:"kind"`
	Newest time.Time `json:"newest"`
	// When the first of them was given up.
	Oldest time.Time `json:"oldest"`
	Replay Replay    `json:"replay"`
}

// FailedJob is the schema FailedJobView in the document.
type FailedJob struct {
	Attempts   int    `json:"attempts"`
	CampaignID string `json:"campaign_id,omitempty"`
	// Whose job it was.
	Consumer string `json:"consumer"`
	// What an operator put in the payload's place.
	Edit *Edit `json:"edit,omitempty"`
	// Names it here.
	Entry      uint64    `json:"entry"`
	FailedAt   time.Time `json:"failed_at"`
	FirstError Failure   `json:"first_error"`
	// Absent in lists, as are the payload and the edit.
	Headers map[string]string `json:"headers,omitempty"`
	// What was to be done: link_session, run_campaign, deliver_webhook, or the kind of the fact that could not be handled.
	Kind      string  `json:"kind"`
	LastError Failure `json:"last_error"`
	MessageID string  `json:"message_id"`
	// The job itself.
	Payload json.RawMessage `json:"payload,omitempty"`
	// The job itself, when it is no JSON.
	PayloadBase64 []byte    `json:"payload_base64,omitempty"`
	QueuedAt      time.Time `json:"queued_at"`
	Replay        Replay    `json:"replay"`
	// The version that the job says it has.
	SchemaVersion int    `json:"schema_version"`
	Sequence      uint64 `json:"sequence"`
	SessionID     string `json:"session_id,omitempty"`
	// Where it came from, and under which number.
	Stream  string `json:"stream"`
	Subject string `json:"subject"`
	TraceID string `json:"trace_id,omitempty"`
	// The worker that gave it up.
	Worker string `json:"worker"`
}

// FailedStatsAnswer is the schema FailedStatsOutputBody in the document.
type FailedStatsAnswer struct {
	// The largest first.
	Groups []FailedGroup `json:"groups"`
	Total  int           `json:"total"`
}

// Failure is the schema FailureView in the document.
type Failure struct {
	At    time.Time `json:"at"`
	Class string    `json:"class"`
	Code  string    `json:"code"`
	// The whole error, numbers masked.
	Detail string `json:"detail,omitempty"`
	// A sentence for a person.
	Message string `json:"message"`
}

// FetchMediaRequest is the schema FetchMediaInputBody in the document.
type FetchMediaRequest struct {
	// What it is sent as; what suits it, when it is left out.
	Kind string `json:"kind,omitempty"`
	// What it is called; the end of its address, when it is left out.
	Name string `json:"name,omitempty"`
	// Where the file is: https or http, on a public address.
	URL string `json:"url"`
}

// History is the schema HistoryView in the document.
type History struct {
	// At most 50, newest first.
	Entries []Entry `json:"entries"`
}

// Holder is the schema HolderView in the document.
type Holder struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Hours is the schema HoursSpec in the document.
type Hours struct {
	// At any time; nothing else is said then.
	Always bool `json:"always,omitempty"`
	// A time of the day.
	From string `json:"from,omitempty"`
	// A name of the IANA database; the service's own when it is left out.
	TimeZone string `json:"time_zone,omitempty"`
	// The time of the day from which nothing is sent any more.
	To string `json:"to,omitempty"`
	// The days on which it may send: mon to sun; all when it is left out.
	Weekdays []string `json:"weekdays,omitempty"`
}

// Import is the schema ImportView in the document.
type Import struct {
	// Rows that were taken; a number that was in the list before is replaced.
	Added    int `json:"added"`
	Rejected int `json:"rejected"`
	// The first 1000 of the refused rows.
	Rejections []Rejection `json:"rejections,omitempty"`
}

// Job is the schema JobView in the document.
type Job struct {
	// From 1; 0 when no worker had it.
	Attempt    int    `json:"attempt"`
	CampaignID string `json:"campaign_id,omitempty"`
	// When a scheduled job comes.
	DueAt time.Time `json:"due_at,omitzero"`
	// The worker's last sign of life.
	Heartbeat     time.Time `json:"heartbeat,omitzero"`
	Kind          string    `json:"kind"`
	LastError     *Failure  `json:"last_error,omitempty"`
	MaxAttempts   int       `json:"max_attempts"`
	MessageID     string    `json:"message_id"`
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero"`
	// The job itself. Absent in lists, and when it is no JSON.
	Payload  json.RawMessage `json:"payload,omitempty"`
	QueuedAt time.Time       `json:"queued_at"`
	// Names it here.
	Sequence  uint64 `json:"sequence"`
	SessionID string `json:"session_id,omitempty"`
	// Since when the worker has it.
	Since time.Time `json:"since,omitzero"`
	// retrying: it failed and waits for its next attempt; unattended: its worker is gone, and another gets it soon.
	State   string `json:"state"`
	Subject string `json:"subject"`
	TraceID string `json:"trace_id,omitempty"`
	Worker  string `json:"worker,omitempty"`
}

// Key is the schema KeyView in the document.
type Key struct {
	// It holds now: it was not revoked and has not expired.
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"created_at"`
	// The id of the key that made it; or first-start, terminal or configured.
	CreatedBy string `json:"created_by"`
	// When it ceases to hold; absent: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	// How the key begins, by which its owner recognises it.
	Prefix    string    `json:"prefix"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
	Role      string    `json:"role"`
	// When it was last used, within a minute; absent: never.
	UsedAt time.Time `json:"used_at,omitzero"`
	// The only user whose things it is for; absent: everybody's.
	UserID string `json:"user_id,omitempty"`
}

// Limits is the schema LimitsSpec in the document.
type Limits struct {
	// The most messages in any 24 hours.
	Daily int `json:"daily,omitempty"`
	// The most messages in any 24 hours to people who never wrote to the session.
	DailyNew int `json:"daily_new,omitempty"`
	// The most messages in any hour.
	Hourly int `json:"hourly,omitempty"`
	// The longest one.
	MaxGapSeconds float64 `json:"max_gap_seconds,omitempty"`
	// The shortest random time between two messages.
	MinGapSeconds float64 `json:"min_gap_seconds,omitempty"`
	// A rest is taken after so many messages.
	RestEvery int `json:"rest_every,omitempty"`
	// How long the rest is; up to a half is added at random.
	RestSeconds float64 `json:"rest_seconds,omitempty"`
}

// LinkTokenAnswer is the schema LinkTokenOutputBody in the document.
type LinkTokenAnswer struct {
	ExpiresAt time.Time `json:"expires_at"`
	// For the header Authorization: Bearer, or for ?token= behind link, link/events, link/qr.png and link/qr.svg of this session.
	Token string `json:"token"`
}

// Link is the schema LinkView in the document.
type Link struct {
	// When this state ends by itself.
	Deadline time.Time `json:"deadline,omitzero"`
	EndedAt  time.Time `json:"ended_at,omitzero"`
	// The other session that has the phone's number, when the state is duplicate and the session belongs to the same user.
	Holder *Holder `json:"holder,omitempty"`
	// Names this attempt.
	ID     string `json:"id"`
	Method string `json:"method"`
	// What the person has to scan or type now.
	Prompt *Prompt `json:"prompt,omitempty"`
	// Where it stands while it waits for its turn.
	Queue    *Queue    `json:"queue,omitempty"`
	QueuedAt time.Time `json:"queued_at"`
	// A stable code for why it is in this state.
	Reason string `json:"reason,omitempty"`
	State  string `json:"state"`
	// What raises the risk of this link; only in the answer that starts it.
	Warning *Note `json:"warning,omitempty"`
}

// ListEgressesAnswer is the schema ListEgressesOutputBody in the document.
type ListEgressesAnswer struct {
	Items []EgressState `json:"items"`
}

// ListKeysAnswer is the schema ListKeysOutputBody in the document.
type ListKeysAnswer struct {
	Items []Key `json:"items"`
}

// List is the schema ListView in the document.
type List struct {
	// The fields that a text may name.
	Columns   []string  `json:"columns"`
	CreatedAt time.Time `json:"created_at"`
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	UpdatedAt time.Time `json:"updated_at"`
	UserID    string    `json:"user_id"`
}

// BulkResult is the schema ManyView in the document.
type BulkResult struct {
	// How many were replayed, or discarded, by this call.
	Done int `json:"done"`
	// How many match, from the first entry on.
	Matched int `json:"matched"`
	// Where the next call begins; zero when all was done.
	Next uint64 `json:"next"`
	// Those that were not.
	Refused []Refused `json:"refused"`
	// How many of them are not replayed without force.
	Unsafe int `json:"unsafe"`
	// The last entry that is meant; zero when there is none.
	Until uint64 `json:"until"`
}

// Media is the schema MediaUse in the document.
type Media struct {
	// The file, as POST /v1/media named it.
	ID string `json:"id"`
}

// File is the schema MediaView in the document.
type File struct {
	CreatedAt time.Time `json:"created_at"`
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	MIME      string    `json:"mime"`
	Name      string    `json:"name,omitempty"`
	SHA256    string    `json:"sha256"`
	Size      int64     `json:"size"`
	// The user of the key that brought it, when that key is for one user: others do not see it.
	UserID string `json:"user_id,omitempty"`
}

// Message is the schema MessageView in the document.
type Message struct {
	Class       string    `json:"class,omitempty"`
	Code        string    `json:"code,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	// Names the message here.
	ID string `json:"id"`
	// The WhatsApp message id.
	MessageID string    `json:"message_id"`
	Phone     string    `json:"phone"`
	ReadAt    time.Time `json:"read_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
	RepliedAt time.Time `json:"replied_at,omitzero"`
	RetryAt   time.Time `json:"retry_at,omitzero"`
	SentAt    time.Time `json:"sent_at,omitzero"`
	SessionID string    `json:"session_id"`
	State     string    `json:"state"`
	// A stable code for why it is held back; see retry_at.
	WaitsFor string `json:"waits_for,omitempty"`
}

// NewKeyAnswer is the schema NewKeyOutputBody in the document.
type NewKeyAnswer struct {
	// It holds now: it was not revoked and has not expired.
	Active    bool      `json:"active"`
	CreatedAt time.Time `json:"created_at"`
	// The id of the key that made it; or first-start, terminal or configured.
	CreatedBy string `json:"created_by"`
	// When it ceases to hold; absent: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	ID        string    `json:"id"`
	// The key itself. It is shown now and never again.
	Key  string `json:"key"`
	Name string `json:"name"`
	// How the key begins, by which its owner recognises it.
	Prefix    string    `json:"prefix"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
	Role      string    `json:"role"`
	// When it was last used, within a minute; absent: never.
	UsedAt time.Time `json:"used_at,omitzero"`
	// The only user whose things it is for; absent: everybody's.
	UserID string `json:"user_id,omitempty"`
}

// Note is the schema NoteView in the document.
type Note struct {
	// A stable code.
	Code string `json:"code"`
	En   string `json:"en"`
	Es   string `json:"es"`
}

// PasskeyAnswer is the schema PasskeyAnswer in the document.
type PasskeyAnswer struct {
	ID string `json:"id"`
	// Unpadded base64url, as are all bytes here.
	RawID    string          `json:"rawId"`
	Response PasskeyResponse `json:"response"`
	Type     string          `json:"type"`
}

// PasskeyResponse is the schema PasskeyAnswerResponseStruct in the document.
type PasskeyResponse struct {
	AuthenticatorData string `json:"authenticatorData"`
	ClientDataJSON    string `json:"clientDataJSON"`
	Signature         string `json:"signature"`
	UserHandle        string `json:"userHandle,omitempty"`
}

// PreviewRequest is the schema PreviewInputBody in the document.
type PreviewRequest struct {
	// Of how many numbers that were not looked up in the last week WhatsApp is asked now, in batches with pauses; 50 when it is left out.
	Check *int `json:"check,omitempty"`
	// The ISO country of recipients' numbers that are written without a country code; the service's own when it is left out.
	DefaultRegion string `json:"default_region,omitempty"`
	// Only plan it: it can be edited, and is started or scheduled later.
	Draft bool `json:"draft,omitempty"`
	// When it may send; the service's hours when it is left out.
	Hours *Hours `json:"hours,omitempty"`
	// How fast it sends; what is left out is as the session's.
	Limits *Limits `json:"limits,omitempty"`
	// Show a preview of the first link in the text.
	LinkPreview bool `json:"link_preview,omitempty"`
	// A saved contact list instead.
	ListID string `json:"list_id,omitempty"`
	// Which column a placeholder stands for, where the two are called differently.
	Mapping map[string]string `json:"mapping,omitempty"`
	// A file that goes with the text.
	Media *Media `json:"media,omitempty"`
	// What people call it.
	Name string `json:"name,omitempty"`
	// The people; a larger audience comes as a file.
	Recipients []Recipient `json:"recipients,omitempty"`
	// How many messages are rendered; 5 when it is left out.
	Samples int `json:"samples,omitempty"`
	// When it begins; at once when it is left out.
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`
	// The session that sends.
	SessionID string `json:"session_id"`
	// Only the contacts of the list with one of these tags.
	Tags []string `json:"tags,omitempty"`
	// The message; {{column}} stands for a field of the recipient, {{column|text}} with a fallback. The caption, when there is a file.
	Text string `json:"text,omitempty"`
	// Show that somebody types before each message.
	Typing bool `json:"typing,omitempty"`
	// Further texts. Each recipient gets one of all of them, always the same one.
	Variants []string `json:"variants,omitempty"`
	// Skip people who never wrote to the session. Such a campaign goes on while WhatsApp locks the account for strangers.
	WarmOnly bool `json:"warm_only,omitempty"`
}

// Preview is the schema PreviewView in the document.
type Preview struct {
	// What a text may name.
	Columns   []string `json:"columns"`
	Duplicate int      `json:"duplicate"`
	// When it would end, by its pace, its limits and its hours. Other campaigns of the session are not in it.
	EndsAt time.Time `json:"ends_at"`
	// A stable code for why numbers could not be looked up now.
	LookupProblem string `json:"lookup_problem,omitempty"`
	// Valid rows of people who never wrote to the session.
	NewContacts   int `json:"new_contacts"`
	NotOnWhatsapp int `json:"not_on_whatsapp"`
	OnWhatsapp    int `json:"on_whatsapp"`
	// Where the phone numbers are.
	PhoneColumn string `json:"phone_column"`
	// Rows that cannot be written to; duplicates are counted apart.
	Rejected int `json:"rejected"`
	// The first 100 refused rows.
	Rejections []Rejection `json:"rejections,omitempty"`
	Rows       int         `json:"rows"`
	Samples    []Sample    `json:"samples"`
	StartsAt   time.Time   `json:"starts_at"`
	// Valid rows that would be skipped: they asked not to be written to.
	Suppressed int `json:"suppressed"`
	// Valid rows whose number nobody has looked up in the last week; asking for the preview again checks more.
	Unchecked int `json:"unchecked"`
	// Rows that would get the message.
	Valid int `json:"valid"`
}

// Prompt is the schema PromptView in the document.
type Prompt struct {
	// The 8 characters to type on the phone, or, in the state passkey_confirm, to compare with those on the phone.
	Code string `json:"code,omitempty"`
	// When it is replaced or expires.
	Deadline time.Time `json:"deadline"`
	// Counts the QR codes of this attempt, from 1.
	Index int `json:"index,omitempty"`
	// WhatsApp's question for a passkey: the publicKey of navigator.credentials.get, as JSON (PublicKeyCredential.parseRequestOptionsFromJSON reads it). The answer goes to link/passkey.
	Passkey json.RawMessage `json:"passkey,omitempty"`
	// The text of the QR code; also served as link/qr.svg and link/qr.png.
	QR string `json:"qr,omitempty"`
}

// Queue is the schema QueueView in the document.
type Queue struct {
	// When it is likely to begin. Nobody knows how long those ahead take to scan.
	EstimatedStartAt time.Time `json:"estimated_start_at"`
	// The same in seconds from now.
	EstimatedWaitSeconds int `json:"estimated_wait_seconds"`
	// 1 is next.
	Position int `json:"position"`
	// A stable code for what it waits for.
	WaitsFor string `json:"waits_for,omitempty"`
}

// Recipient is the schema RecipientSpec in the document.
type Recipient struct {
	// What the placeholders stand for.
	Fields map[string]string `json:"fields,omitempty"`
	// A phone number; without a country code it is one of the default region.
	Phone string `json:"phone"`
}

// Refused is the schema Refused in the document.
type Refused struct {
	Code    string `json:"code"`
	Entry   uint64 `json:"entry"`
	Message string `json:"message"`
}

// Rejection is the schema RejectionView in the document.
type Rejection struct {
	Code   string `json:"code"`
	Column string `json:"column,omitempty"`
	// What is wrong, and what to do.
	Reason string `json:"reason"`
	// The row number in the file; the header is row 1.
	Row int `json:"row"`
	// What stood there.
	Value string `json:"value,omitempty"`
}

// Replay is the schema ReplayAdvice in the document.
type Replay struct {
	// Whether it may be replayed without force.
	Safe bool   `json:"safe"`
	Why  string `json:"why"`
}

// ReplayRequest is the schema ReplayInputBody in the document.
type ReplayRequest struct {
	// Replay it although its class says that this is not safe.
	Force bool `json:"force,omitempty"`
}

// ReplayManyRequest is the schema ReplayManyInputBody in the document.
type ReplayManyRequest struct {
	// Begin behind this entry: next of the call before.
	After      uint64    `json:"after,omitempty"`
	Before     time.Time `json:"before,omitzero"`
	CampaignID string    `json:"campaign_id,omitempty"`
	Class      string    `json:"class,omitempty"`
	// Only count.
	DryRun bool `json:"dry_run,omitempty"`
	// Replay those, too, whose class says that this is not safe.
	Force bool   `json:"force,omitempty"`
	Kind  string `json:"kind,omitempty"`
	// The most jobs of this call.
	Limit int `json:"limit,omitempty"`
	// How many a second; never more than the server's own limit.
	PerSecond float64   `json:"per_second,omitempty"`
	SessionID string    `json:"session_id,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Text      string    `json:"text,omitempty"`
	// Go no further than this entry; absent: the last one there is now. Give the one that the first call answered, so that jobs that fail again are left.
	Until uint64 `json:"until,omitempty"`
}

// ReplayAnswer is the schema ReplayOutputBody in the document.
type ReplayAnswer struct {
	// The identity of the new job.
	MessageID string `json:"message_id"`
}

// Reply is the schema ReplyView in the document.
type Reply struct {
	At time.Time `json:"at"`
	// What it answers.
	DeliveryID string `json:"delivery_id"`
	// It asks not to be written to any more.
	OptOut bool   `json:"opt_out,omitempty"`
	Phone  string `json:"phone"`
	Text   string `json:"text"`
}

// RetryRequest is the schema RetryInputBody in the document.
type RetryRequest struct {
	// failed: those that were refused or could not be sent. unknown: those of which nobody knows whether they left; sent again under the same id, so that a phone keeps one copy.
	Scope string `json:"scope,omitempty"`
}

// Retries is the schema RetryView in the document.
type Retries struct {
	// How often it is tried before it fails.
	Attempts int    `json:"attempts"`
	Kind     string `json:"kind"`
	// to this.
	MaxDelay string `json:"max_delay"`
	// The wait before the next attempt is random, below a ceiling that doubles from this
	MinDelay string `json:"min_delay"`
}

// Sample is the schema SampleView in the document.
type Sample struct {
	Phone string `json:"phone"`
	Row   int    `json:"row"`
	Text  string `json:"text"`
}

// ScheduleRequest is the schema ScheduleInputBody in the document.
type ScheduleRequest struct {
	// When it begins.
	At time.Time `json:"at"`
}

// Webhook is the schema SecretOutputBody in the document.
type Webhook struct {
	CreatedAt time.Time `json:"created_at"`
	Enabled   bool      `json:"enabled"`
	Events    []string  `json:"events"`
	// Until when the secret before the last rotation signs, too; absent: it does not.
	FormerSecretUntil time.Time `json:"former_secret_until,omitzero"`
	ID                string    `json:"id"`
	// Why it is not enabled, when that was not a person: gone, the receiver answered 410.
	Reason string `json:"reason,omitempty"`
	// What the receiver checks signatures with (Standard Webhooks). It is shown now and never again.
	Secret    string    `json:"secret,omitempty"`
	UpdatedAt time.Time `json:"updated_at"`
	URL       string    `json:"url"`
	// The user whose events it is told; absent: those of all users.
	UserID string `json:"user_id,omitempty"`
}

// NewMessage is the schema SendMessageInputBody in the document.
type NewMessage struct {
	// When it may be sent. A single message usually answers somebody, so it is sent at any time unless this says otherwise.
	Hours       *Hours `json:"hours,omitempty"`
	LinkPreview bool   `json:"link_preview,omitempty"`
	// A file that goes with the text.
	Media *Media `json:"media,omitempty"`
	// The recipient; without a country code it is a number of the default region.
	Phone string `json:"phone"`
	// The message, as it is. The caption, when there is a file.
	Text   string `json:"text,omitempty"`
	Typing bool   `json:"typing,omitempty"`
}

// SessionLimits is the schema SessionLimitsView in the document.
type SessionLimits struct {
	// What that comes to with the service's own limits and the age of the session. Trouble with WhatsApp slows it down further.
	Effective Limits `json:"effective"`
	// What was said of this session; absent when nothing was.
	Own *Limits `json:"own,omitempty"`
}

// Session is the schema SessionView in the document.
type Session struct {
	CreatedAt time.Time `json:"created_at"`
	// The network way out: direct, or the name of a proxy. Sessions with the same one share its limits.
	Egress string `json:"egress"`
	// Names the session for life.
	ID string `json:"id"`
	// The last link of this session, without what is to be scanned.
	Link *Link `json:"link,omitempty"`
	// When its last link was ready.
	LinkedAt time.Time `json:"linked_at,omitzero"`
	// What people call it.
	Name string `json:"name"`
	// The linked account's number with its middle digits hidden.
	Phone string `json:"phone,omitempty"`
	// When the phone itself last gave a sign of life, within a few hours.
	PhoneSeenAt time.Time `json:"phone_seen_at,omitzero"`
	// A stable code for why it is in this state.
	Reason string `json:"reason,omitempty"`
	// What it is doing now.
	State string `json:"state"`
	// When it may send again, while it is paused and WhatsApp said so.
	Until time.Time `json:"until,omitzero"`
	// The web app's user that the session belongs to.
	UserID string `json:"user_id"`
	// What somebody should do something about before it breaks.
	Warning *Note `json:"warning,omitempty"`
}

// CampaignSettings is the schema SettingsView in the document.
type CampaignSettings struct {
	ClonedFrom string `json:"cloned_from,omitempty"`
	Hours      Hours  `json:"hours"`
	// Absent: as the session.
	Limits      *Limits           `json:"limits,omitempty"`
	LinkPreview bool              `json:"link_preview,omitempty"`
	Mapping     map[string]string `json:"mapping,omitempty"`
	Media       *Attachment       `json:"media,omitempty"`
	ScheduledAt time.Time         `json:"scheduled_at,omitzero"`
	Typing      bool              `json:"typing,omitempty"`
	Variants    []string          `json:"variants,omitempty"`
	WarmOnly    bool              `json:"warm_only,omitempty"`
}

// StartLinkRequest is the schema StartLinkInputBody in the document.
type StartLinkRequest struct {
	// How the phone is asked: a QR code to scan, or 8 characters to type.
	Method string `json:"method,omitempty"`
	// The phone's own number in international form; only for the method code.
	Phone string `json:"phone,omitempty"`
}

// Suppression is the schema SuppressionView in the document.
type Suppression struct {
	CreatedAt time.Time `json:"created_at"`
	Phone     string    `json:"phone"`
	// opt_out: the person asked for it. blocked: an operator did.
	Reason string `json:"reason"`
	// Who or what added it.
	Source string `json:"source,omitempty"`
}

// TestWebhookAnswer is the schema TestWebhookOutputBody in the document.
type TestWebhookAnswer struct {
	// The id that the receiver gets it under, and that the log names it by.
	DeliveryID string `json:"delivery_id"`
}

// Text is the schema TextView in the document.
type Text struct {
	En string `json:"en"`
	Es string `json:"es"`
}

// WebhookAttempt is the schema WebhookAttemptView in the document.
type WebhookAttempt struct {
	At   time.Time `json:"at"`
	Code string    `json:"code,omitempty"`
	// The webhook-id of the request: the same for every attempt at the same event.
	DeliveryID string `json:"delivery_id"`
	Event      string `json:"event"`
	// What was wrong, for a person.
	Message string `json:"message,omitempty"`
	// again: it is tried again, if attempts are left; refused: it is not.
	Outcome string `json:"outcome"`
	// What the receiver answered; absent: nothing.
	Status int   `json:"status,omitempty"`
	TookMS int64 `json:"took_ms"`
}

// SetEgressRequest is the body of set-egress in the document.
type SetEgressRequest struct {
	// Change the way of a linked session all the same. WhatsApp sees its device come from another address, and may log it out.
	Move bool `json:"move,omitempty"`
	// The address of the proxy: http, https or socks5, with user and password if it asks for them.
	Proxy string `json:"proxy"`
}
