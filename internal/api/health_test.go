package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/api"
	"github.com/dannsalud/broadcaster/internal/events"
)

// TestHealthIsToldAlsoWhenPartsAreDown: a database that is away, workers of whom some are busy and some are gone, and a queue that says nothing.
func TestHealthIsToldAlsoWhenPartsAreDown(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, row := range map[string]struct {
		queues []events.Queue
		err    error
		linker api.PartState
		sender api.PartState
	}{
		"busy and gone": {queues: []events.Queue{{Consumer: "linker", Pending: 3, Oldest: at}, {Consumer: "sender", InHand: 5}}, linker: api.PartUnavailable, sender: api.PartBusy},
		"at rest":       {queues: []events.Queue{{Consumer: "linker", Asking: 1}, {Consumer: "sender", Asking: 2, InHand: 1}}, linker: api.PartOK, sender: api.PartOK},
		"silent":        {err: errors.New("no answer"), linker: api.PartUnknown, sender: api.PartUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(options *api.Options) {
				options.Jobs = &queuesOnly{Jobs: options.Jobs, queues: row.queues, err: row.err}
				options.Health = api.HealthOptions{Library: "v0.0.0-x", LibraryMade: at, Probes: map[string]func(context.Context) error{
					"database": func(context.Context) error { return errors.New("away") }, "broker": func(context.Context) error { return nil }}}
			})
			answered := f.call(http.MethodGet, "/v1/health", nil)
			var got api.HealthView
			if err := json.Unmarshal(answered.raw, &got); err != nil || answered.status != http.StatusOK {
				t.Fatalf("%d: %s, %v", answered.status, answered.raw, err)
			}
			states := map[string]api.PartState{}
			for _, part := range got.Parts {
				states[part.Name] = part.State
			}
			if states["database"] != api.PartUnavailable || states["broker"] != api.PartOK || states["linker"] != row.linker || states["sender"] != row.sender {
				t.Errorf("they are %v", states)
			}
			if got.LibraryMade == nil || !got.LibraryMade.Equal(at) {
				t.Errorf("the library was made at %v", got.LibraryMade)
			}
		})
	}
}

// queuesOnly says of the queue what a test wants.
type queuesOnly struct {
	api.Jobs
	queues []events.Queue
	err    error
}

func (q *queuesOnly) Queues(context.Context) ([]events.Queue, error) { return q.queues, q.err }
