package api_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/bus"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// yard is an API on a real queue, with a worker that fails on every campaign in the way that the campaign's id says ("cmp_poison_1"), until it is mended.
type yard struct {
	*fixture
	queue *bus.Bus
	// mended: the worker fails no more.
	mended atomic.Bool
	ran    chan campaign.ID
}

func startYard(t *testing.T) *yard {
	t.Helper()
	broker, err := embed.Start(embed.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{ran: make(chan campaign.ID, 1000)}
	y.queue, err = bus.Connect(t.Context(), bus.Options{Server: broker, Name: "worker-1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.queue.Close(); err != nil {
			t.Error(err)
		}
		if err := broker.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := y.queue.EnsureTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	y.fixture = startWith(t, func(options *api.Options, _ *sqlite.DB) {
		options.FailedJobs, options.Jobs, options.Queue = y.queue.NewFailedQueue(), y.queue, y.queue
		options.ReplaysPerSecond = 100_000
	})
	return y
}

// work takes campaign jobs until the test ends.
func (y *yard) work() {
	y.t.Helper()
	w, err := y.queue.NewWorker(bus.WorkerOptions{DrainTime: -1, Policies: map[string]bus.Policy{
		events.RunCampaign{}.Kind(): {Attempts: 2, MinDelay: time.Millisecond, MaxDelay: time.Millisecond},
	}})
	if err != nil {
		y.t.Fatal(err)
	}
	err = w.HandleRunCampaign(func(_ context.Context, job events.RunCampaign) error {
		if !y.mended.Load() {
			return fault.New(fault.Class(strings.Split(strings.TrimPrefix(string(job.CampaignID), "cmp_"), "_")[0]), "some_code", "It broke")
		}
		y.ran <- job.CampaignID
		return nil
	})
	if err != nil {
		y.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(y.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	y.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			y.t.Error(err)
		}
	})
}

func (y *yard) send(ids ...string) {
	y.t.Helper()
	for _, id := range ids {
		err := y.queue.SendCommand(y.t.Context(), events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: campaign.ID("cmp_" + id), SessionID: "ses_1", Slice: 1})
		if err != nil {
			y.t.Fatal(err)
		}
	}
}

