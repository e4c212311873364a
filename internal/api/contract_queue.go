package api

import (
	"encoding/json"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

const storyWebhook = "whk_0197a1b2-0000-7000-8000-000000000007"

// storyJob is the job of the story's campaign, as the queue has it.
func storyJob() json.RawMessage {
	encoded, err := json.Marshal(events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: storyCampaign, SessionID: storySession, Slice: 1, RequestedAt: storyTime()})
	if err != nil {
		return nil
	}
	return encoded
}

func storyFailed() FailedJobView {
	failure := FailureView{Class: fault.RetryLater, Code: "session_not_hosted", Message: "No worker has this session open at the moment; try again", At: after(time.Hour)}
	safe, why := failure.Class.Replay()
	return FailedJobView{Entry: 17, Kind: events.RunCampaign{}.Kind(), Subject: "commands.campaign." + storyCampaign, Stream: events.StreamCommands, Sequence: 204,
		Consumer: "sender", MessageID: "run:" + storyCampaign + ":1", SessionID: storySession, CampaignID: storyCampaign, Worker: "sender-1", Attempts: 10,
		QueuedAt: storyTime(), FailedAt: after(time.Hour), FirstError: failure, LastError: failure, Replay: ReplayAdvice{Safe: safe, Why: why}, Schema: 1}
}

func contractOfFailedJobs() map[string]described {
	whole := storyFailed()
	whole.Payload = storyJob()
	edited := whole
	edited.Edit = &EditView{Payload: storyJob(), By: "marta", At: after(2 * time.Hour)}
	noFailed := refuses(fault.NotFound, "no_failed_job", "There is no such failed job; it may have been replayed or discarded")
	interrupted := refuses(fault.Conflict, "replay_interrupted", "An earlier replay of this job was interrupted, and it may have run. Look whether it did, then discard it, or ask for the replay with force")
	changed := refuses(fault.Conflict, "changed_meanwhile", "Somebody else works on this failed job at this moment; look at it again")
	many := ManyView{Until: 17, Matched: 1, Done: 1, Refused: []Refused{}}
	total := FailedGroupView{Kind: whole.Kind, Class: fault.RetryLater, Count: 1, Oldest: whole.FailedAt, Newest: whole.FailedAt, Replay: whole.Replay}
	return map[string]described{
		"list-failed-jobs": {tag: "Failed jobs", text: "Lists the jobs that the workers gave up, without their payloads, a page at a time. They stay for 30 days.",
			answer: listBody[FailedJobView]{Items: []FailedJobView{storyFailed()}}, refusals: []*fault.Error{badCursor(), queueAway()}},
		"count-failed-jobs": {tag: "Failed jobs", text: "Counts failed jobs by kind and class, the largest group first.", answer: object{"total": 1, "groups": []FailedGroupView{total}},
			refusals: []*fault.Error{queueAway()}},
		"get-failed-job": {tag: "Failed jobs", text: "Gives a failed job with its payload, and what an operator put in its place.", answer: whole, refusals: []*fault.Error{noFailed, queueAway()}},
		"edit-failed-job": {tag: "Failed jobs", text: "Puts a payload in the place of a job's own, for its replay. It must be a whole command for the same subject.",
			body: bodyOf(func(input *editFailedJobInput) any {
				input.Body.Payload = storyJob()
				return input.Body
			}),
			answer: edited, refusals: []*fault.Error{noFailed, interrupted, changed, queueAway(),
				refuses(fault.Conflict, "not_a_job", "This entry is no job that could run again; discard it"),
				refuses(fault.Invalid, "invalid_payload", "The payload does not hold: it is for another campaign. Correct it and send it again")}},
		"replay-failed-job": {tag: "Failed jobs",
			text: "Lets a failed job run again, once, under an identity of its own, and takes it out of this list. What could do harm, as a message whose outcome is unknown, needs force.",
			body: bodyOf(func(input *replayInput) any {
				input.Body.Force = true
				return input.Body
			}),
			answer: object{"message_id": "run:" + storyCampaign + ":1:r1"},
			refusals: []*fault.Error{noFailed, interrupted, changed, queueAway(),
				refuses(fault.Conflict, "replay_unsafe", "A replay is not safe: the message may have arrived; check its receipts first. Ask for it with force if it is to be done all the same"),
				refuses(fault.Conflict, "job_active", "A job for the same thing is in the queue already; wait until it has ended"),
				refuses(fault.Conflict, "not_a_job", "This entry is no job that could run again; discard it")}},
		"discard-failed-job": {tag: "Failed jobs", text: "Takes a failed job out for good. The audit keeps why.",
			body: bodyOf(func(input *discardInput) any {
				input.Body.Reason = "The campaign was sent by hand."
				return input.Body
			}),
			refusals: []*fault.Error{noFailed, queueAway()}},
		"replay-failed-jobs": {tag: "Failed jobs",
			text: "Replays those that match, a batch at a time, at a pace that leaves the queue to the work of the day. Call it with next until that is zero; dry_run only counts.",
			body: object{"class": "retry_later", "limit": 100}, answer: many, refusals: []*fault.Error{queueAway()}},
		"discard-failed-jobs": {tag: "Failed jobs", text: "Discards those that match, a batch at a time, as replay-failed-jobs replays them.",
			body: object{"campaign_id": storyCampaign, "reason": "The campaign was sent by hand."}, answer: many, refusals: []*fault.Error{queueAway()}},
	}
}

