package app_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// TestALimitPausesTheRunningCampaignsOfASession at once, with the reason and the earliest time to go on, and no others.
func TestALimitPausesTheRunningCampaignsOfASession(t *testing.T) {
	t.Parallel()
	for reason, limit := range map[string]script.Action{
		"reach_out_lock": script.Lock(time.Hour), "temporary_ban": script.TemporaryBan(101, time.Hour),
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			linked, phone := w.link(1)
			other, _ := w.link(2)
			w.simulator.SetLatency(20 * time.Millisecond)
			create := func(by client.Session, from int) string {
				return w.must(http.MethodPost, "/v1/campaigns", body{"session_id": by.ID, "text": "Hola", "recipients": people(from + 60)[from:]}).id()
			}
			limited, free := []string{create(linked, 0), create(linked, 60)}, create(other, 120)
			w.await("it runs", func(context.Context) (bool, error) { return len(phone.Sent()) > 5, nil })
			if reason == "temporary_ban" {
				if _, err := w.simulator.Script(script.Rule{On: script.Login, Account: phone.Number(), Do: limit}); err != nil {
					t.Fatal(err)
				}
				limit = script.CutConnection()
			}
			w.strike(phone, limit)
			session := w.awaitState(linked.ID, "paused")
			equal(t, "the session's reason", session.Reason, reason)
			for _, id := range limited {
				paused := w.awaitCampaign(id, "paused")
				equal(t, "the reason", paused.Reason, reason)
				at, err := time.Parse(time.RFC3339, w.must(http.MethodGet, "/v1/campaigns/"+id, nil).body["resume_at"].(string))
				if wait := time.Until(at); err != nil || wait < 50*time.Minute || wait > time.Hour {
					t.Errorf("it goes on in %s, %v", wait, err)
				}
			}
			w.awaitCampaign(free, "completed")
			if sent := len(phone.Sent()); sent == 120 {
				t.Error("the limit came too late to be seen")
			}
			if reason == "reach_out_lock" {
				w.strike(phone, script.Unlock())
				for _, id := range limited {
					w.awaitCampaign(id, "completed")
				}
			}
		})
	}
}

// TestMessagesRefusedInARowPauseTheCampaign instead of using it up; whoever got none gets theirs when somebody asks for it.
func TestMessagesRefusedInARowPauseTheCampaign(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	refusal, err := w.simulator.Script(script.Rule{On: script.Message, Skip: 3, Do: script.RefuseMessage(400)})
	if err != nil {
		t.Fatal(err)
	}
	made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "recipients": people(40)}).id()
	equal(t, "the reason", w.awaitCampaign(made, "paused").Reason, "consecutive_failures")
	equal(t, "refused", refusal.Hits(), 10)
	equal(t, "failed", w.countOf(made, "failed"), 10)
	failed := w.must(http.MethodGet, "/v1/campaigns/"+made+"/deliveries?state=failed", nil).body["items"].([]any)[0].(body)
	equal(t, "the code", failed["code"], any("message_refused"))
	refusal.Stop()
	w.must(http.MethodPost, "/v1/campaigns/"+made+"/resume", nil)
	w.awaitCampaign(made, "completed")
	equal(t, "failed", w.countOf(made, "failed"), 10)
	w.must(http.MethodPost, "/v1/campaigns/"+made+"/retry", body{"scope": "failed"})
	w.awaitCampaign(made, "completed")
	for i := range 40 {
		if got := w.texts(number(i)); !slices.Equal(got, []string{"Hola"}) {
			t.Errorf("%s received %q", number(i), got)
		}
	}
}

// TestWhatNobodyCanReadIsNotSent: WhatsApp's client reports success for a number without devices, and for one whose keys cannot be fetched.
func TestWhatNobodyCanReadIsNotSent(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	for i, profile := range []wasim.Profile{{NoPreKeys: true}, {NotOnWhatsApp: true}, {NoLID: true}} {
		if _, err := w.simulator.Declare(number(i), profile); err != nil {
			t.Fatal(err)
		}
	}
	made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "recipients": people(6)}).id()
	w.awaitCampaign(made, "completed")
	found := map[string]string{}
	items, _ := w.must(http.MethodGet, "/v1/campaigns/"+made+"/deliveries", nil).body["items"].([]any)
	for _, item := range items {
		delivery := item.(body)
		code, _ := delivery["code"].(string)
		found[delivery["phone"].(string)] = delivery["state"].(string) + " " + code
	}
	equal(t, "no keys", found[number(0)], "failed recipient_keys_missing")
	equal(t, "no devices", found[number(1)], "skipped recipient_not_on_whatsapp")
	equal(t, "no hidden id", found[number(2)], "skipped recipient_not_on_whatsapp")
	w.awaitCount(made, "read", 3)
}

// TestAMessageWithoutConfirmationIsRetriedUnderItsOwnID, when a person asks for it: the phone keeps one copy.
func TestAMessageWithoutConfirmationIsRetriedUnderItsOwnID(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	if _, err := w.simulator.Declare(number(1), wasim.Profile{Silent: true}); err != nil {
		t.Fatal(err)
	}
	lost, err := w.simulator.Script(script.Rule{On: script.Message, Recipient: number(1), Do: script.LoseReply()})
	if err != nil {
		t.Fatal(err)
	}
	made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "recipients": people(3)}).id()
	w.await("it has left", func(context.Context) (bool, error) { return lost.Hits() > 0, nil })
	w.must(http.MethodPost, "/v1/campaigns/"+made+"/pause", nil) // or it would be sent again at the end of the run, without being asked
	w.awaitCount(made, "unknown", 1)
	lost.Stop()
	w.must(http.MethodPost, "/v1/campaigns/"+made+"/retry", body{"scope": "unknown"})
	w.awaitCampaign(made, "completed")
	equal(t, "sent", w.countOf(made, "sent"), 1)
	received := w.simulator.Contact(number(1)).Received()
	if len(received) != 1 || received[0].Repeats == 0 {
		t.Errorf("received %+v", received)
	}
	equal(t, "duplicates", w.simulator.Books().Duplicated, 0)
}

// TestMessagesThatNobodyGetsAreSuspected: WhatsApp acknowledges them, and nothing arrives. Others are not.
func TestMessagesThatNobodyGetsAreSuspected(t *testing.T) {
	t.Parallel()
	w := startWith(t, func(o *app.Options, _ *wasim.Server) { o.SuspectAfter = time.Millisecond })
	linked, _ := w.link(1)
	for i := range 14 {
		if _, err := w.simulator.Declare(number(i), wasim.Profile{Silent: true}); err != nil {
			t.Fatal(err)
		}
	}
	run := func(recipients []body, confirmed int) any {
		made := w.must(http.MethodPost, "/v1/campaigns", body{"session_id": linked.ID, "text": "Hola", "recipients": recipients}).id()
		w.awaitCampaign(made, "completed")
		w.awaitCount(made, "read", confirmed)
		return w.must(http.MethodGet, "/v1/campaigns/"+made, nil).body["warning"]
	}
	if warning, _ := run(people(25), 11).(body); warning["code"] != "few_delivered" {
		t.Errorf("of 25 messages 14 were not confirmed, and the warning is %v", warning)
	}
	equal(t, "the warning when most are confirmed", run(people(35)[10:], 21), nil)
	equal(t, "the warning for a few messages", run(people(14), 0), nil)
}