// wait waits until something holds, which the queue tells nobody of.
func (y *yard) wait(what string, holds func() bool) {
	y.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			y.t.Fatalf("never came true: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (y *yard) total(query string) int {
	y.t.Helper()
	total, _ := y.call(http.MethodGet, "/v1/failed-jobs/stats"+query, nil).body["total"].(float64)
	return int(total)
}

func (y *yard) items(path string) []map[string]any {
	y.t.Helper()
	var found []map[string]any
	answer := y.call(http.MethodGet, path, nil)
	items, _ := answer.body["items"].([]any)
	for _, item := range items {
		found = append(found, item.(map[string]any))
	}
	return found
}

func TestFailedJobsAreFoundMendedAndReplayedWithATrace(t *testing.T) {
	t.Parallel()
	y := startYard(t)
	y.work()
	for _, id := range []string{"internal_1", "poison_2", "internal_3"} { // One after the other, so that their entries have this order.
		before := y.total("")
		y.send(id)
		y.wait("it failed", func() bool { return y.total("") == before+1 })
	}
	first := y.call(http.MethodGet, "/v1/failed-jobs?size=1&class=internal", nil)
	y.want(first, http.StatusOK, "")
	rest := y.items("/v1/failed-jobs?class=internal&after=" + first.body["next"].(string))
	if len(rest) != 1 || rest[0]["entry"] != 3.0 || rest[0]["payload"] != nil || rest[0]["worker"] != "worker-1" || rest[0]["attempts"] != 2.0 {
		t.Errorf("the second page is %v", rest)
	}
	y.want(y.call(http.MethodGet, "/v1/failed-jobs?after=x", nil), http.StatusUnprocessableEntity, "bad_cursor")
	groups := y.call(http.MethodGet, "/v1/failed-jobs/stats", nil).body["groups"].([]any)
	if top := groups[0].(map[string]any); len(groups) != 2 || top["class"] != "internal" || top["count"] != 2.0 {
		t.Errorf("the statistics are %v", groups)
	}
	shown := y.call(http.MethodGet, "/v1/failed-jobs/2", nil)
	payload, _ := shown.body["payload"].(map[string]any)
	if payload["campaign_id"] != "cmp_poison_2" || shown.body["replay"].(map[string]any)["safe"] != false || shown.body["stream"] != "COMMANDS" {
		t.Errorf("it is shown as %s", shown.raw)
	}
	y.want(y.call(http.MethodGet, "/v1/failed-jobs/9", nil), http.StatusNotFound, "no_failed_job")

	y.mended.Store(true)
	y.want(y.call(http.MethodPost, "/v1/failed-jobs/1/replay", map[string]any{}), http.StatusAccepted, "")
	if id := <-y.ran; id != "cmp_internal_1" {
		t.Errorf("%s ran", id)
	}
	y.want(y.call(http.MethodPost, "/v1/failed-jobs/1/replay", map[string]any{}), http.StatusNotFound, "no_failed_job")
	y.want(y.call(http.MethodPost, "/v1/failed-jobs/2/replay", map[string]any{}), http.StatusConflict, "replay_unsafe")
	y.want(y.call(http.MethodPut, "/v1/failed-jobs/2/payload", map[string]any{"payload": map[string]any{"slice": 0}}), http.StatusUnprocessableEntity, "invalid_payload")
	payload["slice"] = 7
	edited := y.call(http.MethodPut, "/v1/failed-jobs/2/payload", map[string]any{"payload": payload})
	y.want(edited, http.StatusOK, "")
	if edited.body["replay"].(map[string]any)["safe"] != true || edited.body["edit"].(map[string]any)["payload"].(map[string]any)["slice"] != 7.0 ||
		edited.body["payload"].(map[string]any)["slice"] != 1.0 {
		t.Errorf("edited it is %s", edited.raw)
	}
	y.want(y.call(http.MethodPost, "/v1/failed-jobs/2/replay", map[string]any{}), http.StatusAccepted, "")
	<-y.ran
	y.want(y.call(http.MethodPost, "/v1/failed-jobs/3/discard", map[string]any{}), http.StatusUnprocessableEntity, "invalid_request")
	y.want(y.call(http.MethodPost, "/v1/failed-jobs/3/discard", map[string]any{"reason": "the campaign was deleted"}), http.StatusNoContent, "")
	if left := y.total(""); left != 0 {
		t.Errorf("%d are left", left)
	}
	audit := string(y.call(http.MethodGet, "/v1/audit", nil).raw)
	for _, trace := range []string{"job.replayed", "job.edited", "job.discarded", "the campaign was deleted", "campaign:cmp_poison_2:1"} {
		if !strings.Contains(audit, trace) {
			t.Errorf("the audit lacks %q: %s", trace, audit)
		}
	}
}

func TestWhoMendsFailedJobsIsInTheAudit(t *testing.T) {
	t.Parallel()
	y := startYard(t)
	y.work()
	y.send("internal_1")
	y.wait("it failed", func() bool { return y.total("") == 1 })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, y.server.URL+"/v1/failed-jobs/1/replay", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Operator", "the night shift")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("%d, %v", response.StatusCode, err)
	}
	if entry := y.items("/v1/audit")[0]; !strings.HasPrefix(entry["actor"].(string), "key_") || !strings.HasSuffix(entry["detail"].(string), `, for "the night shift"`) || entry["at"] == nil {
		t.Errorf("the audit has %v", entry)
	}
}

// TestAllThatMatchAreReplayedABatchAtATime: the bulk goes on behind its last batch, leaves what fails again, and stops for no single job.
func TestAllThatMatchAreReplayedABatchAtATime(t *testing.T) {
	t.Parallel()
	const count = 25
	y := startYard(t)
	y.work()
	for i := range count {
		y.send(fmt.Sprintf("internal_%d", i), fmt.Sprintf("poison_%d", i))
	}
	y.wait("all failed", func() bool { return y.total("") == 2*count })
	dry := y.call(http.MethodPost, "/v1/failed-jobs/replay", map[string]any{"class": "internal", "dry_run": true})
	if y.want(dry, http.StatusOK, ""); dry.body["matched"] != float64(count) || dry.body["done"] != 0.0 || dry.body["unsafe"] != 0.0 || y.total("") != 2*count {
		t.Fatalf("the dry run is %s", dry.raw)
	}
	// Still broken: each fails again, behind "until".
	body, done, calls := map[string]any{"class": "internal", "until": dry.body["until"], "limit": 10}, 0, 0
	for next := 1.0; next > 0; calls++ {
		batch := y.call(http.MethodPost, "/v1/failed-jobs/replay", body)
		y.want(batch, http.StatusOK, "")
		done += int(batch.body["done"].(float64))
		next = batch.body["next"].(float64)
		body["after"] = next
	}
	if done != count || calls != 3 {
		t.Errorf("%d were replayed in %d calls", done, calls)
	}
	y.wait("they failed again", func() bool { return y.total("?class=internal") == count })
	for _, job := range y.items("/v1/failed-jobs?class=internal&size=500") {
		if !strings.HasSuffix(job["message_id"].(string), ":1:r1") {
			t.Errorf("%s was not replayed once", job["message_id"])
		}
	}
	y.mended.Store(true)
	unsafe := y.call(http.MethodPost, "/v1/failed-jobs/replay", map[string]any{"limit": 500, "text": "IT BROKE"})
	if refused := unsafe.body["refused"].([]any); len(refused) != count || refused[0].(map[string]any)["code"] != "replay_unsafe" || unsafe.body["done"] != float64(count) {
		t.Errorf("the bulk is %s", unsafe.raw)
	}
	forced := y.call(http.MethodPost, "/v1/failed-jobs/replay", map[string]any{"limit": 20, "force": true})
	if forced.body["done"] != 20.0 {
		t.Errorf("with force it is %s", forced.raw)
	}
	gone := y.call(http.MethodPost, "/v1/failed-jobs/discard", map[string]any{"limit": 500, "reason": "no longer wanted"})
	if gone.body["done"] != 5.0 || y.total("") != 0 {
		t.Errorf("the rest is %s", gone.raw)
	}
	for range count + 20 {
		<-y.ran
	}
}

