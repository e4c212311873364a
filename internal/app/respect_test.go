package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPacingAndRespect(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	create := func(count int, more body) string {
		w.t.Helper()
		more["session_id"], more["text"], more["recipients"] = linked.ID, "Hola {{nombre}}", people(count)
		return w.must(http.MethodPost, "/v1/campaigns", more).id()
	}
	resumeAt := func(id string) time.Time {
		w.t.Helper()
		at, err := time.Parse(time.RFC3339, fmt.Sprint(w.must(http.MethodGet, "/v1/campaigns/"+id, nil).body["resume_at"]))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}

	// Quiet hours: a campaign whose hours begin in half a day waits for them, without a message.
	from := time.Now().UTC().Add(12 * time.Hour)
	quiet := create(3, body{"hours": body{"time_zone": "UTC", "from": from.Format("15:04"), "to": from.Add(time.Hour).Format("15:04")}})
	equal(t, "the reason", w.awaitCampaign(quiet, "paused").Reason, "quiet_hours")
	equal(t, "it resumes", resumeAt(quiet).Format("15:04"), from.Format("15:04"))
	equal(t, "received at night", len(w.texts(number(0))), 0)
	yesterday := strings.ToLower(time.Now().UTC().Add(-24 * time.Hour).Weekday().String()[:3])
	day := create(3, body{"hours": body{"time_zone": "UTC", "weekdays": []string{yesterday}}})
	equal(t, "the reason", w.awaitCampaign(day, "paused").Reason, "quiet_hours")
	w.refused(422, "unknown_time_zone", http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "x", "recipients": people(1),
		"hours": body{"time_zone": "Mars/Olympus", "from": "09:00", "to": "10:00"}})

	// The session's own cap, and the campaign's over it: the most specific one wins.
	path := "/v1/sessions/" + linked.ID + "/limits"
	w.refused(422, "bad_gap", http.MethodPut, path, body{"min_gap_seconds": 0.1, "max_gap_seconds": 0.2})
	limits := w.must(http.MethodPut, path, body{"hourly": 3})
	equal(t, "the session's limit", limits.body["own"].(body)["hourly"], any(3.0))
	capped := create(5, body{})
	equal(t, "the reason", w.awaitCampaign(capped, "paused").Reason, "hourly_cap")
	equal(t, "sent within the cap", w.countOf(capped, "pending")+w.countOf(capped, "sending"), 2)
	if wait := time.Until(resumeAt(capped)); wait < 58*time.Minute || wait > 62*time.Minute {
		t.Errorf("it goes on in %s", wait)
	}
	wider := create(4, body{"limits": body{"hourly": 100}})
	w.awaitCampaign(wider, "completed")
	fewStrangers := create(2, body{"limits": body{"hourly": -1, "daily_new": 5}})
	equal(t, "the reason", w.awaitCampaign(fewStrangers, "paused").Reason, "daily_new_contacts_cap")
	rests := create(3, body{"limits": body{"hourly": -1, "rest_every": 1, "rest_seconds": 3600}})
	equal(t, "the reason", w.awaitCampaign(rests, "paused").Reason, "resting")
}

// TestAPauseStopsWithinOneMessage is the small brother, through HTTP, of the run of a thousand in internal/sender.
func TestAPauseStopsWithinOneMessage(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola {{nombre}}", "recipients": people(120)}).id()
	w.await("a third is sent", func(context.Context) (bool, error) { return len(phone.Sent()) > 40, nil })
	w.must(http.MethodPost, "/v1/campaigns/"+made+"/pause", nil)
	atPause := len(phone.Sent())
	w.await("what was in hand is written down", func(context.Context) (bool, error) {
		settled, err := w.product.CampaignJobsInHand(w.t.Context())
		return settled == 0, err
	})
	if more := len(phone.Sent()) - atPause; more > 1 {
		t.Errorf("%d messages left after the pause", more)
	}
	w.must(http.MethodPost, "/v1/campaigns/"+made+"/resume", nil)
	w.awaitCampaign(made, "completed")
	w.awaitCount(made, "read", 120)
	for i := range 120 {
		if got := w.texts(number(i)); len(got) != 1 {
			t.Fatalf("%s received %q", number(i), got)
		}
	}
	equal(t, "duplicates", w.simulator.Books().Duplicated, 0)
}
