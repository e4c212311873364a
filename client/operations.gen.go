// Code generated from docs/openapi.json by `make update-golden`. DO NOT EDIT.

package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// ListAuditQuery narrows ListAudit; what is zero is not said.
type ListAuditQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
}

func (q ListAuditQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	return values
}

// ListAudit is list-audit. Lists what must be provable later, newest first: opt-outs, deletions, repairs of the queue, webhooks.
func (o Operations) ListAudit(ctx context.Context, query ListAuditQuery, options ...Option) (answer Page[Audit], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/audit", query: query.values(), options: options}, &answer)
	return answer, err
}

// GetCaller is get-caller. Gives who the key of this request is: a way to try a key.
func (o Operations) GetCaller(ctx context.Context, options ...Option) (answer Caller, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/caller", options: options}, &answer)
	return answer, err
}

// ListCampaignsQuery narrows ListCampaigns; what is zero is not said.
type ListCampaignsQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
	// Only the campaigns of this user.
	UserID string
	// Only the campaigns of this session.
	SessionID string
	// Only campaigns in one of these states.
	State []string
}

func (q ListCampaignsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	set(values, "user_id", q.UserID)
	set(values, "session_id", q.SessionID)
	set(values, "state", q.State)
	return values
}

// ListCampaigns is list-campaigns. Lists campaigns without their counts, a page at a time. Single messages are not among them.
func (o Operations) ListCampaigns(ctx context.Context, query ListCampaignsQuery, options ...Option) (answer Page[Campaign], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/campaigns", query: query.values(), options: options}, &answer)
	return answer, err
}

// CreateCampaign is create-campaign. Plans a campaign, one delivery for each recipient, and starts it unless it is a draft or has its time later. A row that cannot be written to is refused and listed; the others are sent.
func (o Operations) CreateCampaign(ctx context.Context, body CreateCampaignRequest, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns", body: body, options: options}, &answer)
	return answer, err
}

// PreviewCampaign is preview-campaign. Says what a campaign would be: the messages of the first recipients, the rows that would be refused, how many have WhatsApp, and when it would end. Nothing is stored or sent.
func (o Operations) PreviewCampaign(ctx context.Context, body PreviewRequest, options ...Option) (answer Preview, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/preview", body: body, options: options}, &answer)
	return answer, err
}

// PreviewCampaignUploadForm has the fields of PreviewCampaignUpload beside the file; what is zero is not said.
type PreviewCampaignUploadForm struct {
	// Of how many numbers WhatsApp is asked now; 50 when it is left out.
	Check int
	// The ISO country of numbers written without a country code.
	DefaultRegion string
	// The column of the phone numbers; guessed from the header when it is left out.
	PhoneColumn string
	// How many messages are rendered; 5 when it is left out.
	Samples int
	// The session that would send.
	SessionID string
	// What else is said of the campaign, as the JSON of the body of create-campaign without its recipients.
	Settings string
	// The message; {{column}} stands for a column of the file.
	Text string
}

func (f PreviewCampaignUploadForm) values() url.Values {
	values := url.Values{}
	set(values, "check", f.Check)
	set(values, "default_region", f.DefaultRegion)
	set(values, "phone_column", f.PhoneColumn)
	set(values, "samples", f.Samples)
	set(values, "session_id", f.SessionID)
	set(values, "settings", f.Settings)
	set(values, "text", f.Text)
	return values
}

// PreviewCampaignUpload is preview-campaign-upload. Does what preview-campaign does with the recipients of a file.
func (o Operations) PreviewCampaignUpload(ctx context.Context, file Upload, form PreviewCampaignUploadForm, options ...Option) (answer Preview, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/preview/upload", upload: &file, form: form.values(), options: options}, &answer)
	return answer, err
}

// UploadCampaignForm has the fields of UploadCampaign beside the file; what is zero is not said.
type UploadCampaignForm struct {
	// The ISO country of numbers written without a country code.
	DefaultRegion string
	// What people call it.
	Name string
	// The column of the phone numbers; guessed from the header when it is left out.
	PhoneColumn string
	// The session that sends.
	SessionID string
	// What else is said of the campaign, as the JSON of the body of create-campaign without its recipients.
	Settings string
	// The message; {{column}} stands for a column of the file.
	Text string
}

func (f UploadCampaignForm) values() url.Values {
	values := url.Values{}
	set(values, "default_region", f.DefaultRegion)
	set(values, "name", f.Name)
	set(values, "phone_column", f.PhoneColumn)
	set(values, "session_id", f.SessionID)
	set(values, "settings", f.Settings)
	set(values, "text", f.Text)
	return values
}