// TestManyReplaysKeepTheirPace: the limit holds for each call and for all of them.
func TestManyReplaysKeepTheirPace(t *testing.T) {
	t.Parallel()
	y := startYard(t)
	y.work()
	for i := range 10 {
		y.send(fmt.Sprintf("internal_%d", i))
	}
	y.wait("all failed", func() bool { return y.total("") == 10 })
	begun := time.Now()
	y.call(http.MethodPost, "/v1/failed-jobs/replay", map[string]any{"per_second": 20, "limit": 10})
	if took := time.Since(begun); took < 9*time.Second/20 { // The first needs no wait.
		t.Errorf("10 at 20 a second took %v", took)
	}
}

func TestJobsInTheQueueAreShownAndCancelled(t *testing.T) {
	t.Parallel()
	y := startYard(t)
	linked := string(y.newSession())
	y.want(y.call(http.MethodPost, "/v1/sessions/"+linked+"/link", map[string]any{}), http.StatusAccepted, "")
	y.send("internal_1")
	pending := y.items("/v1/jobs?state=pending")
	if len(pending) != 2 || pending[0]["kind"] != "link_session" || pending[0]["session_id"] != linked || pending[0]["max_attempts"] != 5.0 {
		t.Fatalf("pending are %v", pending)
	}
	path := fmt.Sprintf("/v1/jobs/%v", pending[0]["sequence"])
	if shown := y.call(http.MethodGet, path, nil); shown.body["payload"].(map[string]any)["session_id"] != linked {
		t.Errorf("it is shown as %s", shown.raw)
	}
	y.want(y.call(http.MethodPost, path+"/cancel", nil), http.StatusOK, "")
	y.want(y.call(http.MethodPost, path+"/cancel", nil), http.StatusNotFound, "no_job")
	y.want(y.call(http.MethodGet, path, nil), http.StatusNotFound, "no_job")
	stored, err := y.store.Sessions().Get(t.Context(), session.ID(linked))
	if err != nil || stored.Link.State != session.LinkCancelled {
		t.Errorf("the link is %s, %v", stored.Link.State, err)
	}
	if left := y.items("/v1/jobs"); len(left) != 1 || left[0]["campaign_id"] != "cmp_internal_1" {
		t.Errorf("left are %v", left)
	}
	queues := map[string]map[string]any{}
	for _, queue := range y.items("/v1/queues") {
		queues[queue["consumer"].(string)] = queue
	}
	if sender := queues["sender"]; sender["pending"] != 1.0 || sender["max_in_hand"] != 5.0 || sender["oldest"] == nil || sender["retries"].(map[string]any)["attempts"] != 10.0 {
		t.Errorf("the queues are %v", queues)
	}
	if !strings.Contains(string(y.call(http.MethodGet, "/v1/audit", nil).raw), "job.cancelled") {
		t.Error("the audit lacks it")
	}
}

// TestCancellingTheJobOfACampaignPausesIt: it can go on when somebody wants it to, and nobody asks for its job meanwhile.
func TestCancellingTheJobOfACampaignPausesIt(t *testing.T) {
	t.Parallel()
	y := startYard(t)
	made := y.call(http.MethodPost, "/v1/campaigns", map[string]any{"session_id": y.linkedSession(), "text": "Hola", "recipients": []map[string]any{{"phone": "+5491155550101"}}})
	y.want(made, http.StatusAccepted, "")
	created := made.body["id"].(string)
	pending := y.items("/v1/jobs?state=pending")
	if len(pending) != 1 {
		t.Fatalf("pending are %v", pending)
	}
	y.want(y.call(http.MethodPost, fmt.Sprintf("/v1/jobs/%v/cancel", pending[0]["sequence"]), nil), http.StatusOK, "")
	if found := y.call(http.MethodGet, "/v1/campaigns/"+created, nil); found.body["state"] != "paused" || len(y.items("/v1/jobs")) != 0 {
		t.Errorf("the campaign is %s, jobs are %v", found.raw, y.items("/v1/jobs"))
	}
	y.want(y.call(http.MethodPost, "/v1/campaigns/"+created+"/resume", nil), http.StatusAccepted, "")
	if again := y.items("/v1/jobs"); len(again) != 1 {
		t.Errorf("resumed, the jobs are %v", again)
	}
}
