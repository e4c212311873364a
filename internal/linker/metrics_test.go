package linker

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dannsalud/broadcaster/internal/session"
)

// TestIgnoredEventsHaveASeriesBeforeTheyHappen: else the first one would be no increase to Prometheus. Events that are never ignored have none.
func TestIgnoredEventsHaveASeriesBeforeTheyHappen(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	if _, err := newMetrics(registry); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, state := range session.LinkStates() {
		for _, kind := range session.EventKinds() {
			if !state.Accepts(kind) {
				want++
			}
		}
	}
	if got, err := testutil.GatherAndCount(registry, "link_events_ignored_total"); got != want || err != nil || want == 0 {
		t.Errorf("link_events_ignored_total has %d series, want %d: %v", got, want, err)
	}
}
