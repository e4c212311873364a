package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func planOf(seed uint64, faults int) plan {
	return plan{seed: seed, faults: faults, senders: 3, ttl: 3 * time.Second, kinds: everyKind[:]}
}

func TestTheSameSeedHasTheSameSchedule(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		if diff := cmp.Diff(planOf(seed, 50).schedule(), planOf(seed, 50).schedule()); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
		if cmp.Equal(planOf(seed, 50).schedule(), planOf(seed+1, 50).schedule()) {
			t.Errorf("seeds %d and %d have the same schedule", seed, seed+1)
		}
		if diff := cmp.Diff(planOf(seed, 50).schedule()[:30], planOf(seed, 30).schedule()); diff != "" {
			t.Errorf("seed %d: a shorter schedule is another one: %s", seed, diff)
		}
	}
}

func TestEveryKindComesOnceBeforeOneComesTwice(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		seen := map[kind]int{}
		for number, next := range planOf(seed, 2*len(everyKind)).schedule() {
			if seen[next.Kind]++; seen[next.Kind] > 1+number/len(everyKind) {
				t.Errorf("seed %d: %q comes twice within %d", seed, next.Kind, number+1)
			}
			if next.Kind.needsSender() != (next.Sender > 0) || next.Sender > 3 {
				t.Errorf("seed %d: the victim of %q is %d", seed, next.Kind, next.Sender)
			}
			if next.Kind.outlastsLease() && next.Lasts < 3*time.Second*3/2 {
				t.Errorf("seed %d: %q lasts %s only", seed, next.Kind, next.Lasts)
			}
		}
	}
}

func TestEveryKindIsKnownToTheStory(t *testing.T) {
	t.Parallel()
	s := &story{network: &network{ways: map[string]*ways{"sender-1": {}}}, fleet: emptyFleet(t)}
	for _, one := range everyKind {
		if done := s.harm(fault{Kind: one}, "sender-1"); done.end == nil {
			t.Errorf("nobody knows how to %s", one)
		}
	}
	if done := s.harm(fault{Kind: "be kind"}, "sender-1"); done.end != nil {
		t.Error("an unknown kind is done")
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	given := options{sessions: 2, recipients: 5, ttl: 3 * time.Second}
	for name, row := range map[string]struct {
		result report
		good   bool
	}{
		"good":              {report{Recipients: 10, FailoverP99: 6, ResentOnWire: 3}, true},
		"too few":           {report{Recipients: 9}, false},
		"lost":              {report{Recipients: 10, Lost: 1}, false},
		"duplicated":        {report{Recipients: 10, Duplicated: 1}, false},
		"double connection": {report{Recipients: 10, DoubleConnections: 1}, false},
		"slow failover":     {report{Recipients: 10, FailoverP99: 6.01}, false},
	} {
		if err := row.result.verdict(given); (err == nil) != row.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	var hundred []float64
	for value := range 100 {
		hundred = append(hundred, float64(100-value))
	}
	for want, values := range map[float64][]float64{0: nil, 2: {1, 2}, 99: hundred, 1.24: {1.234}} {
		if got := percentile99(values); got != want {
			t.Errorf("got %v of %v, want %v", got, values, want)
		}
	}
}
