package console

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dannsalud/broadcaster/client"
)

// TestTheAPISeesTheBrowser: what the API decides by is the browser's own, and nothing that the console made up.
func TestTheAPISeesTheBrowser(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	c, err := New(Options{Logins: everybody{}, API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"code":"session_linked","detail":"It is linked","status":409}`))
	})})
	if err != nil {
		t.Fatal(err)
	}
	browser := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://console.example/sessions/a/link", nil)
	browser.RemoteAddr = "192.0.2.7:1234"
	for name, value := range map[string]string{"Cookie": "login=x", "Origin": "https://console.example", "Sec-Fetch-Site": "same-origin", "X-Other": "no"} {
		browser.Header.Set(name, value)
	}
	_, err = c.inside(browser).StartLink(t.Context(), "a", "qr", "")
	if !client.IsCode(err, "session_linked") {
		t.Errorf("the problem came as %v", err)
	}
	if seen.Host != "console.example" || seen.RemoteAddr != "192.0.2.7:1234" || seen.TLS == nil || seen.URL.Path != "/v1/sessions/a/link" {
		t.Errorf("the API saw %s from %s at %s", seen.Host, seen.RemoteAddr, seen.URL)
	}
	for name, want := range map[string]string{"Cookie": "login=x", "Origin": "https://console.example", "Sec-Fetch-Site": "same-origin", "X-Other": ""} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s came as %q", name, got)
		}
	}
}
