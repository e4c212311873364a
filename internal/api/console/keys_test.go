package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// consoleOf makes a console in front of an API that a test plays; what it answers is written as JSON.
func consoleOf(t *testing.T, answer func(r *http.Request) (status int, body any)) *Console {
	t.Helper()
	made, err := New(Options{Logins: everybody{}, API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := answer(r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

type object = map[string]any

func TestWhatBecomesOfAKeyIsSaidInWords(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key := func(name string, more object) object {
		made := object{"id": "key_" + name, "name": name, "prefix": "bcr_" + name, "role": "viewer", "active": true, "created_at": now, "created_by": "terminal"}
		for field, value := range more {
			made[field] = value
		}
		return made
	}
	c := consoleOf(t, func(*http.Request) (int, any) {
		return http.StatusOK, object{"items": []object{
			key("revoked", object{"active": false, "revoked_at": now, "revoked_by": "terminal"}), key("ended", object{"active": false, "expires_at": now.Add(-time.Hour)}),
			key("lasting", nil), key("distant", object{"expires_at": now.Add(soonExpires)}), key("near", object{"expires_at": now.Add(25 * time.Hour)}),
		}}
	})
	c.now = func() time.Time { return now }
	body := c.get(t, "/keys", "Accept-Language", "en").Body.String()
	last := -1
	for _, row := range []struct{ id, said string }{
		{"near", "Expires soon"}, {"lasting", "Never expires"}, {"distant", "Valid"}, {"ended", "Expired"}, {"revoked", "Revoked"},
	} {
		at := strings.Index(body, `<tr id="key_`+row.id+`"`)
		if at <= last {
			t.Errorf("the key %s is not behind those that are more urgent", row.id)
		}
		last = at
		line, _, _ := strings.Cut(body[max(at, 0):], "</tr>")
		if !strings.Contains(line, row.said) {
			t.Errorf("of the key %s is not said %q: %s", row.id, row.said, line)
		}
		if offers := strings.Contains(line, "/revoke"); offers != (row.id != "ended" && row.id != "revoked") {
			t.Errorf("the key %s can be revoked: %t", row.id, offers)
		}
	}
	if !strings.Contains(body, "2 days are left") {
		t.Error("nobody is told how long the near key holds")
	}
}

func TestAKeyIsShownOnceAndIsInNoCookieAndNoAddress(t *testing.T) {
	t.Parallel()
	const secret = "bcr_0123456789abcdef_the_key_itself"
	var once []string
	c := consoleOf(t, func(r *http.Request) (int, any) {
		if r.Method == http.MethodGet {
			return http.StatusOK, object{"items": []object{}}
		}
		once = append(once, r.Header.Get("Idempotency-Key"))
		if len(once) > 1 {
			return http.StatusConflict, object{"title": "Conflict", "status": http.StatusConflict, "class": "conflict", "code": "key_exists"}
		}
		return http.StatusCreated, object{"id": "key_1", "name": "Agenda", "prefix": "bcr_0123456789abcdef", "role": "operator", "active": true, "key": secret}
	})
	send := func() (status int, body string, header http.Header) {
		answer := c.post(t, "/keys", "once", "a-text-for-once", "name", "Agenda", "role", "operator", "expires_at", "2027-01-31")
		return answer.Code, answer.Body.String(), answer.Header()
	}
	status, body, header := send()
	if status != http.StatusOK || strings.Count(body, secret) != 1 {
		t.Errorf("%d, and the key stands %d times on the page", status, strings.Count(body, secret))
	}
	if header.Get("Cache-Control") != "no-store" || header.Get("Location") != "" || header.Get("Set-Cookie") != "" {
		t.Errorf("the key is kept: %v", header)
	}
	status, body, _ = send()
	if status != http.StatusConflict || strings.Contains(body, secret) || !strings.Contains(body, "ya hizo su clave") {
		t.Errorf("the page that is loaded again: %d", status)
	}
	if len(once) != 2 || once[0] != "a-text-for-once" || once[1] != once[0] {
		t.Errorf("the API is asked under %q", once)
	}
}

func TestAKeyHoldsUntilItsLastDayIsOver(t *testing.T) {
	t.Parallel()
	var asked struct {
		ExpiresAt time.Time `json:"expires_at"`
	}
	c := consoleOf(t, func(r *http.Request) (int, any) {
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
				t.Error(err)
			}
			return http.StatusCreated, object{"id": "key_1", "key": "x", "active": true}
		}
		return http.StatusOK, object{"items": []object{}}
	})
	c.options.Zone = time.FixedZone("there", -3*60*60)
	c.post(t, "/keys", "name", "x", "role", "viewer", "expires_at", "2027-01-31")
	if want := time.Date(2027, 2, 1, 3, 0, 0, 0, time.UTC); !asked.ExpiresAt.Equal(want) {
		t.Errorf("it ends at %s, not at %s", asked.ExpiresAt, want)
	}
	if answer := c.post(t, "/keys", "name", "x", "role", "viewer", "expires_at", "mañana"); answer.Code != http.StatusUnprocessableEntity ||
		!strings.Contains(answer.Body.String(), "Escriba un día") {
		t.Errorf("no day: %d", answer.Code)
	}
}
