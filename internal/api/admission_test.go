package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
)

// logout records that a session of an egress was logged out a moment ago.
func (f *fixture) logout(id session.ID, egress, phone string, afterPairing time.Duration) {
	f.t.Helper()
	now := time.Now()
	err := f.links.Record(f.t.Context(), session.Logout{Session: id, Egress: egress, Phone: phone, Reason: session.ReasonLoggedOut,
		LinkedAt: now.Add(-afterPairing), At: now})
	if err != nil {
		f.t.Fatal(err)
	}
}

// wantRest asserts a refusal that says until when, within a minute.
func (f *fixture) wantRest(got answer, code session.Reason, rest time.Duration) {
	f.t.Helper()
	f.want(got, http.StatusTooManyRequests, string(code))
	seconds, err := strconv.Atoi(got.headers.Get("Retry-After"))
	if after := time.Duration(seconds) * time.Second; err != nil || after > rest || after < rest-time.Minute {
		f.t.Errorf("Retry-After is %q, want up to %s", got.headers.Get("Retry-After"), rest)
	}
	if detail, _ := got.body["detail"].(string); detail == "" {
		f.t.Errorf("the refusal does not say what to do: %s", got.raw)
	}
}

func (f *fixture) link(id session.ID, body map[string]string) answer {
	f.t.Helper()
	return f.call(http.MethodPost, "/v1/sessions/"+string(id)+"/link", body)
}

func TestLinksAreRefusedWhileTheirEgressOrNumberCoolsDown(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.newSession()
	f.logout("ses_gone", "somewhere-else", "+5491150000011", time.Hour)
	f.wantRest(f.link(id, map[string]string{"method": "code", "phone": "+5491150000011"}), session.ReasonNumberCooldown, 10*time.Minute)
	f.logout("ses_gone", "somewhere-else", "+5491150000011", 2*time.Hour)
	f.wantRest(f.link(id, map[string]string{"method": "code", "phone": "+5491150000011"}), session.ReasonNumberCooldown, 20*time.Minute)

	f.logout("ses_other", session.EgressDirect, "+5491150000012", time.Hour)
	f.wantRest(f.link(id, map[string]string{"method": "qr"}), session.ReasonEgressCooldown, 10*time.Minute)
	if got := f.call(http.MethodGet, "/v1/sessions/"+string(id)+"/link", nil); got.code() != "no_link" {
		t.Errorf("a refused link left something: %s", got.raw)
	}
	if len(f.queue.commands) != 0 {
		t.Errorf("%d commands were published", len(f.queue.commands))
	}
}

func TestLinkCircuitIsOpenUntilAnOperatorResetsIt(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	id := f.newSession()
	rules := pace.DefaultRules().Breaker
	for i := range rules.Logouts {
		f.logout(session.ID("ses_"+strconv.Itoa(i)), session.EgressDirect, "+549115000001"+strconv.Itoa(i), time.Minute)
	}
	f.want(f.link(id, map[string]string{"method": "qr"}), http.StatusTooManyRequests, string(session.ReasonCircuitOpen))
	listed := f.call(http.MethodGet, "/v1/egresses", nil)
	if !strings.Contains(string(listed.raw), `"circuit_open":true`) {
		t.Errorf("the egresses are %s", listed.raw)
	}
	f.want(f.call(http.MethodPost, "/v1/egresses/nowhere/reset", nil), http.StatusNotFound, "no_egress")
	reset := f.call(http.MethodPost, "/v1/egresses/direct/reset", nil)
	f.want(reset, http.StatusOK, "")
	if reset.body["circuit_open"] != false || reset.body["logouts"] != 0.0 {
		t.Errorf("after the reset it is %s", reset.raw)
	}
	f.want(f.link(id, map[string]string{"method": "qr"}), http.StatusAccepted, "")
}

func TestEgressesTakeSixSessionsAndWarnBeforeThat(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	for range int(session.SafeCapacity) {
		id := f.newSession()
		f.change(id, func(s *session.Session) { s.State = session.Ready })
	}
	sixth := f.newSession()
	got := f.link(sixth, map[string]string{"method": "qr"})
	f.want(got, http.StatusAccepted, "")
	if warning, _ := got.body["warning"].(map[string]any); warning["code"] != string(session.ReasonEgressCrowded) || warning["es"] == "" {
		t.Errorf("the sixth is accepted with %v", got.body["warning"])
	}
	full := f.link(f.newSession(), map[string]string{"method": "qr"})
	f.want(full, http.StatusConflict, string(session.ReasonEgressFull))
	if detail, _ := full.body["detail"].(string); !strings.Contains(detail, "proxy") {
		t.Errorf("the refusal names no other way out: %q", detail)
	}
}

func TestPlaceInLineAndCancelWhileALinkWaits(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	first, second := f.newSession(), f.newSession()
	f.want(f.link(first, map[string]string{"method": "qr"}), http.StatusAccepted, "")
	got := f.link(second, map[string]string{"method": "qr"})
	f.want(got, http.StatusAccepted, "")
	if queue, _ := got.body["queue"].(map[string]any); queue["position"] != 2.0 || queue["estimated_wait_seconds"].(float64) < 60 {
		t.Errorf("the second stands at %v", got.body["queue"])
	}
	f.change(first, func(s *session.Session) { s.Link.State = session.LinkCoolingDown })
	for _, id := range []session.ID{first, second} {
		cancelled := f.call(http.MethodDelete, "/v1/sessions/"+string(id)+"/link", nil)
		f.want(cancelled, http.StatusOK, "")
		if cancelled.body["state"] != string(session.LinkCancelled) {
			t.Errorf("after the cancel it is %s", cancelled.raw)
		}
	}
}
