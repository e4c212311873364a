package console

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
)

func TestEveryEventOfAWebhookHasItsWords(t *testing.T) {
	t.Parallel()
	catalog := readCatalog(t, spanish)
	for _, kind := range events.FactKinds() {
		if catalog["webhooks.event."+kind] == nil {
			t.Errorf("the event %s is said by its code", kind)
		}
	}
	for _, outcome := range []string{outcomeDelivered, outcomeRefused, outcomeAgain, outcomeGivenUp, outcomeWaiting} {
		if catalog["webhooks.tested."+outcome] == nil || outcome != outcomeWaiting && catalog["webhooks.outcome."+outcome] == nil {
			t.Errorf("the outcome %s is said by its code", outcome)
		}
	}
}

func TestTheLogOfAWebhookSaysWhenADeliveryIsTriedAgain(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	attempt := func(delivery, outcome string, status int, code string) object {
		return object{"at": at, "delivery_id": delivery, "event": "campaign_changed", "outcome": outcome, "status": status, "took_ms": 12, "code": code}
	}
	c := consoleOf(t, func(r *http.Request) (int, any) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/deliveries"):
			return http.StatusOK, object{"items": []object{
				attempt("whd_later", "again", 503, "webhook_unavailable"), attempt("whd_fine", "delivered", 204, ""),
				attempt("whd_later", "again", 0, "webhook_timeout"), attempt("whd_lost", "again", 500, "webhook_unavailable"),
				attempt("whd_no", "refused", 404, "webhook_refused"),
			}}
		case r.URL.Path == "/v1/jobs":
			return http.StatusOK, object{"items": []object{{"sequence": 1, "subject": "commands.webhook.whd_later", "state": "retrying", "next_attempt_at": at.Add(time.Hour)}}}
		}
		return http.StatusOK, object{"id": "whk_1", "url": "https://receiver.example", "events": []string{"*"}, "enabled": true, "created_at": at, "updated_at": at}
	})
	body := c.get(t, "/webhooks/whk_1?test=whd_new", "Accept-Language", "en").Body.String()
	for delivery, wanted := range map[string][]string{
		"whd_later": {"Tried again", "2 attempts", "2026-03-01T13:00:00Z", "answered 503", "cannot take it now"}, "whd_fine": {"Arrived", "1 attempt", "answered 204"},
		"whd_lost": {"Given up", "answered 500"}, "whd_no": {"Refused", "did not want it"},
	} {
		_, line, found := strings.Cut(body, ">"+delivery+"<")
		line, _, _ = strings.Cut(line, "</tr>")
		for _, text := range wanted {
			if !found || !strings.Contains(line, text) {
				t.Errorf("of %s is not said %q: %s", delivery, text, line)
			}
		}
	}
	if strings.Count(body, ">whd_later<") != 1 {
		t.Error("a delivery has a line for each attempt")
	}
	if !strings.Contains(body, "The test event is on its way.") {
		t.Error("nobody is told of the test event")
	}
}
