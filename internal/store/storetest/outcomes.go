package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
)

func recordChecks() []check {
	return []check{
		{"FollowsMergeWhateverTheOrder", recordFollowsMerge},
		{"FollowsMergeWithinOneBatch", recordWithinBatch},
		{"FollowsMergeWhenManyRecordAtOnce", recordConcurrently},
		{"CountsIdsThatDoNotExist", recordMissing},
		{"RefusesWhatIsNoOutcome", recordRefused},
	}
}

// outcomeSeeds are the seeds of the random histories; a failure names its own.
var outcomeSeeds = []uint64{1, 2, 3, 5, 8}

// history draws outcomes for deliveries: late, early, repeated, in any order, as receipts come.
func history(random *rand.Rand, ids []string, length int) []campaign.Outcome {
	states := []campaign.DeliveryState{campaign.Unknown, campaign.FailedDelivery, campaign.Skipped, campaign.Sent, campaign.Delivered, campaign.Read}
	outcomes := make([]campaign.Outcome, length)
	for i := range outcomes {
		n := random.IntN(50)
		outcomes[i] = campaign.Outcome{DeliveryID: ids[random.IntN(len(ids))], State: states[random.IntN(len(states))],
			At: at(n).Add(time.Duration(random.IntN(1000)) * time.Millisecond)}
		if outcomes[i].State.Rank() < campaign.Sent.Rank() {
			outcomes[i].Class, outcomes[i].Code, outcomes[i].Reason = fault.SkipRecipient, fmt.Sprint("code_", n), fmt.Sprint("Motivo ", n)
		}
	}
	return outcomes
}

// apply gives what deliveries are after outcomes, by the rule itself.
func apply(deliveries []campaign.Delivery, outcomes []campaign.Outcome) []campaign.Delivery {
	merged := slices.Clone(deliveries)
	for _, outcome := range outcomes {
		for i := range merged {
			if merged[i].ID == outcome.DeliveryID {
				merged[i] = campaign.Merge(merged[i], outcome)
			}
		}
	}
	return merged
}

func idOf(d campaign.Delivery) string { return d.ID }

func recordFollowsMerge(t *testing.T, stores Stores) {
	for n, seed := range outcomeSeeds {
		id := campaign.ID(fmt.Sprint("cmp_", n))
		all := planned(t, stores, id, 4)
		_, err := stores.Deliveries.Claim(t.Context(), campaign.Claim{CampaignID: id, Run: "run", Limit: 2, At: at(0)})
		ok(t, err)
		want := allDeliveries(t, stores, id, "")
		for step, outcome := range history(rand.New(rand.NewPCG(seed, 0)), names(all, idOf), 25) { //nolint:gosec // a test that can be repeated
			record(t, stores, outcome)
			want = apply(want, []campaign.Outcome{outcome})
			if step == 12 && n == 0 {
				stores = stores.Reopen(t)
			}
		}
		same(t, allDeliveries(t, stores, id, ""), want)
		wantCounts(t, stores, id, want)
	}
}

func recordWithinBatch(t *testing.T, stores Stores) {
	for n, seed := range outcomeSeeds {
		id := campaign.ID(fmt.Sprint("cmp_", n))
		all := planned(t, stores, id, 6)
		outcomes := history(rand.New(rand.NewPCG(seed, 1)), names(all, idOf), 60) //nolint:gosec // a test that can be repeated
		record(t, stores, outcomes...)
		want := apply(all, outcomes)
		same(t, allDeliveries(t, stores, id, ""), want)
		wantCounts(t, stores, id, want)
	}
}

// recordConcurrently records receipts from several goroutines. Their order is open, so only what does not depend on it is compared: the
// times, and the highest rank.
func recordConcurrently(t *testing.T, stores Stores) {
	const writers = 4
	all := planned(t, stores, "cmp_a", 8)
	receipts := []campaign.DeliveryState{campaign.Sent, campaign.Delivered, campaign.Read}
	var group errgroup.Group
	var said []campaign.Outcome
	for i := range writers {
		outcomes := make([]campaign.Outcome, 0, 3*len(all))
		for n, d := range all {
			for _, state := range receipts[:1+n%3] {
				outcomes = append(outcomes, campaign.Outcome{DeliveryID: d.ID, State: state, At: at(1 + (n*7+i*3)%20)})
			}
		}
		said = append(said, outcomes...)
		group.Go(func() error {
			_, err := stores.Deliveries.Record(t.Context(), outcomes)
			return err
		})
	}
	ok(t, group.Wait())
	want := apply(all, said)
	for i, got := range allDeliveries(t, stores, "cmp_a", "") {
		got.UpdatedAt, want[i].UpdatedAt = time.Time{}, time.Time{} // it is that of whoever raised the rank first
		same(t, got, want[i])
	}
}

func recordMissing(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 2)
	sent := func(id string) campaign.Outcome {
		return campaign.Outcome{DeliveryID: id, State: campaign.Sent, At: at(1)}
	}
	missing, err := stores.Deliveries.Record(t.Context(), []campaign.Outcome{sent("nobody"), sent(all[0].ID), sent("nowhere")})
	ok(t, err)
	same(t, missing, 2)
	same(t, getDelivery(t, stores, all[0].ID).State, campaign.Sent)
	missing, err = stores.Deliveries.Record(t.Context(), []campaign.Outcome{sent(all[0].ID)}) // it changes nothing, and exists
	ok(t, err)
	same(t, missing, 0)
	missing, err = stores.Deliveries.Record(t.Context(), nil)
	ok(t, err)
	same(t, missing, 0)
}

