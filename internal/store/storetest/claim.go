package storetest

import (
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

func claimChecks() []check {
	return []check{
		{"TakesPendingInTheOrderOfSequence", claimOrder},
		{"GivesWhatTheStoreHolds", claimStored},
		{"TakesLeftoversOfAnotherRunFirst", claimLeftovers},
		{"LeavesLeftoversTriedTooOften", claimMaxAttempts},
		{"LeavesWhatAReceiptSettled", claimAfterReceipt},
		{"EmptiesTheOldReason", claimReason},
		{"NeverTwiceForOneRun", claimOncePerRun},
		{"SharesOutAmongCallersOfOneRun", claimConcurrently},
		{"LeavesOtherCampaignsAlone", claimOtherCampaign},
		{"RefusesWhatIsNoClaim", claimRefused},
	}
}

func claim(t *testing.T, stores Stores, run string, limit int) []campaign.Delivery {
	t.Helper()
	claimed, err := stores.Deliveries.Claim(t.Context(), campaign.Claim{CampaignID: "cmp_a", Run: run, Limit: limit, At: at(10)})
	ok(t, err)
	return claimed
}

func record(t *testing.T, stores Stores, outcomes ...campaign.Outcome) {
	t.Helper()
	missing, err := stores.Deliveries.Record(t.Context(), outcomes)
	ok(t, err)
	same(t, missing, 0)
}

func claimOrder(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	batch := deliveries("cmp_a", 1, 30)
	slices.Reverse(batch)
	_, err := stores.Deliveries.Plan(t.Context(), batch[:15])
	ok(t, err)
	_, err = stores.Deliveries.Plan(t.Context(), batch[15:])
	ok(t, err)
	same(t, names(claim(t, stores, "run", 7), sequenceOf), numbers(1, 7))
	same(t, names(claim(t, stores, "run", 1), sequenceOf), numbers(8, 8))
	same(t, names(claim(t, stores, "run", campaign.MaxBatch), sequenceOf), numbers(9, 30))
	same(t, claim(t, stores, "run", 1), []campaign.Delivery(nil))
}

func claimStored(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 3)
	claimed := claim(t, stores, "run", 2)
	for i := range claimed {
		want := all[i]
		want.State, want.Attempts, want.UpdatedAt = campaign.Sending, 1, at(10)
		same(t, claimed[i], want)
		same(t, getDelivery(t, stores, want.ID), want)
	}
	same(t, getDelivery(t, stores, all[2].ID), all[2])
	wantCounts(t, stores, "cmp_a", append(claimed, all[2]))
}

func claimLeftovers(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 12)
	claim(t, stores, "first", 6)
	record(t, stores,
		campaign.Outcome{DeliveryID: all[1].ID, State: campaign.Unknown, At: at(11)},
		campaign.Outcome{DeliveryID: all[2].ID, State: campaign.Sent, At: at(11)},
		campaign.Outcome{DeliveryID: all[3].ID, State: campaign.FailedDelivery, At: at(11)},
		campaign.Outcome{DeliveryID: all[4].ID, State: campaign.Skipped, At: at(11)})
	same(t, names(claim(t, stores, "second", 2), sequenceOf), []int{1, 2})
	same(t, names(claim(t, stores, "second", 4), sequenceOf), []int{6, 7, 8, 9})
	// The third run finds those of the second, which are older than what is pending.
	third := claim(t, stores, "third", 8)
	same(t, names(third, sequenceOf), []int{1, 2, 6, 7, 8, 9, 10, 11})
	same(t, names(third, func(d campaign.Delivery) int { return d.Attempts }), []int{1, 2, 1, 1, 1, 1, 1, 1}) // only the second was ever tried and then tried again
	// A run's own leftovers are not taken again by it, also when their outcome is unknown.
	record(t, stores, campaign.Outcome{DeliveryID: all[0].ID, State: campaign.Unknown, At: at(12)})
	same(t, names(claim(t, stores, "third", 8), sequenceOf), []int{12})
}

func claimMaxAttempts(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 4)
	take := func(run string, maxAttempts int) []int {
		t.Helper()
		claimed, err := stores.Deliveries.Claim(t.Context(), campaign.Claim{CampaignID: "cmp_a", Run: run, Limit: 2, MaxAttempts: maxAttempts, At: at(1)})
		ok(t, err)
		return names(claimed, sequenceOf)
	}
	unknown := func(i int) {
		t.Helper()
		record(t, stores, campaign.Outcome{DeliveryID: all[i].ID, State: campaign.Unknown, At: at(2)})
	}
	same(t, take("1", 2), []int{1, 2})
	unknown(1)
	same(t, take("2", 2), []int{1, 2})
	unknown(1)
	same(t, take("3", 2), []int{1, 3}) // 1 was never said to be anything, however often it was taken
	unknown(0)
	same(t, take("4", 2), []int{1, 3})
	unknown(0)
	same(t, take("5", 2), []int{3, 4})
	same(t, take("6", 0), []int{1, 2})
	same(t, getDelivery(t, stores, all[1].ID).Attempts, 3)
}