// UploadCampaign is upload-campaign. Does what create-campaign does with the recipients of a file, which is read as it arrives: a million rows are fine.
func (o Operations) UploadCampaign(ctx context.Context, file Upload, form UploadCampaignForm, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/upload", upload: &file, form: form.values(), options: options}, &answer)
	return answer, err
}

// DeleteCampaign is delete-campaign. Deletes a draft, or a campaign that has ended, with its recipients. The audit keeps that it was, and what came of it.
func (o Operations) DeleteCampaign(ctx context.Context, id string, options ...Option) error {
	return o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/campaigns/" + escape(id), options: options}, nil)
}

// GetCampaign is get-campaign. Gives a campaign with how many deliveries are in each state. They add up to the size of the plan.
func (o Operations) GetCampaign(ctx context.Context, id string, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/campaigns/" + escape(id), options: options}, &answer)
	return answer, err
}

// EditCampaign is edit-campaign. Changes a draft or a scheduled campaign. What is left out stays, and so do its recipients: another audience is another campaign.
func (o Operations) EditCampaign(ctx context.Context, id string, body EditCampaignRequest, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPatch, path: "/v1/campaigns/" + escape(id), body: body, options: options}, &answer)
	return answer, err
}

// CancelCampaign is cancel-campaign. Stops a campaign for good before its next message. What was sent stays in its results.
func (o Operations) CancelCampaign(ctx context.Context, id string, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/" + escape(id) + "/cancel", options: options}, &answer)
	return answer, err
}

// CloneCampaign is clone-campaign. Makes a draft with the same text, settings and recipients, or those of them whose delivery is in some states.
func (o Operations) CloneCampaign(ctx context.Context, id string, body CloneRequest, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/" + escape(id) + "/clone", body: body, options: options}, &answer)
	return answer, err
}

// ListDeliveriesQuery narrows ListDeliveries; what is zero is not said.
type ListDeliveriesQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
	// Only deliveries in this state.
	State string
}

func (q ListDeliveriesQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	set(values, "state", q.State)
	return values
}

// ListDeliveries is list-deliveries. Lists what happened to each recipient, in the order of sending, a page at a time.
func (o Operations) ListDeliveries(ctx context.Context, id string, query ListDeliveriesQuery, options ...Option) (answer Page[Delivery], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/campaigns/" + escape(id) + "/deliveries", query: query.values(), options: options}, &answer)
	return answer, err
}

// ExportDeliveriesCSV is export-deliveries-csv. Gives what happened to each recipient with the fields of their row as CSV in UTF-8 with a byte order mark. No cell is run as a formula.
func (o Operations) ExportDeliveriesCSV(ctx context.Context, id string, options ...Option) (io.ReadCloser, error) {
	return o.client.open(ctx, outgoing{method: http.MethodGet, path: "/v1/campaigns/" + escape(id) + "/deliveries.csv", options: options})
}

// ExportDeliveriesXLSX is export-deliveries-xlsx. Gives the same as a spreadsheet in which every cell is text, so that no number is rounded.
func (o Operations) ExportDeliveriesXLSX(ctx context.Context, id string, options ...Option) (io.ReadCloser, error) {
	return o.client.open(ctx, outgoing{method: http.MethodGet, path: "/v1/campaigns/" + escape(id) + "/deliveries.xlsx", options: options})
}

// PauseCampaign is pause-campaign. Holds a campaign before its next message. It frees its place among the campaigns that run.
func (o Operations) PauseCampaign(ctx context.Context, id string, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/" + escape(id) + "/pause", options: options}, &answer)
	return answer, err
}

// ListRejectionsQuery narrows ListRejections; what is zero is not said.
type ListRejectionsQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
}

func (q ListRejectionsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	return values
}

// ListRejections is list-rejections. Lists the rows of the audience that were refused, with the reason.
func (o Operations) ListRejections(ctx context.Context, id string, query ListRejectionsQuery, options ...Option) (answer Page[Rejection], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/campaigns/" + escape(id) + "/rejections", query: query.values(), options: options}, &answer)
	return answer, err
}

// ExportRejections is export-rejections. Gives the refused rows as CSV, to be corrected and sent again.
func (o Operations) ExportRejections(ctx context.Context, id string, options ...Option) (io.ReadCloser, error) {
	return o.client.open(ctx, outgoing{method: http.MethodGet, path: "/v1/campaigns/" + escape(id) + "/rejections.csv", options: options})
}

// ListRepliesQuery narrows ListReplies; what is zero is not said.
type ListRepliesQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
}

func (q ListRepliesQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	return values
}

// ListReplies is list-replies. Lists what recipients wrote back.
func (o Operations) ListReplies(ctx context.Context, id string, query ListRepliesQuery, options ...Option) (answer Page[Reply], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/campaigns/" + escape(id) + "/replies", query: query.values(), options: options}, &answer)
	return answer, err
}

