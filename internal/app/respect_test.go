package app_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/wasim"
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

// TestAnOptOutHoldsAgainWhenAnOperatorTookItBack: it is audited each time, and answered once. The words and the answer are those of the service.
func TestAnOptOutHoldsAgainWhenAnOperatorTookItBack(t *testing.T) {
	t.Parallel()
	w := startWith(t, func(o *app.Options, _ *wasim.Server) {
		o.Consent = campaign.Consent{Words: []string{"No, gracias"}, Answer: "Entendido."}
	})
	linked, phone := w.link(1)
	leaver := w.simulator.Contact(number(0))
	wish := func(text string) {
		t.Helper()
		if _, err := leaver.Send(t.Context(), phone.Number(), text); err != nil {
			t.Fatal(err)
		}
	}
	audited := func() int {
		return strings.Count(string(w.must(http.MethodGet, "/v1/audit", nil).raw), `"actor":"contact"`)
	}
	wish("BAJA") // none of the words here
	for times, text := range []string{"NO GRACIAS!", "No, grácias."} {
		wish(text)
		w.await("it is audited", func(context.Context) (bool, error) { return audited() == times+1, nil })
		w.must(http.MethodDelete, "/v1/suppressions/"+leaver.Number(), nil)
	}
	wish("no, gracias")
	w.await("it is audited", func(context.Context) (bool, error) { return audited() == 3, nil })
	made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "recipients": people(2)}).id()
	w.awaitCampaign(made, "completed")
	equal(t, "skipped", w.countOf(made, "skipped"), 1)
	if got := w.texts(leaver.Number()); !slices.Equal(got, []string{"Entendido."}) {
		t.Errorf("the leaver received %q", got)
	}
}
