package api_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
)

// hexSealer stands for the keys, which are tested in internal/wa/keys.
type hexSealer struct{}

func (hexSealer) Seal(id session.ID, name string, secret []byte) ([]byte, error) {
	return fmt.Appendf(nil, "%s/%s/%s", id, name, hex.EncodeToString(secret)), nil
}

func (hexSealer) Open(id session.ID, name string, sealed []byte) ([]byte, error) {
	rest, found := strings.CutPrefix(string(sealed), fmt.Sprintf("%s/%s/", id, name))
	if !found {
		return nil, errors.New("sealed elsewhere")
	}
	return hex.DecodeString(rest)
}

// checker answers as it is told, and writes down what it was asked to try.
type checker struct {
	mu    sync.Mutex
	found session.EgressCheck
	err   error
	tried []string
	limit bool
}

func (c *checker) Check(ctx context.Context, proxy session.Proxy) (session.EgressCheck, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried = append(c.tried, proxy.Reveal())
	_, c.limit = ctx.Deadline()
	return c.found, c.err
}

// logBuffer is a log that goroutines may write to at once.
type logBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

const (
	aliceWay   = "socks5://alice:hunter2@proxy.example:1080"
	aliceShown = "socks5://***@proxy.example:1080"
)

// startEgress starts an API that keeps proxies; ana has one from the configuration. Nothing that it answers or logs may show a password.
func startEgress(t *testing.T) (*fixture, *checker) {
	t.Helper()
	log, tries := &logBuffer{}, &checker{}
	f := startWith(t, func(o *api.Options, database *sqlite.DB) {
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Egress = &api.EgressOptions{Ways: waysOf(t, database), Checker: tries, DefaultProxies: map[string]string{"ana": "http://ana:hunter9@ana.example"}}
	})
	t.Cleanup(func() {
		if shown := log.String(); strings.Contains(shown, "hunter") || strings.Contains(shown, "alice") {
			t.Errorf("the log shows a password: %s", shown)
		}
	})
	return f, tries
}

func waysOf(t *testing.T, database *sqlite.DB) *session.Ways {
	t.Helper()
	ways, err := session.NewWays(database.Sessions(), database.Egresses(), hexSealer{})
	if err != nil {
		t.Fatal(err)
	}
	return ways
}

// callMasked is call for an answer that must show no password.
func (f *fixture) callMasked(method, path string, body any) answer {
	f.t.Helper()
	got := f.call(method, path, body)
	if strings.Contains(string(got.raw), "hunter") || strings.Contains(string(got.raw), "alice") {
		f.t.Errorf("%s %s shows a password: %s", method, path, got.raw)
	}
	return got
}

func (f *fixture) sessionOf(user string) string {
	f.t.Helper()
	created := f.callMasked(http.MethodPost, "/v1/sessions", map[string]string{"user_id": user})
	id, _ := created.body["id"].(string)
	if created.status != http.StatusCreated || id == "" {
		f.t.Fatalf("created %+v", created)
	}
	return id
}

