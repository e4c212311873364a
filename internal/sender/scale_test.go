package sender_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// size is how large the fleet of a test is.
type size struct{ sessions, senders int }

// fleetSize is 2 000 sessions on 20 senders, or what SCALE says ("10000x50", which docs/scale.md tells of and which takes minutes). The race detector
// and -short get a smaller one.
func fleetSize(t *testing.T) (s size) {
	t.Helper()
	asked := os.Getenv("SCALE")
	switch {
	case asked != "":
		if _, err := fmt.Sscanf(asked, "%dx%d", &s.sessions, &s.senders); err != nil {
			t.Fatalf("SCALE=%s is not like 10000x50: %v", asked, err)
		}
		return s
	case raceDetector || testing.Short():
		return size{sessions: 600, senders: 10}
	}
	return size{sessions: 2_000, senders: 20}
}

// TestAFleetAtScale is the life of a fleet: it starts, lives, loses senders, gets new ones, and is deployed anew. The numbers of docs/scale.md are
// what it logs: SCALE=10000x50 go test ./internal/sender -run TestAFleetAtScale -v -count=1
func TestAFleetAtScale(t *testing.T) {
	scale := fleetSize(t)
	before := memory()
	inFleet(t, scale.sessions, func(f *fleet) {
		t.Logf("%d sessions, %d senders", scale.sessions, scale.senders)
		f.phase("cold start", func() {
			for range scale.senders {
				f.start()
			}
			f.connectedWithin(2 * time.Minute)
		})
		f.balanced(0, 1.2)
		f.pass(30 * time.Second)
		steady := f.phase("steady state, a minute", func() { f.pass(time.Minute) })
		f.affordable(steady, time.Minute)
		t.Logf("memory: %d bytes a session in all senders, without their WhatsApp clients", (memory()-before)/uint64(scale.sessions))
		f.phase("one sender dies", func() {
			f.kill(f.senders[0])
			f.connectedWithin(2 * leaseTTL)
		})
		f.balanced(0, 1.2)
		f.pass(30 * time.Second)
		f.phase("a tenth of the senders dies", func() {
			for range scale.senders / 10 {
				f.kill(f.senders[0])
			}
			f.connectedWithin(2 * leaseTTL)
		})
		f.balanced(0, 1.3) // its sessions come free in the order of their leases, not all at once
		f.pass(30 * time.Second)
		fresh := scale.senders - len(f.senders)
		f.phase("as many new senders start, a minute", func() {
			for range fresh {
				f.start()
			}
			f.pass(time.Minute)
		})
		f.phase("every sender is deployed anew, one after another", func() {
			for range scale.senders {
				f.stop(f.senders[0])
				f.start()
				f.connectedWithin(2 * leaseTTL)
			}
		})
		f.balanced(1, 1.2)
	})
}

// connectedWithin waits until every session is connected, and checks how long it takes.
func (f *fleet) connectedWithin(most time.Duration) {
	f.t.Helper()
	if took := f.untilConnected(); took > most {
		f.t.Errorf("all are connected after %s, want %s", took, most)
	}
}

// balanced checks that no sender has a fifth more than its share (within 1.2), nor a fifth less. The youngest, which get only what becomes free, do not
// count.
func (f *fleet) balanced(youngest int, within float64) {
	f.t.Helper()
	var hosted []float64
	total := 0.0
	for _, one := range f.senders[:len(f.senders)-youngest] {
		hosted = append(hosted, float64(len(one.host.Hosted())))
		total += hosted[len(hosted)-1]
	}
	share := total / float64(len(hosted))
	for i, got := range hosted {
		if got > share*within+1 || got < share*(2-within)-1 {
			f.t.Errorf("sender %d of %d has %.0f sessions; its share is %.0f", i+1, len(f.senders), got, share)
		}
	}
}

// affordable checks what an idle session costs in a second.
func (f *fleet) affordable(cost tally, span time.Duration) {
	f.t.Helper()
	sessions, senders := float64(len(f.books.ids)), float64(len(f.senders))
	for _, bound := range []struct {
		what      string
		got, most float64
	}{
		{"lease renewals of a session", float64(cost[leaseRenewal]) / sessions, 0.24},
		{"claims in vain of a sender", float64(cost[leaseClaim]) / senders, float64(20+f.started) / 5},
		{"records listed by a sender", float64(cost[recordListed]) / senders, 101},
		{"other operations on the database by a sender", float64(cost.database()-cost[pageRead]) / senders, 1},
	} {
		if got := bound.got / span.Seconds(); got > bound.most {
			f.t.Errorf("%s: %.2f a second, want at most %.2f", bound.what, got, bound.most)
		}
	}
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
