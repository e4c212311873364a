package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

func TestFailedJobsAreListedReplayedAndDiscardedWithATrace(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	failure := func(class fault.Class) events.Failure {
		return events.Failure{Class: class, Code: "some_code", Message: "It broke", At: time.Unix(1, 0)}
	}
	for i, class := range []fault.Class{fault.Internal, fault.Poison, fault.Internal} {
		f.queue.failed = append(f.queue.failed, events.FailedJob{Entry: uint64(i + 1), Kind: "run_campaign", MessageID: "campaign:cmp_1:" + string(rune('1'+i)), // #nosec G115 -- three
			Payload: []byte(`{"campaign_id":"cmp_1"}`), FirstError: failure(class), LastError: failure(class)})
	}
	first := f.call(http.MethodGet, "/v1/failed-jobs?size=1&class=internal", nil)
	f.want(first, http.StatusOK, "")
	rest := f.call(http.MethodGet, "/v1/failed-jobs?class=internal&after="+first.body["next"].(string), nil)
	items := rest.body["items"].([]any)
	if len(items) != 1 || items[0].(map[string]any)["entry"] != 3.0 || rest.body["next"] != nil {
		t.Errorf("the second page is %s", rest.raw)
	}
	f.want(f.call(http.MethodGet, "/v1/failed-jobs?after=x", nil), http.StatusUnprocessableEntity, "bad_cursor")
	shown := f.call(http.MethodGet, "/v1/failed-jobs/2", nil)
	if payload, _ := shown.body["payload"].(map[string]any); payload["campaign_id"] != "cmp_1" || shown.body["replay"].(map[string]any)["safe"] != false {
		t.Errorf("it is shown as %s", shown.raw)
	}
	f.want(f.call(http.MethodGet, "/v1/failed-jobs/9", nil), http.StatusNotFound, "no_failed_job")

	f.want(f.call(http.MethodPost, "/v1/failed-jobs/1/replay", map[string]any{}), http.StatusAccepted, "")
	f.want(f.call(http.MethodPost, "/v1/failed-jobs/2/replay", map[string]any{}), http.StatusConflict, "replay_unsafe")
	f.want(f.call(http.MethodPost, "/v1/failed-jobs/2/replay", map[string]any{"force": true}), http.StatusAccepted, "")
	f.want(f.call(http.MethodPost, "/v1/failed-jobs/3/discard", map[string]any{}), http.StatusUnprocessableEntity, "")
	f.want(f.call(http.MethodPost, "/v1/failed-jobs/3/discard", map[string]any{"reason": "the campaign was deleted"}), http.StatusNoContent, "")
	if !slices.Equal(f.queue.replayed, []uint64{1, 2}) || !slices.Equal(f.queue.discarded, []uint64{3}) {
		t.Errorf("replayed %v, discarded %v", f.queue.replayed, f.queue.discarded)
	}
	audit := string(f.call(http.MethodGet, "/v1/audit", nil).raw)
	for _, trace := range []string{"job.replayed", "job.discarded", "the campaign was deleted"} {
		if !strings.Contains(audit, trace) {
			t.Errorf("the audit lacks %q: %s", trace, audit)
		}
	}
}