func queueAway() *fault.Error {
	return refuses(fault.RetryLater, "queue_unavailable", "The queue did not answer; try again").WithAfter(time.Second)
}

func contractOfJobs() map[string]described {
	job := JobView{Sequence: 204, State: events.JobRunning, Kind: events.RunCampaign{}.Kind(), Subject: "commands.campaign." + storyCampaign,
		MessageID: "run:" + storyCampaign + ":1", SessionID: storySession, CampaignID: storyCampaign, QueuedAt: storyTime(), Attempt: 1, MaxAttempts: 10,
		Worker: "sender-1", Since: pointer(after(time.Second)), Heartbeat: pointer(after(10 * time.Second))}
	whole, waiting := job, job
	whole.Payload = storyJob()
	waiting.State, waiting.Attempt, waiting.Worker, waiting.Since, waiting.Heartbeat = events.JobPending, 0, "", nil, nil
	noJob := refuses(fault.NotFound, "no_job", "There is no such job in the queue; it has ended, or it failed and is among the failed jobs")
	queue := ConsumerView{Consumer: "sender", Stream: events.StreamCommands, Description: "Campaigns to run", Pending: 3, InHand: 5, MaxInHand: 5, Oldest: pointer(storyTime()),
		Retries: &RetryView{Kind: events.RunCampaign{}.Kind(), Attempts: 10, MinDelay: "1s", MaxDelay: "5m0s"}}
	return map[string]described{
		"list-jobs": {tag: "Jobs", text: "Lists the jobs that have not ended, oldest first, as the queue itself tells: it is right after a crash, too.", answer: listBody[JobView]{Items: []JobView{job}},
			refusals: []*fault.Error{badCursor(), queueAway()}},
		"get-job": {tag: "Jobs", text: "Gives a job with its payload.", answer: whole, refusals: []*fault.Error{noJob, queueAway()}},
		"cancel-job": {tag: "Jobs", text: "Ends what a job is for, and takes it out of the queue: a link is cancelled, a campaign paused. A job that a worker has is not cancelled here.", answer: waiting,
			refusals: []*fault.Error{noJob, queueAway(), changedMeanwhile(),
				refuses(fault.Conflict, "job_in_hand", "The job is running; cancel its link, pause its campaign, or disable its webhook")}},
		"list-queues": {tag: "Jobs", text: "Shows for each consumer how much there is to do, how old the oldest is, and how its jobs are tried again.", answer: listBody[ConsumerView]{Items: []ConsumerView{queue}},
			refusals: []*fault.Error{queueAway()}},
	}
}