// ResumeCampaign is resume-campaign. Goes on with a paused campaign where it stopped.
func (o Operations) ResumeCampaign(ctx context.Context, id string, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/" + escape(id) + "/resume", options: options}, &answer)
	return answer, err
}

// RetryCampaign is retry-campaign. Opens what failed again and lets the campaign run for it. Whoever has the message is not written to again.
func (o Operations) RetryCampaign(ctx context.Context, id string, body RetryRequest, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/" + escape(id) + "/retry", body: body, options: options}, &answer)
	return answer, err
}

// ScheduleCampaign is schedule-campaign. Says when a draft or a scheduled campaign begins.
func (o Operations) ScheduleCampaign(ctx context.Context, id string, body ScheduleRequest, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/" + escape(id) + "/schedule", body: body, options: options}, &answer)
	return answer, err
}

// StartCampaign is start-campaign. Starts a draft, or a scheduled campaign before its time.
func (o Operations) StartCampaign(ctx context.Context, id string, options ...Option) (answer Campaign, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/campaigns/" + escape(id) + "/start", options: options}, &answer)
	return answer, err
}

// ListEgresses is list-egresses. Lists the ways out that sessions have, and the direct one, with their links and rests.
func (o Operations) ListEgresses(ctx context.Context, options ...Option) (answer ListEgressesAnswer, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/egresses", options: options}, &answer)
	return answer, err
}

// ResetEgress is reset-egress. Ends the rest of a way out after logouts, and its circuit breaker. Do it when the reason is understood: the rests protect the accounts.
func (o Operations) ResetEgress(ctx context.Context, id string, options ...Option) (answer EgressState, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/egresses/" + escape(id) + "/reset", options: options}, &answer)
	return answer, err
}

// StreamEventsQuery narrows StreamEvents; what is zero is not said.
type StreamEventsQuery struct {
	// The same, for the first time, when an EventSource cannot set headers. The header counts more.
	After string
	// Only events of these kinds, separated by commas.
	Kind []string
	// Only events about this session.
	SessionID string
	// Only events about this campaign.
	CampaignID string
}

func (q StreamEventsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "kind", q.Kind)
	set(values, "session_id", q.SessionID)
	set(values, "campaign_id", q.CampaignID)
	return values
}

// StreamEvents is stream-events. Follows what happens, as server-sent events named by their kind. Their ids go up, with holes; a reader that was cut off comes again with the last one as Last-Event-ID and misses nothing that is kept. An event named gap says that some is not kept any more, one named slow ends a reader that is too slow. A comment every 15 seconds says that the stream is alive. A stream ends after ten minutes, and with its key.
func (o Operations) StreamEvents(ctx context.Context, query StreamEventsQuery, options ...Option) (io.ReadCloser, error) {
	return o.client.open(ctx, outgoing{method: http.MethodGet, path: "/v1/events", query: query.values(), options: options})
}

// ListFailedJobsQuery narrows ListFailedJobs; what is zero is not said.
type ListFailedJobsQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
	// Only jobs of this kind.
	Kind string
	// Only jobs whose last error is of this class.
	Class string
	// Only jobs of this session.
	SessionID string
	// Only jobs of this campaign.
	CampaignID string
	// Only jobs that were given up at this time or later.
	Since time.Time
	// Only jobs that were given up before this time.
	Before time.Time
	// Only jobs whose last error holds this text, whatever its case.
	Text string
}

func (q ListFailedJobsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	set(values, "kind", q.Kind)
	set(values, "class", q.Class)
	set(values, "session_id", q.SessionID)
	set(values, "campaign_id", q.CampaignID)
	set(values, "since", q.Since)
	set(values, "before", q.Before)
	set(values, "text", q.Text)
	return values
}

// ListFailedJobs is list-failed-jobs. Lists the jobs that the workers gave up, without their payloads, a page at a time. They stay for 30 days.
func (o Operations) ListFailedJobs(ctx context.Context, query ListFailedJobsQuery, options ...Option) (answer Page[FailedJob], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/failed-jobs", query: query.values(), options: options}, &answer)
	return answer, err
}

// DiscardFailedJobs is discard-failed-jobs. Discards those that match, a batch at a time, as replay-failed-jobs replays them.
func (o Operations) DiscardFailedJobs(ctx context.Context, body DiscardManyRequest, options ...Option) (answer BulkResult, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/failed-jobs/discard", body: body, options: options}, &answer)
	return answer, err
}

// ReplayFailedJobs is replay-failed-jobs. Replays those that match, a batch at a time, at a pace that leaves the queue to the work of the day. Call it with next until that is zero; dry_run only counts.
func (o Operations) ReplayFailedJobs(ctx context.Context, body ReplayManyRequest, options ...Option) (answer BulkResult, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/failed-jobs/replay", body: body, options: options}, &answer)
	return answer, err
}

