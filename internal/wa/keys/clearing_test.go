package keys

import (
	"slices"
	"testing"
	"time"
)

// whatsmeow asks with each message that it sends.
func TestExpiredRowsAreClearedOnceAnHour(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var clearing lastClearing
	var done []time.Duration
	for at := time.Duration(0); at < 3*time.Hour; at += 20 * time.Minute {
		if clearing.due(now.Add(at)) {
			done = append(done, at)
		}
	}
	if want := []time.Duration{0, time.Hour, 2 * time.Hour}; !slices.Equal(done, want) {
		t.Errorf("cleared at %v, want %v", done, want)
	}
}