func recordRefused(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 1)
	good := campaign.Outcome{DeliveryID: all[0].ID, State: campaign.Sent, At: at(1)}
	spoilt := func(spoil func(*campaign.Outcome)) []campaign.Outcome {
		bad := good
		spoil(&bad)
		return []campaign.Outcome{good, bad}
	}
	for name, batch := range map[string][]campaign.Outcome{
		"too many":      slices.Repeat([]campaign.Outcome{good}, campaign.MaxBatch+1),
		"no such state": spoilt(func(o *campaign.Outcome) { o.State = "posted" }),
		"no time":       spoilt(func(o *campaign.Outcome) { o.At = time.Time{} }),
	} {
		_, err := stores.Deliveries.Record(t.Context(), batch)
		if err == nil {
			t.Errorf("%s: recorded", name)
		}
		wantInvalid(t, err)
	}
	same(t, allDeliveries(t, stores, "cmp_a", ""), all)
}

func settleChecks() []check {
	return []check{
		{"ReopenTakesBackWhatFailed", reopenTakesBack},
		{"SettlesWhatIsPendingAndNothingElse", settlePending},
		{"SettlesMoreThanABatch", settleMany},
		{"RefusesWhatIsNotSettled", settleRefused},
	}
}

func cancelled(minute int) campaign.Outcome {
	return campaign.Outcome{State: campaign.Skipped, At: at(minute), Class: fault.SkipRecipient, Code: "campaign_cancelled", Reason: "The campaign was cancelled"}
}

func settlePending(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_b"})
	states := campaign.DeliveryStates()
	batch := deliveries("cmp_a", 1, 2*len(states))
	for i := range batch {
		batch[i].State = states[i%len(states)]
	}
	other := delivery("cmp_b", 1)
	_, err := stores.Deliveries.Plan(t.Context(), append(slices.Clone(batch), other))
	ok(t, err)
	settled, err := stores.Deliveries.SettleOpen(t.Context(), "cmp_a", cancelled(5))
	ok(t, err)
	same(t, settled, 2)
	want := slices.Clone(batch)
	for i := range want {
		if want[i].State == campaign.Pending {
			want[i] = campaign.Merge(want[i], cancelled(5))
		}
	}
	same(t, allDeliveries(t, stores, "cmp_a", ""), want)
	same(t, getDelivery(t, stores, other.ID), other)
	settled, err = stores.Deliveries.SettleOpen(t.Context(), "cmp_a", cancelled(6))
	ok(t, err)
	same(t, settled, 0)
}

func settleMany(t *testing.T, stores Stores) {
	const size = campaign.MaxBatch + 60
	planned(t, stores, "cmp_a", size)
	settled, err := stores.Deliveries.SettleOpen(t.Context(), "cmp_a", cancelled(5))
	ok(t, err)
	same(t, settled, size)
	counts, err := stores.Deliveries.Counts(t.Context(), "cmp_a")
	ok(t, err)
	same(t, counts, campaign.Counts{campaign.Skipped: size})
}

func settleRefused(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 2)
	for _, outcome := range []campaign.Outcome{{State: campaign.Skipped}, {State: campaign.Pending, At: at(1)}, {State: campaign.Unknown, At: at(1)}, {At: at(1)}} {
		_, err := stores.Deliveries.SettleOpen(t.Context(), "cmp_a", outcome)
		wantInvalid(t, err)
	}
	same(t, allDeliveries(t, stores, "cmp_a", ""), all)
	settled, err := stores.Deliveries.SettleOpen(t.Context(), "cmp_none", cancelled(1))
	ok(t, err)
	same(t, settled, 0)
}

func reopenTakesBack(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 4)
	failed := campaign.Outcome{State: campaign.FailedDelivery, At: at(1), Class: fault.SkipRecipient, Code: "refused", Reason: "No."}
	for i, state := range []campaign.DeliveryState{campaign.FailedDelivery, campaign.Unknown, campaign.Sent} {
		outcome := failed
		outcome.DeliveryID, outcome.State = all[i].ID, state
		_, err := stores.Deliveries.Record(t.Context(), []campaign.Outcome{outcome})
		ok(t, err)
	}
	ids := []string{all[0].ID, all[1].ID, all[2].ID, all[3].ID, "none"}
	reopened, err := stores.Deliveries.Reopen(t.Context(), ids, at(2))
	if err != nil || reopened != 2 {
		t.Fatalf("reopened %d, %v", reopened, err)
	}
	want := all[0]
	want.UpdatedAt = at(2)
	same(t, getDelivery(t, stores, all[0].ID), want)
	same(t, getDelivery(t, stores, all[2].ID).State, campaign.Sent)
	claimed, err := stores.Deliveries.Claim(t.Context(), campaign.Claim{CampaignID: "cmp_a", Run: "again", Limit: 10, At: at(3)})
	ok(t, err)
	same(t, names(claimed, sequenceOf), []int{1, 2, 4})
	again, err := stores.Deliveries.Reopen(t.Context(), ids, at(4))
	if err != nil || again != 0 {
		t.Errorf("what is in hand was reopened: %d, %v", again, err)
	}
	none, err := stores.Deliveries.Reopen(t.Context(), nil, at(4))
	if err != nil || none != 0 {
		t.Errorf("nothing was reopened: %d, %v", none, err)
	}
}
