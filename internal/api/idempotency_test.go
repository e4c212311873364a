package api_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// withKey sends a POST under a key.
func (f *fixture) withKey(key, path string, body any) answer {
	f.t.Helper()
	f.key = key
	defer func() { f.key = "" }()
	return f.call(http.MethodPost, path, body)
}

func (f *fixture) campaigns() []campaign.Campaign {
	f.t.Helper()
	list, err := f.store.Campaigns().List(f.t.Context(), campaign.Filter{}, store.Page{})
	if err != nil {
		f.t.Fatal(err)
	}
	return list.Items
}

func newCampaignBody(id session.ID, text string) map[string]any {
	return map[string]any{"session_id": id, "text": text, "recipients": []map[string]any{{"phone": "+5491140000001"}}}
}

func TestWhatAnInterruptedRequestBeganIsFinishedByItsRepetition(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkedSession()
	f.queue.broken = errors.New("the queue is gone")
	if got := f.withKey("k1", "/v1/campaigns", newCampaignBody(id, "Hola")); got.status < 500 {
		t.Fatalf("answer %d %s", got.status, got.raw)
	}
	f.queue.broken = nil
	again := f.withKey("k1", "/v1/campaigns", newCampaignBody(id, "Hola"))
	f.want(again, http.StatusAccepted, "")
	if found := f.campaigns(); len(found) != 1 || string(found[0].ID) != again.body["id"] || found[0].State != campaign.Queued {
		t.Errorf("there are %+v", found)
	}
	third := f.withKey("k1", "/v1/campaigns", newCampaignBody(id, "Hola"))
	if third.headers.Get("Idempotency-Replayed") != "true" || string(third.raw) != string(again.raw) {
		t.Errorf("repeated: %s", third.raw)
	}
	if len(f.queue.commands) != 1 {
		t.Errorf("%d jobs were published", len(f.queue.commands))
	}
}

func TestOfManyRequestsAtOnceOneHasItsEffect(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkedSession()
	f.key = "k2"
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() { f.call(http.MethodPost, "/v1/campaigns", newCampaignBody(id, "Hola")) })
	}
	requests.Wait()
	if found := f.campaigns(); len(found) != 1 {
		t.Errorf("there are %d campaigns", len(found))
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkedSession()
	for _, key := range []string{strings.Repeat("x", 201), "with space", "ñ"} {
		f.want(f.withKey(key, "/v1/campaigns", newCampaignBody(id, "Hola")), http.StatusUnprocessableEntity, "bad_idempotency_key")
	}
	large := newCampaignBody(id, strings.Repeat("x", 60_000))
	large["variants"] = []string{strings.Repeat("y", 60_000)}
	var recipients []map[string]any
	for i := range 4000 {
		recipients = append(recipients, map[string]any{"phone": "+5491140000001", "fields": map[string]string{"a": strings.Repeat("z", 300), "n": string(rune('a' + i%20))}})
	}
	large["recipients"] = recipients // more than is kept in memory
	first := f.withKey("k3", "/v1/campaigns", large)
	f.want(first, http.StatusAccepted, "")
	if second := f.withKey("k3", "/v1/campaigns", large); second.body["id"] != first.body["id"] {
		t.Errorf("a large request was done twice")
	}
}

func TestFewDeliveriesAreAWarning(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.linkedSession()
	var recipients []map[string]any
	for i := range 30 {
		recipients = append(recipients, map[string]any{"phone": "+54911400000" + string(rune('0'+i/10)) + string(rune('0'+i%10))})
	}
	made := f.call(http.MethodPost, "/v1/campaigns", map[string]any{"session_id": id, "text": "Hola", "recipients": recipients})
	f.want(made, http.StatusAccepted, "")
	cid := campaign.ID(made.body["id"].(string))
	warning := func() any { return f.call(http.MethodGet, "/v1/campaigns/"+string(cid), nil).body["warning"] }
	list, err := f.store.Deliveries().List(t.Context(), cid, "", store.Page{})
	if err != nil {
		t.Fatal(err)
	}
	record := func(state campaign.DeliveryState, from, to int) {
		t.Helper()
		for _, d := range list.Items[from:to] {
			if _, err := f.store.Deliveries().Record(t.Context(), []campaign.Outcome{{DeliveryID: d.ID, State: state, At: time.Now()}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	record(campaign.Sent, 0, 30)
	began := func(ago time.Duration) {
		t.Helper()
		if _, err := campaign.Modify(t.Context(), f.store.Campaigns(), cid, func(c *campaign.Campaign) error {
			c.StartedAt = time.Now().Add(-ago)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	began(time.Minute)
	if warning() != nil {
		t.Error("phones had no time to answer, and it is suspected")
	}
	began(time.Hour)
	if got, _ := warning().(map[string]any); got["code"] != string(session.ReasonFewDelivered) || got["es"] == "" {
		t.Errorf("the warning is %v", got)
	}
	record(campaign.Delivered, 0, 16)
	if warning() != nil {
		t.Error("most arrived, and it is suspected")
	}
}
