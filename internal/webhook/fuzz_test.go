package webhook

import (
	"testing"
	"time"
)

func FuzzRetryAfter(f *testing.F) {
	at := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	for _, value := range []string{"120", "-1", "99999999999999999999", "Sun, 01 Mar 2026 12:01:00 GMT", "soon", ""} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if wait := retryAfter(value, at); wait < 0 || wait > longestRetryAfter {
			t.Errorf("%q is a wait of %s", value, wait)
		}
	})
}