// CountFailedJobsQuery narrows CountFailedJobs; what is zero is not said.
type CountFailedJobsQuery struct {
	// Only jobs of this kind.
	Kind string
	// Only jobs whose last error is of this class.
	Class string
	// Only jobs of this session.
	SessionID string
	// Only jobs of this campaign.
	CampaignID string
	// Only jobs that were given up at this time or later.
	Since time.Time
	// Only jobs that were given up before this time.
	Before time.Time
	// Only jobs whose last error holds this text, whatever its case.
	Text string
}

func (q CountFailedJobsQuery) values() url.Values {
	values := url.Values{}
	set(values, "kind", q.Kind)
	set(values, "class", q.Class)
	set(values, "session_id", q.SessionID)
	set(values, "campaign_id", q.CampaignID)
	set(values, "since", q.Since)
	set(values, "before", q.Before)
	set(values, "text", q.Text)
	return values
}

// CountFailedJobs is count-failed-jobs. Counts failed jobs by kind and class, the largest group first.
func (o Operations) CountFailedJobs(ctx context.Context, query CountFailedJobsQuery, options ...Option) (answer FailedStatsAnswer, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/failed-jobs/stats", query: query.values(), options: options}, &answer)
	return answer, err
}

// GetFailedJob is get-failed-job. Gives a failed job with its payload, and what an operator put in its place.
func (o Operations) GetFailedJob(ctx context.Context, entry uint64, options ...Option) (answer FailedJob, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/failed-jobs/" + escape(entry), options: options}, &answer)
	return answer, err
}

// DiscardFailedJob is discard-failed-job. Takes a failed job out for good. The audit keeps why.
func (o Operations) DiscardFailedJob(ctx context.Context, entry uint64, body DiscardRequest, options ...Option) error {
	return o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/failed-jobs/" + escape(entry) + "/discard", body: body, options: options}, nil)
}

// EditFailedJob is edit-failed-job. Puts a payload in the place of a job's own, for its replay. It must be a whole command for the same subject.
func (o Operations) EditFailedJob(ctx context.Context, entry uint64, body EditFailedJobRequest, options ...Option) (answer FailedJob, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPut, path: "/v1/failed-jobs/" + escape(entry) + "/payload", body: body, options: options}, &answer)
	return answer, err
}

// ReplayFailedJob is replay-failed-job. Lets a failed job run again, once, under an identity of its own, and takes it out of this list. What could do harm, as a message whose outcome is unknown, needs force.
func (o Operations) ReplayFailedJob(ctx context.Context, entry uint64, body ReplayRequest, options ...Option) (answer ReplayAnswer, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/failed-jobs/" + escape(entry) + "/replay", body: body, options: options}, &answer)
	return answer, err
}

// ListJobsQuery narrows ListJobs; what is zero is not said.
type ListJobsQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
	// Only jobs in one of these states.
	State []string
}

func (q ListJobsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	set(values, "state", q.State)
	return values
}

// ListJobs is list-jobs. Lists the jobs that have not ended, oldest first, as the queue itself tells: it is right after a crash, too.
func (o Operations) ListJobs(ctx context.Context, query ListJobsQuery, options ...Option) (answer Page[Job], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/jobs", query: query.values(), options: options}, &answer)
	return answer, err
}

// GetJob is get-job. Gives a job with its payload.
func (o Operations) GetJob(ctx context.Context, sequence uint64, options ...Option) (answer Job, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/jobs/" + escape(sequence), options: options}, &answer)
	return answer, err
}

// CancelJob is cancel-job. Ends what a job is for, and takes it out of the queue: a link is cancelled, a campaign paused. A job that a worker has is not cancelled here.
func (o Operations) CancelJob(ctx context.Context, sequence uint64, options ...Option) (answer Job, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/jobs/" + escape(sequence) + "/cancel", options: options}, &answer)
	return answer, err
}

// ListKeys is list-keys. Lists API keys, those that were revoked too, without the keys themselves.
func (o Operations) ListKeys(ctx context.Context, options ...Option) (answer ListKeysAnswer, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/keys", options: options}, &answer)
	return answer, err
}

// CreateKey is create-key. Makes an API key. The answer alone shows it; the service keeps a digest. A request that is repeated under the same Idempotency-Key makes no second one.
func (o Operations) CreateKey(ctx context.Context, body CreateKeyRequest, options ...Option) (answer NewKeyAnswer, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/keys", body: body, options: options}, &answer)
	return answer, err
}

// RevokeKey is revoke-key. Revokes a key: within seconds nothing is answered to it any more, and streams that it opened end. It stays in the list.
func (o Operations) RevokeKey(ctx context.Context, id string, options ...Option) (answer Key, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/keys/" + escape(id), options: options}, &answer)
	return answer, err
}

