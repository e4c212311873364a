package api_test

import (
	"net/http"
	"testing"

	"github.com/dannsalud/broadcaster/internal/api"
)

func TestPagesOfAllowedOriginsMayCallTheAPI(t *testing.T) {
	t.Parallel()
	f := start(t, func(options *api.Options) {
		options.AllowedOrigins = []string{"https://app.example.com", "https://*.clinic.example", "http://192.168.1.*:3000", "http://localhost:*"}
	})
	for origin, want := range map[string]bool{
		"https://app.example.com":              true,
		"https://APP.example.com":              true,
		"http://app.example.com":               false,
		"https://app.example.com.evil.example": false,
		"https://appXexample.com":              false,
		"https://north.clinic.example":         true,
		"https://a.b.clinic.example":           false,
		"https://clinic.example":               false,
		"https://evil.example/.clinic.example": false,
		"http://192.168.1.7:3000":              true,
		"http://192.168.1.77:3001":             false,
		"http://192.168.1.evil.example:3000":   false,
		"http://192.168.1.7777:3000":           false,
		"http://192.168.2.7:3000":              false,
		"http://localhost:5173":                true,
		"http://localhost:5173.evil.example":   false,
		"null":                                 false,
	} {
		for method, headers := range map[string]map[string]string{
			http.MethodGet:     {"Origin": origin},
			http.MethodOptions: {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"},
		} {
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
			if allowed := answer.Header.Get("Access-Control-Allow-Origin"); (allowed == origin) != want {
				t.Errorf("%s from %s: allowed %q, want %v", method, origin, allowed, want)
			}
		}
	}
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
	for _, origin := range []string{"app.example.com", "https://app.example.com/path", "https://user@app.example.com", ""} {
		if _, err := api.New(api.Options{Sessions: f.store.Sessions(), Campaigns: f.store.Campaigns(), Deliveries: f.store.Deliveries(),
			Queue: f.queue, Prompts: f.prompts, AllowedOrigins: []string{origin}}); err == nil {
			t.Errorf("%q was taken for an origin", origin)
		}
	}
}
