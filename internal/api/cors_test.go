package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/api"
)

// TestOnlyPagesOfAllowedOriginsMayCallTheAPI: twenty origins, and twenty that look like them, in preflights and in requests.
func TestOnlyPagesOfAllowedOriginsMayCallTheAPI(t *testing.T) {
	t.Parallel()
	f := start(t, func(options *api.Options) {
		options.AllowedOrigins = []string{"https://app.example.com", "https://*.clinic.example", "http://192.168.1.*:3000", "http://10.0.*.*", "http://localhost:*",
			"http://[0:0:0::1]:8080", "http://[2001:db8::7]", "https://Panel.example:8443", "https://*.api.panel.example", "https://xn--clnica-1va.example", "http://intranet"}
	})
	for want, origins := range map[bool][]string{true: {
		"https://app.example.com", "https://APP.example.com", "https://north.clinic.example", "https://a-b.clinic.example",
		"https://7.clinic.example", "https://xn--bcher-kva.clinic.example", "http://192.168.1.0:3000", "http://192.168.1.7:3000",
		"http://192.168.1.99:3000", "http://192.168.1.255:3000", "http://10.0.3.4", "http://10.0.255.0",
		"http://localhost:5173", "http://localhost:1", "http://[::1]:8080", "http://[2001:db8::7]",
		"https://panel.example:8443", "https://eu.api.panel.example", "https://xn--clnica-1va.example", "http://intranet",
	}, false: { // one of them has a Cyrillic letter
		"http://app.example.com", "https://app.example.com.evil.example", "https://appXexample.com", "https://app.example.com.",
		"https://app.example.com:444", "https://a.b.clinic.example", "https://clinic.example", "https://evil.example/.clinic.example",
		"https://user@app.example.com", "https://app.example.com@evil.example", "http://192.168.1.256:3000", "http://192.168.1.77:3001",
		"http://192.168.1.evil.example:3000", "http://192.168.1.07:3000", "http://192.168.2.7:3000", "http://10.0.3.4.5",
		"http://localhost:5173.evil.example", "http://[::2]:8080", "https://аpp.example.com", "null",
	}} {
		for _, origin := range origins {
			for method, headers := range map[string]map[string]string{
				http.MethodGet:     {"Origin": origin},
				http.MethodOptions: {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"},
			} {
				answered := askFrom(t, f, method, headers)
				if allowed := answered.Get("Access-Control-Allow-Origin"); (allowed == origin) != want || !want && allowed != "" {
					t.Errorf("%s from %s: allowed %q, want %v", method, origin, allowed, want)
				}
				if credentials := answered.Get("Access-Control-Allow-Credentials"); (credentials == "true") != want {
					t.Errorf("%s from %s: credentials %q, want %v", method, origin, credentials, want)
				}
			}
		}
	}
}

func askFrom(t *testing.T, f *fixture, method string, headers map[string]string) http.Header {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, f.server.URL+"/v1/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.Header
}

func TestWithoutOriginsNoPageMayCallTheAPI(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.server.URL+"/v1/sessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://app.example.com")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
}

func TestWhatIsNoOriginIsRefused(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	for _, origin := range []string{"app.example.com", "https://app.example.com/path", "https://user@app.example.com", "", "*", "https://*", "https://*.*", "http://*:3000",
		"https://app*.example.com", "http://192.168.*", "http://192.168.1.256", "http://[::*]", "http://host:0", "http://host:**", "https://a..example.com", "null", "ftp://example.com"} {
		options := f.options
		options.AllowedOrigins = []string{origin}
		if _, err := api.New(options); err == nil || !strings.Contains(err.Error(), strconv.Quote(origin)) {
			t.Errorf("%q was taken for an origin: %v", origin, err)
		}
	}
}
