package bus

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// TestRareFailuresHaveASeriesBeforeTheyHappen: else the first one would be no increase to Prometheus.
func TestRareFailuresHaveASeriesBeforeTheyHappen(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	worker := &Worker{bus: &Bus{metrics: metrics}, kinds: map[string]string{}}
	if err := worker.claimConsumer(ConsumerSender); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"publish_errors_total": len(places()), "failed_jobs_total": len(fault.Classes())} {
		if got, err := testutil.GatherAndCount(registry, name); got != want || err != nil {
			t.Errorf("%s has %d series, want %d: %v", name, got, want, err)
		}
	}
	for subject, want := range map[string]string{"commands.link.ses_1": "commands", "failed.link": "failed", "$JS.API.INFO": "other"} {
		metrics.refused(subject)
		if got := testutil.ToFloat64(metrics.publishError.WithLabelValues(want)); got != 1 {
			t.Errorf("%s was counted %v times as %s", subject, got, want)
		}
	}
}
