package ops

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	var broken error
	mux := http.NewServeMux()
	Pages{Gatherer: NewRegistry(), Checks: []Check{
		{Name: "broker", Probe: func(context.Context) error { return broken }},
		{Name: "database", Probe: func(context.Context) error { return nil }},
	}}.Mount(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")

	if err := ProbeReady(t.Context(), address); err != nil {
		t.Error(err)
	}
	broken = errors.New("no route to host")
	status, body := get(t, server.URL+"/readyz")
	var answer struct{ Checks map[string]string }
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusServiceUnavailable ||
		answer.Checks["broker"] != "unavailable" || answer.Checks["database"] != "ok" {
		t.Errorf("%d %s (%v)", status, body, err)
	}
	if strings.Contains(string(body), "no route") {
		t.Errorf("the cause, which may name addresses, is shown: %s", body)
	}
	if err := ProbeReady(t.Context(), address); err == nil || !strings.Contains(err.Error(), `"broker":"unavailable"`) {
		t.Errorf("error %v", err)
	}
	if status, _ := get(t, server.URL+"/healthz"); status != http.StatusOK {
		t.Errorf("a process with a broken broker is alive, not %d", status)
	}
	if status, body := get(t, server.URL+"/metrics"); status != http.StatusOK || !strings.Contains(string(body), "go_goroutines") {
		t.Errorf("metrics: %d", status)
	}
	server.Close()
	if err := ProbeReady(t.Context(), address); err == nil {
		t.Error("a process that does not answer is ready")
	}
}

func get(t *testing.T, url string) (status int, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err = io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}
