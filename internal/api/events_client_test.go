package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/dannsalud/broadcaster/client"
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
