package wa

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// TestAMissedRetryIsKnownByWhatsmeowsText: the library says it in its log alone, so that a version with another text would leave the metric silent.
func TestAMissedRetryIsKnownByWhatsmeowsText(t *testing.T) {
	t.Parallel()
	missed := make(chan struct{}, 1)
	own := types.NewJID("5491150000001", types.DefaultUserServer)
	device := &store.Device{ID: &own, LIDs: store.NoopDevice.LIDs, EventBuffer: store.NoopDevice.EventBuffer}
	client := whatsmeow.NewClient(device, bridge(slog.New(slog.DiscardHandler), "client", func() { missed <- struct{}{} }))
	client.SynchronousAck = true
	client.DangerousInternals().HandleReceipt(t.Context(), &waBinary.Node{ //nolint:staticcheck // "deprecated" is its warning to products; a test may
		Tag: "receipt",
		Attrs: waBinary.Attrs{"id": "3EB0AAAABBBBCCCCDDDDEE", "type": "retry", "t": "1750000000",
			"from": types.NewJID("5491140000001", types.DefaultUserServer)},
		Content: []waBinary.Node{{Tag: "retry", Attrs: waBinary.Attrs{"id": "3EB0AAAABBBBCCCCDDDDEE", "t": "1750000000", "count": "1", "v": "1"}}},
	})
	select {
	case <-missed:
	case <-time.After(10 * time.Second):
		t.Fatal("whatsmeow did not say that it missed a message, or says it with other words")
	}
}

func TestRareEventsHaveASeriesBeforeTheyHappen(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	if _, err := newMetrics(registry); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"wa_send_duration_seconds": 9, "wa_reconnects_total": 5, "wa_client_outdated_total": 4, "wa_retry_receipts_total": 2} {
		if got, err := testutil.GatherAndCount(registry, name); got != want || err != nil {
			t.Errorf("%s has %d series, want %d: %v", name, got, want, err)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestTheDateOfALibraryIsInItsVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v0.0.0-20260821141805-33cfac511629":     "2026-08-21T14:18:05Z",
		"v1.2.4-0.20260102030405-33cfac511629":   "2026-01-02T03:04:05Z",
		"v1.2.3":                                 "",
		"v0.0.0-20261399141805-33cfac511629":     "",
		"v0.0.0-20260821141805-33cfac511629-mod": "",
	} {
		at, dated := committed(version)
		if got := at.Format(time.RFC3339); dated != (want != "") || dated && !strings.EqualFold(got, want) {
			t.Errorf("%s: got %s, %v", version, got, dated)
		}
	}
}