// GetKey is get-key. Gives what is known of a key: whose it is, what it may, when it was last used.
func (o Operations) GetKey(ctx context.Context, id string, options ...Option) (answer Key, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/keys/" + escape(id), options: options}, &answer)
	return answer, err
}

// ListListsQuery narrows ListLists; what is zero is not said.
type ListListsQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
}

func (q ListListsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	return values
}

// ListLists is list-lists. Lists the contact lists, a page at a time.
func (o Operations) ListLists(ctx context.Context, query ListListsQuery, options ...Option) (answer Page[List], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/lists", query: query.values(), options: options}, &answer)
	return answer, err
}

// CreateList is create-list. Makes an empty contact list for a user.
func (o Operations) CreateList(ctx context.Context, body CreateListRequest, options ...Option) (answer List, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/lists", body: body, options: options}, &answer)
	return answer, err
}

// DeleteList is delete-list. Deletes a contact list with its contacts. Campaigns that were planned from it keep their recipients.
func (o Operations) DeleteList(ctx context.Context, id string, options ...Option) error {
	return o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/lists/" + escape(id), options: options}, nil)
}

// GetList is get-list. Gives a contact list without its contacts.
func (o Operations) GetList(ctx context.Context, id string, options ...Option) (answer List, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/lists/" + escape(id), options: options}, &answer)
	return answer, err
}

// ListContactsQuery narrows ListContacts; what is zero is not said.
type ListContactsQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
}

func (q ListContactsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	return values
}

// ListContacts is list-contacts. Lists the contacts of a list, a page at a time.
func (o Operations) ListContacts(ctx context.Context, id string, query ListContactsQuery, options ...Option) (answer Page[Contact], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/lists/" + escape(id) + "/contacts", query: query.values(), options: options}, &answer)
	return answer, err
}

// AddContacts is add-contacts. Adds contacts to a list. A number that is in it is replaced; one that cannot be written to is refused and named.
func (o Operations) AddContacts(ctx context.Context, id string, body AddContactsRequest, options ...Option) (answer Import, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/lists/" + escape(id) + "/contacts", body: body, options: options}, &answer)
	return answer, err
}

// UploadContactsForm has the fields of UploadContacts beside the file; what is zero is not said.
type UploadContactsForm struct {
	// The ISO country of numbers written without a country code.
	DefaultRegion string
	// The column of the phone numbers; guessed from the header when it is left out.
	PhoneColumn string
	// Tags that all of them get, with commas between them.
	Tags string
}

func (f UploadContactsForm) values() url.Values {
	values := url.Values{}
	set(values, "default_region", f.DefaultRegion)
	set(values, "phone_column", f.PhoneColumn)
	set(values, "tags", f.Tags)
	return values
}

// UploadContacts is upload-contacts. Adds the contacts of a spreadsheet or a CSV file to a list.
func (o Operations) UploadContacts(ctx context.Context, id string, file Upload, form UploadContactsForm, options ...Option) (answer Import, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/lists/" + escape(id) + "/contacts/upload", upload: &file, form: form.values(), options: options}, &answer)
	return answer, err
}

// RemoveContact is remove-contact. Takes a contact out of a list.
func (o Operations) RemoveContact(ctx context.Context, id string, phone string, options ...Option) error {
	return o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/lists/" + escape(id) + "/contacts/" + escape(phone), options: options}, nil)
}

// UploadMediaForm has the fields of UploadMedia beside the file; what is zero is not said.
type UploadMediaForm struct {
	// What it is sent as; what suits it, when it is left out.
	Kind string
}

func (f UploadMediaForm) values() url.Values {
	values := url.Values{}
	set(values, "kind", f.Kind)
	return values
}

// UploadMedia is upload-media. Keeps a file for messages. What it is, is found out from its content.
func (o Operations) UploadMedia(ctx context.Context, file Upload, form UploadMediaForm, options ...Option) (answer File, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/media", upload: &file, form: form.values(), options: options}, &answer)
	return answer, err
}

// FetchMedia is fetch-media. Takes a file from a public address on the web, with three redirects at most.
func (o Operations) FetchMedia(ctx context.Context, body FetchMediaRequest, options ...Option) (answer File, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/media/fetch", body: body, options: options}, &answer)
	return answer, err
}

// DeleteMedia is delete-media. Deletes a file. A campaign that was to send it fails for the recipients that are left.
func (o Operations) DeleteMedia(ctx context.Context, id string, options ...Option) error {
	return o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/media/" + escape(id), options: options}, nil)
}

// GetMedia is get-media. Gives what is known of a file, not the file itself.
func (o Operations) GetMedia(ctx context.Context, id string, options ...Option) (answer File, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/media/" + escape(id), options: options}, &answer)
	return answer, err
}

