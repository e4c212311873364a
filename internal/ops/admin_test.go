package ops

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func ask(t *testing.T, handler http.Handler, method, target, host, body string) (int, string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	request.Host = host
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	content, err := io.ReadAll(answer.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Code, string(content)
}

func TestTheLevelChangesWhileTheProcessRuns(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	level := new(slog.LevelVar)
	log := NewLogger(LogOptions{Writer: &out, Level: level})
	admin := Admin{Level: level, Log: log}.Handler()
	log.Debug("hidden")
	if status, text := ask(t, admin, http.MethodGet, "/log/level", "127.0.0.1:6060", ""); status != http.StatusOK || text != "info\n" {
		t.Errorf("%d %q", status, text)
	}
	if status, text := ask(t, admin, http.MethodPut, "/log/level", "localhost:6060", "Debug\n"); status != http.StatusOK || text != "debug\n" {
		t.Errorf("%d %q", status, text)
	}
	log.Debug("shown")
	for _, word := range []string{"", "loud", "info+2", "INFO and more than fits"} {
		if status, _ := ask(t, admin, http.MethodPut, "/log/level", "127.0.0.1", word); status != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", word, status)
		}
	}
	if text := out.String(); strings.Contains(text, "hidden") || !strings.Contains(text, "shown") || !strings.Contains(text, "log level changed") {
		t.Errorf("logged:\n%s", text)
	}
}

func TestProfilesAreForThisMachineOnly(t *testing.T) {
	t.Parallel()
	admin := Admin{Level: new(slog.LevelVar)}.Handler()
	for host, want := range map[string]int{
		"127.0.0.1:6060": http.StatusOK, "[::1]:6060": http.StatusOK, "localhost": http.StatusOK, "[::1]": http.StatusOK,
		"rebound.example.com:6060": http.StatusForbidden, "192.168.1.5:6060": http.StatusForbidden, "": http.StatusForbidden,
	} {
		if status, _ := ask(t, admin, http.MethodGet, "/debug/pprof/goroutine?debug=1", host, ""); status != want {
			t.Errorf("host %q: %d, want %d", host, status, want)
		}
	}
	remote := Admin{Level: new(slog.LevelVar), Remote: true}.Handler()
	if status, text := ask(t, remote, http.MethodGet, "/debug/pprof/", "host.example.com", ""); status != http.StatusOK || !strings.Contains(text, "goroutine") {
		t.Errorf("%d", status)
	}
}

func TestLoopbackAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "127.0.0.2:6060": true, "[::1]:6060": true, "localhost:6060": true,
		":6060": false, "0.0.0.0:6060": false, "[::]:6060": false, "10.0.0.1:6060": false, "127.0.0.1": false, "localhost.example.com:1": false,
	} {
		if Loopback(address) != want {
			t.Errorf("%s: loopback is %t", address, !want)
		}
	}
}