func claimAfterReceipt(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 3)
	claim(t, stores, "first", 3)
	record(t, stores,
		campaign.Outcome{DeliveryID: all[0].ID, State: campaign.Unknown, At: at(11)},
		campaign.Outcome{DeliveryID: all[1].ID, State: campaign.Unknown, At: at(11)},
		campaign.Outcome{DeliveryID: all[0].ID, State: campaign.Delivered, At: at(12)},
		campaign.Outcome{DeliveryID: all[2].ID, State: campaign.Read, At: at(12)})
	same(t, names(claim(t, stores, "second", 3), sequenceOf), []int{2})
}

func claimReason(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 1)
	claim(t, stores, "first", 1)
	record(t, stores, campaign.Outcome{DeliveryID: all[0].ID, State: campaign.Unknown, At: at(11),
		Class: "unknown_outcome", Code: "timeout", Reason: "No answer came"})
	same(t, getDelivery(t, stores, all[0].ID).Reason, "No answer came")
	want := all[0]
	want.State, want.Attempts, want.UpdatedAt = campaign.Sending, 2, at(10)
	same(t, claim(t, stores, "second", 1), []campaign.Delivery{want})
	same(t, getDelivery(t, stores, want.ID), want)
}

func claimOncePerRun(t *testing.T, stores Stores) {
	const size = 60
	all := planned(t, stores, "cmp_a", size)
	claim(t, stores, "first", 25)
	seen := map[string]int{}
	for {
		claimed := claim(t, stores, "second", 9)
		if len(claimed) == 0 {
			break
		}
		for i, d := range claimed {
			seen[d.ID]++
			if i%2 == 0 {
				record(t, stores, campaign.Outcome{DeliveryID: d.ID, State: campaign.Unknown, At: at(11)})
			}
		}
	}
	for _, d := range all {
		if seen[d.ID] != 1 {
			t.Errorf("delivery %d was claimed %d times by one run", d.Sequence, seen[d.ID])
		}
	}
}

func claimConcurrently(t *testing.T, stores Stores) {
	const size, callers = 200, 5
	all := planned(t, stores, "cmp_a", size)
	claim(t, stores, "first", 40)
	taken := make([][]campaign.Delivery, callers)
	var group errgroup.Group
	for i := range callers {
		group.Go(func() error {
			for {
				claimed, err := stores.Deliveries.Claim(t.Context(), campaign.Claim{CampaignID: "cmp_a", Run: "second", Limit: 7, At: at(11)})
				if err != nil || len(claimed) == 0 {
					return err
				}
				if !slices.IsSorted(names(claimed, sequenceOf)) && claimed[0].Sequence > 40 {
					t.Errorf("claimed out of order: %v", names(claimed, sequenceOf))
				}
				taken[i] = append(taken[i], claimed...)
			}
		})
	}
	ok(t, group.Wait())
	got := names(slices.Concat(taken...), sequenceOf)
	slices.Sort(got)
	same(t, got, numbers(1, len(all)))
}

func claimOtherCampaign(t *testing.T, stores Stores) {
	planned(t, stores, "cmp_a", 3)
	others := planned(t, stores, "cmp_b", 3)
	same(t, names(claim(t, stores, "run", 10), sequenceOf), numbers(1, 3))
	same(t, allDeliveries(t, stores, "cmp_b", ""), others)
	claimed, err := stores.Deliveries.Claim(t.Context(), campaign.Claim{CampaignID: "cmp_none", Run: "run", Limit: 10, At: at(1)})
	ok(t, err)
	same(t, claimed, []campaign.Delivery(nil))
}

func claimRefused(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 2)
	for name, claim := range map[string]campaign.Claim{
		"no run":            {CampaignID: "cmp_a", Limit: 1, At: at(1)},
		"no limit":          {CampaignID: "cmp_a", Run: "run", At: at(1)},
		"a negative limit":  {CampaignID: "cmp_a", Run: "run", Limit: -1, At: at(1)},
		"too many":          {CampaignID: "cmp_a", Run: "run", Limit: campaign.MaxBatch + 1, At: at(1)},
		"negative attempts": {CampaignID: "cmp_a", Run: "run", Limit: 1, MaxAttempts: -1, At: at(1)},
		"no time":           {CampaignID: "cmp_a", Run: "run", Limit: 1},
	} {
		claimed, err := stores.Deliveries.Claim(t.Context(), claim)
		if err == nil {
			t.Errorf("%s: claimed %d", name, len(claimed))
		}
		wantInvalid(t, err)
	}
	same(t, allDeliveries(t, stores, "cmp_a", ""), all)
}