func contractOfWebhooks() map[string]described {
	view := WebhookView{ID: storyWebhook, UserID: storyUser, URL: "https://app.example.com/hooks/broadcaster", Events: []string{"campaign_changed", "message_receipt"}, Enabled: true,
		CreatedAt: storyTime(), UpdatedAt: storyTime()}
	shown := secretOutput{}.Body
	shown.WebhookView, shown.Secret = view, "whsec_c3RvcnkgZXhhbXBsZSBub3QgYSBzZWNyZXQ="
	badURL := refuses(fault.Invalid, "bad_webhook_url", "The address cannot be used: it must begin with https://")
	noEvents := refuses(fault.Invalid, "no_events", "A webhook needs at least one event; * stands for all of them")
	badEvent := refuses(fault.Invalid, "bad_event", `There is no event "campaign"; there are campaign_changed, link_changed, message_received`)
	noKey := refuses(fault.Conflict, "webhook_key_required", "There is no key to seal the secrets of webhooks with; give the API the same EGRESS_KEY as every linker and sender")
	return map[string]described{
		"create-webhook": {tag: "Webhooks", text: "Subscribes an address to events. The answer alone shows the secret that the receiver checks signatures with; a request that is repeated under the same key makes no second one.",
			body: bodyOf(func(input *createWebhookInput) any {
				input.Body.URL, input.Body.Events, input.Body.UserID = view.URL, view.Events, storyUser
				return input.Body
			}),
			answer: shown, refusals: []*fault.Error{badURL, badEvent, noEvents, noKey,
				refuses(fault.Conflict, "webhook_exists", "This request made its webhook before, and the secret is shown once; rotate the secret to get one")}},
		"list-webhooks":  {tag: "Webhooks", text: "Lists webhooks without their secrets, a page at a time.", answer: listBody[WebhookView]{Items: []WebhookView{view}}, refusals: []*fault.Error{badCursor()}},
		"get-webhook":    {tag: "Webhooks", text: "Gives a webhook without its secret.", answer: view, refusals: []*fault.Error{noRecord()}},
		"delete-webhook": {tag: "Webhooks", text: "Removes a webhook. What waits for it is dropped.", refusals: []*fault.Error{noRecord()}},
		"edit-webhook": {tag: "Webhooks", text: "Changes a webhook; what is left out stays. A webhook whose receiver answered 410 is enabled again by this.",
			body: bodyOf(func(input *editWebhookInput) any {
				input.Body.Enabled = pointer(true)
				return input.Body
			}),
			answer: view, refusals: []*fault.Error{noRecord(), changedMeanwhile(), badURL, badEvent, noEvents}},
		"rotate-webhook": {tag: "Webhooks", text: "Gives a webhook a new secret, which the answer alone shows. The former one signs beside it for a day, so that nothing is missed.", answer: shown,
			refusals: []*fault.Error{noRecord(), changedMeanwhile(), noKey}},
		"test-webhook": {tag: "Webhooks", text: "Tells a webhook of an event that is only a test, whatever events it wants.", answer: object{"delivery_id": "dlv_0197a1b2"},
			refusals: []*fault.Error{noRecord(), refuses(fault.Conflict, "webhook_disabled", "The webhook is disabled; enable it first"), queueAway()}},
		"list-webhook-deliveries": {tag: "Webhooks", text: "Lists the last requests to the receiver with what it answered, newest first.",
			answer: listBody[WebhookAttemptView]{Items: []WebhookAttemptView{{At: after(time.Minute), DeliveryID: "dlv_0197a1b2", Event: "campaign_changed", Outcome: webhook.Outcome("delivered"),
				Status: 204, TookMS: 87}}},
			refusals: []*fault.Error{noRecord(), badCursor()}},
	}
}
