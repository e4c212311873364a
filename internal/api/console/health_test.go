package console

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestThePageOfTheHealthSaysWhatToDo also while a part is down that would know the rest.
func TestThePageOfTheHealthSaysWhatToDo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := consoleOf(t, func(r *http.Request) (int, any) {
		switch r.URL.Path {
		case "/v1/health":
			return http.StatusOK, object{"version": "dev", "library": "v0", "library_made": now.Add(-libraryAge - time.Hour), "parts": []object{
				{"name": "broker", "state": "unavailable"}, {"name": "linker", "state": "unknown"}, {"name": "sender", "state": "busy", "waiting": 3, "in_hand": 5, "oldest": now}}}
		case "/v1/sessions":
			return http.StatusOK, object{"items": []object{{"id": "ses_1", "state": "ready"}, {"id": "ses_2", "state": "logged_out"}, {"id": "ses_3", "state": "ready"}}}
		case "/v1/campaigns":
			return http.StatusOK, object{"items": []object{{"id": "cmp_1", "state": "running"}}}
		case "/v1/campaigns/cmp_1":
			return http.StatusOK, object{"id": "cmp_1", "name": "Turnos", "state": "running", "warning": object{"en": "Few arrive.", "es": "Llegan pocos."}}
		}
		return http.StatusServiceUnavailable, object{"status": http.StatusServiceUnavailable, "class": "retry_later", "code": "queue_unavailable"}
	})
	c.now = func() time.Time { return now }
	answer := c.get(t, "/health", "Accept-Language", "en")
	body := answer.Body.String()
	for _, text := range []string{"Something wants somebody to look", "see that the queue (NATS) runs", "3 wait. 5 in hand.", "2026-03-01T12:00:00Z", "Nobody knows: the queue does not answer",
		`href="/sessions?state=logged_out"`, `href="/campaigns/cmp_1"`, "Few arrive.", "6 weeks old", "install a new version"} {
		if !strings.Contains(body, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if answer.Code != http.StatusOK {
		t.Errorf("it answers %d", answer.Code)
	}
}