// GetMessage is get-message. Gives what happened to a single message.
func (o Operations) GetMessage(ctx context.Context, id string, options ...Option) (answer Message, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/messages/" + escape(id), options: options}, &answer)
	return answer, err
}

// ListQueues is list-queues. Shows for each consumer how much there is to do, how old the oldest is, and how its jobs are tried again.
func (o Operations) ListQueues(ctx context.Context, options ...Option) (answer Page[Consumer], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/queues", options: options}, &answer)
	return answer, err
}

// ListSessionsQuery narrows ListSessions; what is zero is not said.
type ListSessionsQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
	// Only the sessions of this user.
	UserID string
	// Only sessions in one of these states.
	State []string
}

func (q ListSessionsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	set(values, "user_id", q.UserID)
	set(values, "state", q.State)
	return values
}

// ListSessions is list-sessions. Lists sessions in the order of their creation, a page at a time.
func (o Operations) ListSessions(ctx context.Context, query ListSessionsQuery, options ...Option) (answer Page[Session], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions", query: query.values(), options: options}, &answer)
	return answer, err
}

// CreateSession is create-session. Makes a session for a user of the web app. It is not linked to a phone yet: start-link is the next step. A user may have several.
func (o Operations) CreateSession(ctx context.Context, body CreateSessionRequest, options ...Option) (answer Session, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/sessions", body: body, options: options}, &answer)
	return answer, err
}

// DeleteSession is delete-session. Removes a session. One that is linked is first logged out by the worker that holds it, so that it leaves the phone's list of linked devices; until then its state is removing.
func (o Operations) DeleteSession(ctx context.Context, id string, options ...Option) error {
	return o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/sessions/" + escape(id), options: options}, nil)
}

// GetSession is get-session. Gives a session with its state, the reason for it, and its last link without what is to be scanned.
func (o Operations) GetSession(ctx context.Context, id string, options ...Option) (answer Session, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id), options: options}, &answer)
	return answer, err
}

// GetSessionDiagnosis is get-session-diagnosis. Says why a session was logged out: what WhatsApp said or, marked as a guess, what the events around it suggest, and what to do now.
func (o Operations) GetSessionDiagnosis(ctx context.Context, id string, options ...Option) (answer Diagnosis, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id) + "/diagnosis", options: options}, &answer)
	return answer, err
}

// DeleteEgressQuery narrows DeleteEgress; what is zero is not said.
type DeleteEgressQuery struct {
	// Change the way of a linked session all the same.
	Move bool
}

func (q DeleteEgressQuery) values() url.Values {
	values := url.Values{}
	set(values, "move", q.Move)
	return values
}

// DeleteEgress is delete-egress. Takes a session's proxy away: it uses the host's own address then.
func (o Operations) DeleteEgress(ctx context.Context, id string, query DeleteEgressQuery, options ...Option) (answer Egress, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/sessions/" + escape(id) + "/egress", query: query.values(), options: options}, &answer)
	return answer, err
}

// GetEgress is get-egress. Gives the way out of a session. User and password of a proxy are never shown.
func (o Operations) GetEgress(ctx context.Context, id string, options ...Option) (answer Egress, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id) + "/egress", options: options}, &answer)
	return answer, err
}

// SetEgress is set-egress. Gives a session a proxy. It is kept sealed, and the session never connects without it. The way of a linked session only changes with move, since WhatsApp may log out a device that comes from another address.
func (o Operations) SetEgress(ctx context.Context, id string, body SetEgressRequest, options ...Option) (answer Egress, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPut, path: "/v1/sessions/" + escape(id) + "/egress", body: body, options: options}, &answer)
	return answer, err
}

// CheckEgress is check-egress. Tries whether WhatsApp answers by a session's way out. The answer is 200 whatever was found: that the way does not work is the result.
func (o Operations) CheckEgress(ctx context.Context, id string, options ...Option) (answer EgressCheck, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/sessions/" + escape(id) + "/egress/check", options: options}, &answer)
	return answer, err
}

// GetSessionHistory is get-session-history. Gives the last 50 things that happened to a session: connections, restrictions, how much it sent, logouts.
func (o Operations) GetSessionHistory(ctx context.Context, id string, options ...Option) (answer History, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id) + "/history", options: options}, &answer)
	return answer, err
}

// GetLimits is get-limits. Gives how fast a session sends: what was said of it, and what that comes to with the service's limits and the session's age.
func (o Operations) GetLimits(ctx context.Context, id string, options ...Option) (answer SessionLimits, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id) + "/limits", options: options}, &answer)
	return answer, err
}

