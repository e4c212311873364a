package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
)

// asViewer calls as a viewer.
type asViewer struct{}

func (asViewer) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("X-Caller", "viewer")
	return http.DefaultTransport.RoundTrip(request)
}

// TestTheClientFollowsARealStream through a connection that is cut, and sees that facts are gone.
func TestTheClientFollowsARealStream(t *testing.T) {
	t.Parallel()
	s := startStage(t, 0, nil)
	s.publish(changed("ana", 1), changed("bea", 2), changed("ana", 3))
	api, err := client.New(s.server.URL, &http.Client{Transport: asViewer{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ids []string
	var last error
	for event, err := range api.Events(ctx, client.EventsOptions{CampaignID: "cmp_ana", Kinds: []string{"campaign_changed"}, After: "0"}) {
		if last = err; err != nil {
			break
		}
		ids = append(ids, event.ID)
		switch event.ID {
		case "3":
			s.server.CloseClientConnections()
			s.publish(changed("bea", 4), changed("ana", 5))
		case "5":
			cancel()
		}
		if event.Kind != "campaign_changed" || event.CampaignID != "cmp_ana" || event.UserID != "ana" || event.At.IsZero() || len(event.Data) == 0 {
			t.Errorf("event %+v", event)
		}
	}
	if len(ids) != 3 || ids[0] != "1" || ids[1] != "3" || ids[2] != "5" || !errors.Is(last, context.Canceled) {
		t.Errorf("walked %v, then %v", ids, last)
	}
	var gap *client.EventsGap
	for _, err := range api.Events(t.Context(), client.EventsOptions{After: "77"}) {
		if errors.As(err, &gap); gap == nil || gap.After != "77" || gap.First != "6" {
			t.Errorf("behind an event that there is not: %v", err)
		}
		break
	}
	for _, err := range api.Events(t.Context(), client.EventsOptions{Kinds: []string{"no_kind"}}) {
		if !client.IsCode(err, "unknown_kind") {
			t.Errorf("a kind that there is not: %v", err)
		}
	}
}

// TestAStreamEndsWithItsKey: one that was open when its key was revoked, and the key opens no other one.
func TestAStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	s := startStage(t, 0, nil)
	server := httptest.NewServer(s.api.Handler()) // with keys, unlike the stage's own
	t.Cleanup(server.Close)
	admin := access.Caller{Key: access.Terminal, Role: access.Admin}
	key, secret, err := s.book.Create(t.Context(), admin, access.Wanted{Name: "x", Role: access.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	s.publish(changed("ana", 1))
	var interrupted int
	options := client.EventsOptions{After: "0", Interrupted: func(error, time.Duration) { interrupted++ }}
	var last error
	for event, err := range api.WithKey(secret).Events(t.Context(), options) {
		if last = err; event.ID == "1" {
			if _, err := s.book.Revoke(t.Context(), admin, key.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !client.IsCode(last, "key_revoked") || interrupted > 1 {
		t.Errorf("ended with %v after %d interruptions", last, interrupted)
	}
}
