package lease

import (
	"testing"
	"time"
)

// In virtual time a timer is never late, so the case that matters, a process that wakes up after its deadline and asks before its timers
// have run, is set up by hand.
func TestHeldGoesByTheClockBeforeTheFenceHasRun(t *testing.T) {
	t.Parallel()
	lease := &Lease{done: make(chan struct{}), held: true, deadline: time.Now().Add(time.Hour)}
	if !lease.Held() {
		t.Error("a lease before its deadline must be held")
	}
	lease.deadline = time.Now().Add(-time.Nanosecond)
	if lease.Held() {
		t.Error("a lease past its deadline must not be held, whatever its timer did")
	}
}