// SetLimits is set-limits. Says how fast a session sends. The whole of what was said before is replaced; an empty body returns to the service's limits.
func (o Operations) SetLimits(ctx context.Context, id string, body Limits, options ...Option) (answer SessionLimits, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPut, path: "/v1/sessions/" + escape(id) + "/limits", body: body, options: options}, &answer)
	return answer, err
}

// CancelLink is cancel-link. Cancels a link in whatever state it is. One that has ended stays as it ended.
func (o Operations) CancelLink(ctx context.Context, id string, options ...Option) (answer Link, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/sessions/" + escape(id) + "/link", options: options}, &answer)
	return answer, err
}

// GetLink is get-link. Gives the state of a session's link with what is to be scanned or typed now. The prompt is a secret: whoever scans it owns the link.
func (o Operations) GetLink(ctx context.Context, id string, options ...Option) (answer Link, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id) + "/link", options: options}, &answer)
	return answer, err
}

// StartLink is start-link. Asks for a link. Links run one at a time, spaced on each way out; the answer says where this one stands. A link in progress is answered with 200 as it is, so asking twice is harmless.
func (o Operations) StartLink(ctx context.Context, id string, body StartLinkRequest, options ...Option) (answer Link, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/sessions/" + escape(id) + "/link", body: body, options: options}, &answer)
	return answer, err
}

// StreamLink is stream-link. Sends the link as it is, then again at each change, until it has ended: server-sent events named link, with comments as signs of life between them. A reader that was cut off opens the stream again.
func (o Operations) StreamLink(ctx context.Context, id string, options ...Option) (io.ReadCloser, error) {
	return o.client.open(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id) + "/link/events", options: options})
}

// AnswerPasskey is answer-passkey. Hands over what the browser answered to WhatsApp's question for a passkey (navigator.credentials.get).
func (o Operations) AnswerPasskey(ctx context.Context, id string, body PasskeyAnswer, options ...Option) (answer Link, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/sessions/" + escape(id) + "/link/passkey", body: body, options: options}, &answer)
	return answer, err
}

// ConfirmPasskey is confirm-passkey. Says that a person saw the same code on the phone as in the link's prompt.
func (o Operations) ConfirmPasskey(ctx context.Context, id string, options ...Option) (answer Link, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/sessions/" + escape(id) + "/link/passkey/confirm", options: options}, &answer)
	return answer, err
}

// GetLinkQRPNG is get-link-qr-png. Draws the present QR as a PNG of 512 pixels. It is a secret, and no cache keeps it.
func (o Operations) GetLinkQRPNG(ctx context.Context, id string, options ...Option) (io.ReadCloser, error) {
	return o.client.open(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id) + "/link/qr.png", options: options})
}

// GetLinkQRSVG is get-link-qr-svg. Draws the present QR as SVG. It is a secret, and no cache keeps it.
func (o Operations) GetLinkQRSVG(ctx context.Context, id string, options ...Option) (io.ReadCloser, error) {
	return o.client.open(ctx, outgoing{method: http.MethodGet, path: "/v1/sessions/" + escape(id) + "/link/qr.svg", options: options})
}

// CreateLinkToken is create-link-token. Makes a token that shows the link of this session for some minutes and does nothing else: a web page may have it, to show the QR.
func (o Operations) CreateLinkToken(ctx context.Context, id string, options ...Option) (answer LinkTokenAnswer, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/sessions/" + escape(id) + "/link/token", options: options}, &answer)
	return answer, err
}

// SendMessage is send-message. Sends one message at the session's pace, at any time of the day unless hours says otherwise. Give it an Idempotency-Key: then it is sent once, however often it is asked for.
func (o Operations) SendMessage(ctx context.Context, id string, body NewMessage, options ...Option) (answer Message, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/sessions/" + escape(id) + "/messages", body: body, options: options}, &answer)
	return answer, err
}

// ListSuppressionsQuery narrows ListSuppressions; what is zero is not said.
type ListSuppressionsQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
}

func (q ListSuppressionsQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	return values
}

// ListSuppressions is list-suppressions. Lists the numbers that are not written to, whoever asks: those of people who opted out, and those that an operator blocked.
func (o Operations) ListSuppressions(ctx context.Context, query ListSuppressionsQuery, options ...Option) (answer Page[Suppression], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/suppressions", query: query.values(), options: options}, &answer)
	return answer, err
}

// AddSuppressions is add-suppressions. Stops writing to numbers from now on, also in campaigns that run. A number that is in the list keeps its reason.
func (o Operations) AddSuppressions(ctx context.Context, body AddSuppressionsRequest, options ...Option) (answer Import, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/suppressions", body: body, options: options}, &answer)
	return answer, err
}

