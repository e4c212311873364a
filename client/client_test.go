package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/client"
)

func TestAddressMustBeAURL(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "localhost:8080", "ftp://localhost", "http://", "::"} {
		if _, err := client.New(address, nil); err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:8080") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// serve answers every request as told, and gives a client for it.
func serve(t *testing.T, answer http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	api, err := client.New(server.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func TestProblemsReachTheCaller(t *testing.T) {
	t.Parallel()
	api := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"status":409,"title":"Conflict","detail":"The session is ready","class":"conflict","code":"session_ready",
			"errors":[{"location":"body.method","message":"unknown"}]}`)
	})
	_, err := api.Session(t.Context(), "ses_1")
	var problem *client.Problem
	if !errors.As(err, &problem) || problem.Status != http.StatusConflict || !client.IsCode(err, "session_ready") || client.IsCode(err, "other") {
		t.Errorf("error %#v", err)
	}
	if want := "The session is ready\n  body.method: unknown"; err.Error() != want {
		t.Errorf("it says %q, want %q", err, want)
	}
}

func TestAnswersThatAreNoProblemKeepTheirStatus(t *testing.T) {
	t.Parallel()
	api := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html>bad gateway", http.StatusBadGateway)
	})
	_, err := api.Session(t.Context(), "ses_1")
	var problem *client.Problem
	if !errors.As(err, &problem) || problem.Status != http.StatusBadGateway || err.Error() != "Bad Gateway" {
		t.Errorf("error %v", err)
	}
}

func TestNonsenseIsAnError(t *testing.T) {
	t.Parallel()
	api := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "not JSON") })
	if _, err := api.Session(t.Context(), "ses_1"); err == nil || !strings.Contains(err.Error(), "decode the API's answer") {
		t.Errorf("error %v", err)
	}
}

func TestListsAreWalkedPageByPage(t *testing.T) {
	t.Parallel()
	var asked []string
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("after"))
		page := map[string]any{"items": []map[string]any{{"id": fmt.Sprint("d", len(asked))}}}
		if len(asked) < 3 {
			page["next"] = fmt.Sprint("cursor", len(asked))
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	var seen []string
	for delivery, err := range api.Deliveries(t.Context(), "cmp_1", "") {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, delivery.ID)
	}
	if got := strings.Join(seen, " "); got != "d1 d2 d3" {
		t.Errorf("saw %s", got)
	}
	if got := strings.Join(asked, " "); got != " cursor1 cursor2" {
		t.Errorf("asked for %q", got)
	}
	asked = nil
	for _, err := range api.Deliveries(t.Context(), "cmp_1", "") {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if len(asked) != 1 {
		t.Errorf("a walk that was broken off asked %d times", len(asked))
	}
}

func TestCancelledCallsSaySo(t *testing.T) {
	t.Parallel()
	api := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	ctx, cancel := contextThatEnded(t)
	defer cancel()
	if _, err := api.Session(ctx, "ses_1"); !errors.Is(err, ctx.Err()) {
		t.Errorf("error %v", err)
	}
}

func contextThatEnded(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

// TestOnlyWhatIsLeftOutIsNotSaid: a user may be called "0", and zero may be meant where it is pointed to.
func TestOnlyWhatIsLeftOutIsNotSaid(t *testing.T) {
	t.Parallel()
	asked := make(chan url.Values, 1)
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 20); err != nil && !errors.Is(err, http.ErrNotMultipart) {
			t.Error(err)
		}
		asked <- r.Form
		fmt.Fprint(w, "{}")
	}).Operations()
	calls := []struct {
		call func() error
		want string
	}{
		{func() error {
			_, err := api.ListCampaigns(t.Context(), client.ListCampaignsQuery{UserID: "0", SessionID: "false", After: "", State: []string{"0"}})
			return err
		}, "session_id=false&state=0&user_id=0"},
		{func() error { _, err := api.ListCampaigns(t.Context(), client.ListCampaignsQuery{Size: 7}); return err }, "size=7"},
		{func() error {
			_, err := api.DeleteEgress(t.Context(), "ses_1", client.DeleteEgressQuery{Move: true})
			return err
		}, "move=true"},
		{func() error { _, err := api.DeleteEgress(t.Context(), "ses_1", client.DeleteEgressQuery{}); return err }, ""},
		{func() error {
			form := client.PreviewCampaignUploadForm{Check: new(int), Text: "0", PhoneColumn: "false"}
			_, err := api.PreviewCampaignUpload(t.Context(), client.Upload{Name: "a.csv", Content: strings.NewReader("x")}, form)
			return err
		}, "check=0&phone_column=false&text=0"},
	}
	for _, row := range calls {
		if err := row.call(); err != nil {
			t.Fatal(err)
		}
		if got := (<-asked).Encode(); got != row.want {
			t.Errorf("said %q, want %q", got, row.want)
		}
	}
}
