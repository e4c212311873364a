package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
)

// TestLinkTokenShowsOneLinkAndNothingElse: also in an address, where a key does not count.
func TestLinkTokenShowsOneLinkAndNothingElse(t *testing.T) {
	t.Parallel()
	w := startTown(t)
	by, err := w.book.Identify(t.Context(), w.keys["operator ana"])
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := w.book.GrantLink(t.Context(), by, "ses_ana", "ana")
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		path, code string
	}{
		{"/v1/sessions/ses_ana/link/qr.png?token=" + token, "no_link"}, // let in: there is nothing to show
		{"/v1/sessions/ses_bea/link/qr.png?token=" + token, "not_found"},
		{"/v1/sessions/ses_ana?token=" + token, "link_token_only"},
		{"/v1/keys?token=" + token, "link_token_only"},
		{"/v1/sessions/ses_ana/link/qr.png?token=" + w.keys["operator ana"], "key_in_address"},
	}
	for _, row := range rows {
		recorder := httptest.NewRecorder()
		w.api.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, row.path, nil))
		if code := codeOf(recorder.Body.String()); code != row.code {
			t.Errorf("%s: %d %s, want %s", strings.Split(row.path, "=")[0], recorder.Code, code, row.code)
		}
	}
}

// TestTokenIsNotInTheAddressBehindConceal: what writes addresses down writes no token.
func TestTokenIsNotInTheAddressBehindConceal(t *testing.T) {
	t.Parallel()
	seen := ""
	hidden := api.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.URL.String() + r.RequestURI }))
	hidden.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/x?token=secret&a=b", nil))
	if strings.Contains(seen, "secret") || !strings.Contains(seen, "a=b") {
		t.Errorf("behind it the address is %q", seen)
	}
}

func TestKeyThatAsksTooOftenWaits(t *testing.T) {
	t.Parallel()
	f := start(t, func(options *api.Options) { options.RequestsPerSecond = 1 })
	f.call(http.MethodGet, "/v1/caller", nil)
	f.call(http.MethodGet, "/v1/caller", nil)
	got := f.call(http.MethodGet, "/v1/caller", nil)
	if got.status != http.StatusTooManyRequests || got.code() != "too_many_requests" || got.headers.Get("Retry-After") == "" {
		t.Errorf("%d %s %v", got.status, got.code(), got.headers)
	}
}

func TestLoginCookieIsForThisOriginOnly(t *testing.T) {
	t.Parallel()
	w := startTown(t)
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", nil)
	if _, err := w.api.LogIn(recorder, request, w.keys["operator ana"]); err != nil {
		t.Fatal(err)
	}
	cookie := recorder.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure {
		t.Errorf("%+v", cookie)
	}
	for site, want := range map[string]int{"same-origin": http.StatusCreated, "cross-site": http.StatusForbidden, "same-site": http.StatusForbidden} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sessions", strings.NewReader(`{"user_id":"ana"}`))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Sec-Fetch-Site", site)
		request.AddCookie(cookie)
		answer := httptest.NewRecorder()
		w.api.Handler().ServeHTTP(answer, request)
		if answer.Code != want {
			t.Errorf("%s: %d %s, want %d", site, answer.Code, answer.Body, want)
		}
	}
	for range 11 {
		_, _ = w.api.LogIn(httptest.NewRecorder(), request, access.Generate(time.Now()))
	}
	if _, err := w.api.LogIn(httptest.NewRecorder(), request, w.keys["operator ana"]); err == nil || !strings.Contains(err.Error(), "Too many logins") {
		t.Errorf("after eleven failures: %v", err)
	}
}

// silentQueue never confirms, as one whose answer was lost.
type silentQueue struct {
	api.Queue
	t *testing.T
}

// SendCommand implements api.Queue.
func (q silentQueue) SendCommand(ctx context.Context, _ events.Command) error {
	if until, has := ctx.Deadline(); has {
		q.t.Errorf("the queue's client would wait for a lost answer until %v", until)
	}
	<-ctx.Done()
	return fault.Wrap(ctx.Err(), fault.RetryLater, "queue_unavailable", "The queue did not confirm the message; try again")
}

func TestRequestEndsInTime(t *testing.T) {
	t.Parallel()
	f := start(t, func(options *api.Options) {
		options.RequestTimeout = 20 * time.Millisecond
		options.Queue = silentQueue{Queue: options.Queue, t: t}
	})
	got := f.link(f.newSession(), map[string]string{})
	if got.status != http.StatusServiceUnavailable || got.code() != "request_timeout" {
		t.Errorf("%d %s", got.status, got.raw)
	}
}
