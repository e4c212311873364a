package sender_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// size is how large the fleet of a test is.
type size struct{ sessions, senders int }

// fullSize is what docs/scale.md tells of. The race detector and -short get a fleet that is as crowded, and smaller.
func fullSize() size {
	if raceDetector || testing.Short() {
		return size{sessions: 600, senders: 10}
	}
	return size{sessions: 10_000, senders: 50}
}

func TestAFleetAtScale(t *testing.T) {
	scale := fullSize()
	before := memory()
	inFleet(t, scale.sessions, func(f *fleet) {
		t.Logf("%d sessions, %d senders", scale.sessions, scale.senders)
		f.phase("cold start", func() {
			for range scale.senders {
				f.start()
			}
			t.Logf("connected after %s", f.untilConnected())
		})
		f.pass(30 * time.Second)
		f.phase("steady state", func() { f.pass(time.Minute) })
		t.Logf("memory: %d bytes a session", (memory()-before)/uint64(scale.sessions))
		f.phase("one sender dies", func() {
			f.kill(f.senders[0])
			t.Logf("connected after %s", f.untilConnected())
		})
		f.pass(30 * time.Second)
		f.phase("a tenth of the senders dies", func() {
			for range max(1, scale.senders/10) {
				f.kill(f.senders[0])
			}
			t.Logf("connected after %s", f.untilConnected())
		})
		f.pass(30 * time.Second)
	})
}

// phase runs a part of a story and logs what it cost.
func (f *fleet) phase(name string, run func()) tally {
	f.t.Helper()
	before, begun := f.counts.now(), time.Now()
	run()
	cost, took := f.counts.now().since(before), time.Since(begun)
	least, most := f.spread()
	var lines strings.Builder
	for i, count := range cost {
		if count > 0 {
			fmt.Fprintf(&lines, "\n  %-26s %10d  %10.1f/s", operationNames[i], count, float64(count)/took.Seconds())
		}
	}
	f.t.Logf("%s: %s, %d to %d sessions a sender%s\n  NATS messages %.1f/s, database operations %.1f/s, records handed out %.1f/s", name, took,
		least, most, &lines,
		float64(cost.nats())/took.Seconds(), float64(cost.database())/took.Seconds(), float64(cost.records())/took.Seconds())
	return cost
}