// ExportSuppressions is export-suppressions. Gives all numbers that are not written to as CSV.
func (o Operations) ExportSuppressions(ctx context.Context, options ...Option) (io.ReadCloser, error) {
	return o.client.open(ctx, outgoing{method: http.MethodGet, path: "/v1/suppressions.csv", options: options})
}

// UploadSuppressionsForm has the fields of UploadSuppressions beside the file; what is zero is not said.
type UploadSuppressionsForm struct {
	//
	DefaultRegion string
	//
	PhoneColumn string
	//
	Reason string
	//
	Source string
}

func (f UploadSuppressionsForm) values() url.Values {
	values := url.Values{}
	set(values, "default_region", f.DefaultRegion)
	set(values, "phone_column", f.PhoneColumn)
	set(values, "reason", f.Reason)
	set(values, "source", f.Source)
	return values
}

// UploadSuppressions is upload-suppressions. Stops writing to the numbers of a spreadsheet or a CSV file.
func (o Operations) UploadSuppressions(ctx context.Context, file Upload, form UploadSuppressionsForm, options ...Option) (answer Import, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/suppressions/upload", upload: &file, form: form.values(), options: options}, &answer)
	return answer, err
}

// RemoveSuppression is remove-suppression. Lets a number be written to again. Do it only when the person asked for it: the audit keeps that it was done.
func (o Operations) RemoveSuppression(ctx context.Context, phone string, options ...Option) error {
	return o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/suppressions/" + escape(phone), options: options}, nil)
}

// ListWebhooksQuery narrows ListWebhooks; what is zero is not said.
type ListWebhooksQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
}

func (q ListWebhooksQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	return values
}

// ListWebhooks is list-webhooks. Lists webhooks without their secrets, a page at a time.
func (o Operations) ListWebhooks(ctx context.Context, query ListWebhooksQuery, options ...Option) (answer Page[Webhook], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/webhooks", query: query.values(), options: options}, &answer)
	return answer, err
}

// CreateWebhook is create-webhook. Subscribes an address to events. The answer alone shows the secret that the receiver checks signatures with; a request that is repeated under the same key makes no second one.
func (o Operations) CreateWebhook(ctx context.Context, body NewWebhook, options ...Option) (answer Webhook, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/webhooks", body: body, options: options}, &answer)
	return answer, err
}

// DeleteWebhook is delete-webhook. Removes a webhook. What waits for it is dropped.
func (o Operations) DeleteWebhook(ctx context.Context, id string, options ...Option) error {
	return o.client.send(ctx, outgoing{method: http.MethodDelete, path: "/v1/webhooks/" + escape(id), options: options}, nil)
}

// GetWebhook is get-webhook. Gives a webhook without its secret.
func (o Operations) GetWebhook(ctx context.Context, id string, options ...Option) (answer Webhook, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/webhooks/" + escape(id), options: options}, &answer)
	return answer, err
}

// EditWebhook is edit-webhook. Changes a webhook; what is left out stays. A webhook whose receiver answered 410 is enabled again by this.
func (o Operations) EditWebhook(ctx context.Context, id string, body WebhookChange, options ...Option) (answer Webhook, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPatch, path: "/v1/webhooks/" + escape(id), body: body, options: options}, &answer)
	return answer, err
}

// ListWebhookDeliveriesQuery narrows ListWebhookDeliveries; what is zero is not said.
type ListWebhookDeliveriesQuery struct {
	// The cursor that the previous page gave as next; empty: the first page.
	After string
	// The most items wanted.
	Size int
}

func (q ListWebhookDeliveriesQuery) values() url.Values {
	values := url.Values{}
	set(values, "after", q.After)
	set(values, "size", q.Size)
	return values
}

// ListWebhookDeliveries is list-webhook-deliveries. Lists the last requests to the receiver with what it answered, newest first.
func (o Operations) ListWebhookDeliveries(ctx context.Context, id string, query ListWebhookDeliveriesQuery, options ...Option) (answer Page[WebhookAttempt], err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodGet, path: "/v1/webhooks/" + escape(id) + "/deliveries", query: query.values(), options: options}, &answer)
	return answer, err
}

// RotateWebhook is rotate-webhook. Gives a webhook a new secret, which the answer alone shows. The former one signs beside it for a day, so that nothing is missed.
func (o Operations) RotateWebhook(ctx context.Context, id string, options ...Option) (answer Webhook, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/webhooks/" + escape(id) + "/rotate", options: options}, &answer)
	return answer, err
}

// TestWebhook is test-webhook. Tells a webhook of an event that is only a test, whatever events it wants.
func (o Operations) TestWebhook(ctx context.Context, id string, options ...Option) (answer TestWebhookAnswer, err error) {
	err = o.client.send(ctx, outgoing{method: http.MethodPost, path: "/v1/webhooks/" + escape(id) + "/test", options: options}, &answer)
	return answer, err
}
