package storetest

import (
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

func planChecks() []check {
	return []check{
		{"EveryFieldIsKept", planKeepsFields},
		{"WhatExistsIsLeftAndNamed", planExisting},
		{"ARecipientTwiceInABatchIsPlannedOnce", planTwiceInBatch},
		{"PlanningAgainAfterSendingChangesNothing", planAfterSending},
		{"TwoPlannersOfOneAudiencePlanItOnce", planConcurrently},
		{"ASequenceTakenByAnotherIsRefused", planSequenceTaken},
		{"ABatchMayMixCampaigns", planMixed},
		{"ACampaignThatDoesNotExistIsRefused", planWithoutCampaign},
		{"WhatCannotBePlannedIsRefused", planRefused},
		{"ListNarrowsToAState", deliveriesByState},
	}
}

// fullDelivery gives a delivery in which no field is zero.
func fullDelivery(t *testing.T, id campaign.ID, sequence int) campaign.Delivery {
	t.Helper()
	d := filled[campaign.Delivery](t)
	d.CampaignID, d.Sequence, d.State = id, sequence, campaign.Delivered
	return d
}

func planKeepsFields(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	want := fullDelivery(t, "cmp_a", 1)
	_, err := stores.Deliveries.Plan(t.Context(), []campaign.Delivery{want})
	ok(t, err)
	same(t, getDelivery(t, stores, want.ID), want)
	same(t, allDeliveries(t, stores, "cmp_a", ""), []campaign.Delivery{want})
	_, err = stores.Deliveries.Get(t.Context(), "no such delivery")
	wantError(t, err, store.ErrNotFound)
}

func planExisting(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 5)
	changed := delivery("cmp_a", 3)
	changed.Fields, changed.State, changed.PlannedAt = map[string]string{"nombre": "Otra"}, campaign.Skipped, at(99)
	batch := []campaign.Delivery{delivery("cmp_a", 6), changed, delivery("cmp_a", 7), all[0]}
	existing, err := stores.Deliveries.Plan(t.Context(), batch)
	ok(t, err)
	same(t, existing, []int{1, 3})
	same(t, allDeliveries(t, stores, "cmp_a", ""), append(all, batch[0], batch[2]))
	wantCounts(t, stores, "cmp_a", append(all, batch[0], batch[2]))
}

func planTwiceInBatch(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	first, second := delivery("cmp_a", 1), delivery("cmp_a", 2)
	repeated := first
	repeated.Sequence, repeated.Fields = 3, nil
	existing, err := stores.Deliveries.Plan(t.Context(), []campaign.Delivery{first, second, repeated, first})
	ok(t, err)
	same(t, existing, []int{2, 3})
	same(t, allDeliveries(t, stores, "cmp_a", ""), []campaign.Delivery{first, second})
}

func planAfterSending(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 4)
	_, err := stores.Deliveries.Claim(t.Context(), campaign.Claim{CampaignID: "cmp_a", Run: "run", Limit: 2, At: at(1)})
	ok(t, err)
	_, err = stores.Deliveries.Record(t.Context(), []campaign.Outcome{{DeliveryID: all[0].ID, State: campaign.Sent, At: at(2)}})
	ok(t, err)
	before := allDeliveries(t, stores, "cmp_a", "")
	existing, err := stores.Deliveries.Plan(t.Context(), all)
	ok(t, err)
	same(t, existing, []int{0, 1, 2, 3})
	same(t, allDeliveries(t, stores, "cmp_a", ""), before)
}

func planConcurrently(t *testing.T, stores Stores) {
	const planners, batches, size = 4, 5, 40
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	inserted := make([]int, planners)
	var group errgroup.Group
	for i := range planners {
		group.Go(func() error {
			for n := range batches {
				existing, err := stores.Deliveries.Plan(t.Context(), deliveries("cmp_a", n*size+1, (n+1)*size))
				if err != nil {
					return err
				}
				inserted[i] += size - len(existing)
			}
			return nil
		})
	}
	ok(t, group.Wait())
	total := 0
	for _, n := range inserted {
		total += n
	}
	same(t, total, batches*size)
	same(t, allDeliveries(t, stores, "cmp_a", ""), deliveries("cmp_a", 1, batches*size))
	wantCounts(t, stores, "cmp_a", deliveries("cmp_a", 1, batches*size))
}