func (f *fixture) setState(id string, state session.State) {
	f.t.Helper()
	if _, err := session.Modify(f.t.Context(), f.store.Sessions(), session.ID(id), func(s *session.Session) error {
		s.State = state
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
}

func wantEgress(t *testing.T, got answer, want map[string]any) {
	t.Helper()
	if difference := cmp.Diff(want, got.body); got.status != http.StatusOK || difference != "" {
		t.Fatalf("status %d (-want +got):\n%s", got.status, difference)
	}
}

func TestASessionGetsAProxyAndLosesIt(t *testing.T) {
	t.Parallel()
	f, _ := startEgress(t)
	path := "/v1/sessions/" + f.sessionOf("bea") + "/egress"
	direct := map[string]any{"egress": "direct", "kind": "direct"}
	wantEgress(t, f.callMasked(http.MethodGet, path, nil), direct)
	chosen := map[string]any{"egress": egressName(t, aliceWay), "kind": "proxy", "proxy": aliceShown}
	wantEgress(t, f.callMasked(http.MethodPut, path, map[string]any{"proxy": aliceWay}), chosen)
	wantEgress(t, f.callMasked(http.MethodGet, path, nil), chosen)
	wantEgress(t, f.callMasked(http.MethodDelete, path, nil), direct)
	wantEgress(t, f.callMasked(http.MethodGet, path, nil), direct)
}

func egressName(t *testing.T, address string) string {
	t.Helper()
	proxy, err := session.ParseProxy(address)
	if err != nil {
		t.Fatal(err)
	}
	return proxy.Egress()
}

func TestALinkedSessionIsMovedOnlyWhenAskedTo(t *testing.T) {
	t.Parallel()
	f, _ := startEgress(t)
	id := f.sessionOf("bea")
	path := "/v1/sessions/" + id + "/egress"
	f.setState(id, session.Ready)
	if got := f.callMasked(http.MethodPut, path, map[string]any{"proxy": aliceWay}); got.status != http.StatusConflict || got.code() != "egress_is_sticky" {
		t.Errorf("without move: %d %s", got.status, got.raw)
	}
	moved := map[string]any{"egress": egressName(t, aliceWay), "kind": "proxy", "proxy": aliceShown, "moved": true}
	wantEgress(t, f.callMasked(http.MethodPut, path, map[string]any{"proxy": aliceWay, "move": true}), moved)
	if got := f.callMasked(http.MethodDelete, path, nil); got.status != http.StatusConflict || got.code() != "egress_is_sticky" {
		t.Errorf("back without move: %d %s", got.status, got.raw)
	}
	wantEgress(t, f.callMasked(http.MethodDelete, path+"?move=true", nil), map[string]any{"egress": "direct", "kind": "direct", "moved": true})
}

func TestUsersWithAProxyOfTheirOwnGetItWithEverySession(t *testing.T) {
	t.Parallel()
	f, _ := startEgress(t)
	path := "/v1/sessions/" + f.sessionOf("ana")
	wantEgress(t, f.callMasked(http.MethodGet, path+"/egress", nil),
		map[string]any{"egress": egressName(t, "http://ana@ana.example"), "kind": "proxy", "proxy": "http://***@ana.example:80"})
	if got := f.callMasked(http.MethodGet, path, nil).body["egress"]; got != egressName(t, "http://ana@ana.example") {
		t.Errorf("the session's egress is %v", got)
	}
}

func TestWhatIsWrongWithAProxyIsSaidWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	f, _ := startEgress(t)
	path := "/v1/sessions/" + f.sessionOf("bea") + "/egress"
	for name, body := range map[string]any{
		"no address": map[string]any{"proxy": "hunter2"}, "a path": map[string]any{"proxy": aliceWay + "/x"}, "none": map[string]any{},
		"no text": map[string]any{"proxy": []string{aliceWay}}, "another field": map[string]any{"proxy": aliceWay, "hunter2": true},
		"no truth": map[string]any{"proxy": aliceWay, "move": "hunter2"}, "no object": aliceWay,
	} {
		if got := f.callMasked(http.MethodPut, path, body); got.status != http.StatusUnprocessableEntity || !strings.HasPrefix(got.code(), "bad_") {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	if got := f.callMasked(http.MethodPut, "/v1/sessions/ses_none/egress", map[string]any{"proxy": aliceWay}); got.status != http.StatusNotFound {
		t.Errorf("a session that does not exist: %d", got.status)
	}
}

func TestACheckTriesTheSessionsWay(t *testing.T) {
	t.Parallel()
	f, tries := startEgress(t)
	id := f.sessionOf("bea")
	path := "/v1/sessions/" + id + "/egress"
	tries.found = session.EgressCheck{Latency: 42 * time.Millisecond}
	wantEgress(t, f.callMasked(http.MethodPost, path+"/check", nil),
		map[string]any{"egress": "direct", "kind": "direct", "reachable": true, "latency_ms": 42.0})
	f.callMasked(http.MethodPut, path, map[string]any{"proxy": aliceWay})
	tries.found = session.EgressCheck{Problem: session.EgressUnauthorized, Latency: time.Second}
	english, spanish := session.EgressUnauthorized.Explain()
	wantEgress(t, f.callMasked(http.MethodPost, path+"/check", nil), map[string]any{"egress": egressName(t, aliceWay), "kind": "proxy", "proxy": aliceShown,
		"reachable": false, "latency_ms": 1000.0, "problem": "proxy_unauthorized", "message": english, "message_es": spanish})
	if difference := cmp.Diff([]string{"", aliceWay}, tries.tried); difference != "" || !tries.limit {
		t.Errorf("with a limit: %v; tried (-want +got):\n%s", tries.limit, difference)
	}
	tries.err = errors.New("disk on fire")
	if got := f.callMasked(http.MethodPost, path+"/check", nil); got.status != http.StatusInternalServerError {
		t.Errorf("a check that cannot be made: %d", got.status)
	}
}

func TestAServiceWithoutAKeyTakesNoProxies(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	path := "/v1/sessions/" + f.sessionOf("ana") + "/egress"
	for method, sub := range map[string]string{http.MethodGet: "", http.MethodPut: "", http.MethodDelete: "", http.MethodPost: "/check"} {
		var body any
		if method == http.MethodPut {
			body = map[string]any{"proxy": aliceWay}
		}
		if got := f.callMasked(method, path+sub, body); got.status != http.StatusConflict || got.code() != "egress_not_configured" {
			t.Errorf("%s: %d %s", method, got.status, got.raw)
		}
	}
}

func TestDefaultProxiesAreChecked(t *testing.T) {
	t.Parallel()
	startWith(t, func(o *api.Options, database *sqlite.DB) {
		refused := *o
		refused.Egress = &api.EgressOptions{Ways: waysOf(t, database), Checker: &checker{}, DefaultProxies: map[string]string{"ana": "ftp://ana:hunter2@h"}}
		_, err := api.New(refused)
		if err == nil || !strings.Contains(err.Error(), `"ana"`) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
	})
}
