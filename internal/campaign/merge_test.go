package campaign

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dannsalud/broadcaster/internal/fault"
)

func at(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }

func TestOutcomesAreMergedByRank(t *testing.T) {
	t.Parallel()
	failed := Outcome{State: FailedDelivery, At: at(1), Class: fault.SkipRecipient, Code: "not_on_whatsapp", Reason: "Nobody there"}
	rows := []struct {
		name     string
		outcomes []Outcome
		want     Delivery
	}{
		{"the usual way", []Outcome{{State: Sending, At: at(1)}, {State: Sent, At: at(2)}, {State: Delivered, At: at(3)}, {State: Read, At: at(4)}},
			Delivery{State: Read, SentAt: at(2), DeliveredAt: at(3), ReadAt: at(4), UpdatedAt: at(4)}},
		{"a receipt overtakes the record", []Outcome{{State: Delivered, At: at(3)}, {State: Sent, At: at(2)}},
			Delivery{State: Delivered, SentAt: at(2), DeliveredAt: at(3), UpdatedAt: at(3)}},
		{"delivered behind read", []Outcome{{State: Read, At: at(4)}, {State: Delivered, At: at(3)}},
			Delivery{State: Read, DeliveredAt: at(3), ReadAt: at(4), UpdatedAt: at(4)}},
		{"a second device confirms later", []Outcome{{State: Delivered, At: at(3)}, {State: Delivered, At: at(9)}},
			Delivery{State: Delivered, DeliveredAt: at(3), UpdatedAt: at(3)}},
		{"the earlier device is heard later", []Outcome{{State: Delivered, At: at(9)}, {State: Delivered, At: at(3)}},
			Delivery{State: Delivered, DeliveredAt: at(3), UpdatedAt: at(9)}},
		{"a receipt is proof against a failure", []Outcome{failed, {State: Delivered, At: at(3)}},
			Delivery{State: Delivered, DeliveredAt: at(3), UpdatedAt: at(3)}},
		{"a late failure changes nothing", []Outcome{{State: Sent, At: at(2)}, failed},
			Delivery{State: Sent, SentAt: at(2), UpdatedAt: at(2)}},
		{"the first verdict stands", []Outcome{failed, {State: FailedDelivery, At: at(2), Code: "other"}},
			Delivery{State: FailedDelivery, Class: fault.SkipRecipient, Code: "not_on_whatsapp", Reason: "Nobody there", UpdatedAt: at(1)}},
		{"unknown, then settled", []Outcome{{State: Unknown, At: at(1), Code: "timeout"}, {State: Sent, At: at(2)}},
			Delivery{State: Sent, SentAt: at(2), UpdatedAt: at(2)}},
		{"a state that does not exist", []Outcome{{State: "lost", At: at(1)}}, Delivery{State: Pending}},
		{"a receipt without a time", []Outcome{{State: Delivered, At: at(3)}, {State: Delivered}},
			Delivery{State: Delivered, DeliveredAt: at(3), UpdatedAt: at(3)}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			same(t, merged(row.outcomes), row.want)
		})
	}
}

func merged(outcomes []Outcome) Delivery {
	d := Delivery{State: Pending}
	for _, outcome := range outcomes {
		d = Merge(d, outcome)
	}
	return d
}

// TestOrderAndRepetitionOfOutcomesDoNotMatter: any permutation of any outcomes, with any of them repeated, ends in the same state and
// times. What explains a state is left out: of two verdicts of one rank the first stands.
func TestOrderAndRepetitionOfOutcomesDoNotMatter(t *testing.T) {
	t.Parallel()
	random := random(t)
	for range 5000 {
		outcomes := randomOutcomes(random)
		want := merged(outcomes)
		if highest := slices.MaxFunc(outcomes, byRank); want.State != highest.State && highest.State != Pending {
			t.Fatalf("%+v end in %s", outcomes, want.State)
		}
		for range random.IntN(4) {
			outcomes = append(outcomes, outcomes[random.IntN(len(outcomes))])
		}
		random.Shuffle(len(outcomes), func(i, j int) { outcomes[i], outcomes[j] = outcomes[j], outcomes[i] })
		d := Delivery{State: Pending}
		for _, outcome := range outcomes {
			next := Merge(d, outcome)
			if next.State.Rank() < d.State.Rank() || next.UpdatedAt.Before(d.UpdatedAt) {
				t.Fatalf("%+v went back to %+v by %+v", d, next, outcome)
			}
			d = next
		}
		if diff := cmp.Diff(want, d, cmpopts.IgnoreFields(Delivery{}, "UpdatedAt", "Class", "Code", "Reason")); diff != "" {
			t.Fatalf("%+v in this order give another delivery:\n%s", outcomes, diff)
		}
	}
}

func byRank(a, b Outcome) int { return a.State.Rank() - b.State.Rank() }

func randomOutcomes(random *rand.Rand) []Outcome {
	states := DeliveryStates()
	outcomes := make([]Outcome, 1+random.IntN(7))
	for i := range outcomes {
		outcomes[i] = Outcome{State: states[random.IntN(len(states))], At: at(random.IntN(50)), Code: string(rune('a' + i))}
	}
	return outcomes
}

func TestRanksAreTheOrderOfTheStates(t *testing.T) {
	t.Parallel()
	for rank, state := range DeliveryStates() {
		if state.Rank() != rank {
			t.Errorf("%s has rank %d, want %d", state, state.Rank(), rank)
		}
		settled := state != Pending && state != Sending && state != Unknown
		if state.Settled() != settled {
			t.Errorf("%s: settled %v", state, state.Settled())
		}
	}
	if DeliveryState("").Rank() != -1 || DeliveryState("").Settled() {
		t.Error("a state that does not exist must rank below all")
	}
}

func TestCountsAddUp(t *testing.T) {
	t.Parallel()
	counts := Counts{Pending: 1, Sending: 2, Unknown: 4, FailedDelivery: 8, Skipped: 16, Sent: 32, Delivered: 64, Read: 128}
	same(t, counts.Total(), 255)
	same(t, counts.Open(), 1+2+4)
	want := map[DeliveryState]int{Pending: 255 - 8 - 16, Sending: 2 + 4 + 32 + 64 + 128, Unknown: 4 + 32 + 64 + 128, FailedDelivery: 8, Skipped: 16,
		Sent: 32 + 64 + 128, Delivered: 64 + 128, Read: 128}
	for _, state := range DeliveryStates() {
		if got := counts.AtLeast(state); got != want[state] {
			t.Errorf("at least %s: %d, want %d", state, got, want[state])
		}
	}
	var none Counts
	same(t, []int{none.Total(), none.Open(), none.AtLeast(Sent)}, []int{0, 0, 0})
}

func TestMessageIDsAreStableAndDistinct(t *testing.T) {
	t.Parallel()
	// Fixed for ever: a campaign that is interrupted before an upgrade goes on under the same ids behind it.
	same(t, MessageID("cmp_1", "+5491155550101"), "3EB09EA870418DAC02ADA9")
	seen := map[string]bool{}
	for _, campaign := range []ID{"cmp_1", "cmp_2", "cmp_1\x00+54"} {
		for _, phone := range []string{"+5491155550101", "+5491155550102", "9"} {
			id := MessageID(campaign, phone)
			if len(id) != 22 || id[:4] != "3EB0" || seen[id] {
				t.Errorf("%s %s: id %q", campaign, phone, id)
			}
			seen[id] = true
		}
	}
}