func planSequenceTaken(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 3)
	other := delivery("cmp_a", 9)
	other.Sequence = 2
	_, err := stores.Deliveries.Plan(t.Context(), []campaign.Delivery{other})
	wantError(t, err, store.ErrConflict)
	same(t, allDeliveries(t, stores, "cmp_a", ""), all)
}

func planMixed(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_b"})
	batch := append(deliveries("cmp_a", 1, 2), deliveries("cmp_b", 1, 3)...)
	existing, err := stores.Deliveries.Plan(t.Context(), batch)
	ok(t, err)
	same(t, existing, []int(nil))
	same(t, allDeliveries(t, stores, "cmp_a", ""), batch[:2])
	same(t, allDeliveries(t, stores, "cmp_b", ""), batch[2:])
	wantCounts(t, stores, "cmp_a", batch[:2])
	wantCounts(t, stores, "cmp_b", batch[2:])
}

func planWithoutCampaign(t *testing.T, stores Stores) {
	_, err := stores.Deliveries.Plan(t.Context(), deliveries("cmp_none", 1, 2))
	wantError(t, err, store.ErrNotFound)
	_, err = stores.Deliveries.Get(t.Context(), delivery("cmp_none", 1).ID)
	wantError(t, err, store.ErrNotFound)
	same(t, allDeliveries(t, stores, "cmp_none", ""), []campaign.Delivery(nil))
	wantCounts(t, stores, "cmp_none", nil)
}

func planRefused(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	spoilt := func(spoil func(*campaign.Delivery)) []campaign.Delivery {
		batch := deliveries("cmp_a", 1, 2)
		spoil(&batch[1])
		return batch
	}
	for name, batch := range map[string][]campaign.Delivery{
		"too many":         deliveries("cmp_a", 1, campaign.MaxBatch+1),
		"no id":            spoilt(func(d *campaign.Delivery) { d.ID = "" }),
		"no sequence":      spoilt(func(d *campaign.Delivery) { d.Sequence = 0 }),
		"no such state":    spoilt(func(d *campaign.Delivery) { d.State = "posted" }),
		"no state":         spoilt(func(d *campaign.Delivery) { d.State = "" }),
		"far, far too big": deliveries("cmp_a", 1, 10*campaign.MaxBatch),
	} {
		_, err := stores.Deliveries.Plan(t.Context(), batch)
		if err == nil {
			t.Errorf("%s: planned", name)
		}
		wantInvalid(t, err)
	}
	same(t, allDeliveries(t, stores, "cmp_a", ""), []campaign.Delivery(nil))

	existing, err := stores.Deliveries.Plan(t.Context(), nil)
	ok(t, err)
	same(t, existing, []int(nil))
	_, err = stores.Deliveries.Plan(t.Context(), deliveries("cmp_a", 1, campaign.MaxBatch))
	ok(t, err)
	wantCounts(t, stores, "cmp_a", deliveries("cmp_a", 1, campaign.MaxBatch))
}

func deliveriesByState(t *testing.T, stores Stores) {
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_b"})
	states := campaign.DeliveryStates()
	batch := deliveries("cmp_a", 1, 3*len(states))
	for i := range batch {
		batch[i].State = states[i%len(states)]
	}
	_, err := stores.Deliveries.Plan(t.Context(), append(batch, delivery("cmp_b", 1)))
	ok(t, err)
	for i, state := range states {
		got := everything(t, 2, func(page store.Page) (store.List[campaign.Delivery], error) {
			return stores.Deliveries.List(t.Context(), "cmp_a", state, page)
		})
		same(t, got, []campaign.Delivery{batch[i], batch[i+len(states)], batch[i+2*len(states)]})
	}
	same(t, allDeliveries(t, stores, "cmp_a", "no such state"), []campaign.Delivery(nil))
	wantCounts(t, stores, "cmp_a", batch)
}
