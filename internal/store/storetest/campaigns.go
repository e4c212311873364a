package storetest

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/store"
)

func campaignChecks() []check {
	return []check{
		{"EveryFieldIsKept", campaignKeepsFields},
		{"CreateRefusesAnIdThatExists", campaignCreateConflict},
		{"UpdateOfAnOldRevisionChangesNothing", campaignStaleUpdate},
		{"OneOfManyUpdatesOfARevisionSucceeds", campaignRace},
		{"StateIsThatOfTheLastUpdate", campaignState},
		{"ListIsNewestFirstAndNarrows", campaignFilter},
		{"MessagesMayBeLeftOut", campaignWithoutMessages},
		{"DeleteTakesItsDeliveries", campaignDelete},
	}
}

func campaignKeepsFields(t *testing.T, stores Stores) {
	want := filled[campaign.Campaign](t)
	ok(t, stores.Campaigns.Create(t.Context(), want))
	want.Revision = 1
	got, err := stores.Campaigns.Get(t.Context(), want.ID)
	ok(t, err)
	same(t, got, want)

	list, err := stores.Campaigns.List(t.Context(), campaign.Filter{}, store.Page{})
	ok(t, err)
	same(t, list.Items, []campaign.Campaign{want})

	ok(t, stores.Campaigns.Update(t.Context(), campaign.Campaign{ID: want.ID, Revision: 1}))
	got, err = stores.Campaigns.Get(t.Context(), want.ID)
	ok(t, err)
	same(t, got, campaign.Campaign{ID: want.ID, Revision: 2})
}

func campaignCreateConflict(t *testing.T, stores Stores) {
	first := createCampaign(t, stores, campaign.Campaign{ID: "cmp_a", Name: "Turnos", State: campaign.Draft})
	wantError(t, stores.Campaigns.Create(t.Context(), campaign.Campaign{ID: "cmp_a", Name: "Vacunas"}), store.ErrConflict)
	got, err := stores.Campaigns.Get(t.Context(), "cmp_a")
	ok(t, err)
	same(t, got, first)
}

func campaignStaleUpdate(t *testing.T, stores Stores) {
	old := createCampaign(t, stores, campaign.Campaign{ID: "cmp_a", State: campaign.Draft})
	current := old
	current.State = campaign.Queued
	ok(t, stores.Campaigns.Update(t.Context(), current))
	current.Revision++
	for _, revision := range []int64{0, 1, 3} {
		old.Revision, old.State = revision, campaign.Cancelled
		wantError(t, stores.Campaigns.Update(t.Context(), old), store.ErrConflict)
	}
	got, err := stores.Campaigns.Get(t.Context(), "cmp_a")
	ok(t, err)
	same(t, got, current)
	wantError(t, stores.Campaigns.Update(t.Context(), campaign.Campaign{ID: "cmp_none", Revision: 1}), store.ErrNotFound)
	_, err = stores.Campaigns.Get(t.Context(), "cmp_none")
	wantError(t, err, store.ErrNotFound)
}

func campaignRace(t *testing.T, stores Stores) {
	c := createCampaign(t, stores, campaign.Campaign{ID: "cmp_a"})
	var group errgroup.Group
	var won atomic.Int64
	for i := range 16 {
		group.Go(func() error {
			mine := c
			mine.Slice = i + 1
			err := stores.Campaigns.Update(t.Context(), mine)
			if err == nil {
				won.Add(1)
			}
			if errors.Is(err, store.ErrConflict) {
				return nil
			}
			return err
		})
	}
	ok(t, group.Wait())
	got, err := stores.Campaigns.Get(t.Context(), c.ID)
	ok(t, err)
	if won.Load() != 1 || got.Revision != 2 || got.Slice == 0 {
		t.Fatalf("%d updates of one revision succeeded, which left %+v", won.Load(), got)
	}
}

func campaignState(t *testing.T, stores Stores) {
	c := createCampaign(t, stores, campaign.Campaign{ID: "cmp_a", State: campaign.Draft})
	createCampaign(t, stores, campaign.Campaign{ID: "cmp_b", State: campaign.Paused})
	for _, state := range campaign.States() {
		c.State = state
		ok(t, stores.Campaigns.Update(t.Context(), c))
		c.Revision++
		got, err := stores.Campaigns.State(t.Context(), "cmp_a")
		ok(t, err)
		same(t, got, state)
	}
	_, err := stores.Campaigns.State(t.Context(), "cmp_none")
	wantError(t, err, store.ErrNotFound)
}

func campaignFilter(t *testing.T, stores Stores) {
	for _, c := range []campaign.Campaign{
		{ID: "cmp_2", UserID: "ana", SessionID: "ses_a", State: campaign.Running},
		{ID: "cmp_5", UserID: "ana", SessionID: "ses_b", State: campaign.Paused},
		{ID: "cmp_1", UserID: "ana", SessionID: "ses_a", State: campaign.Completed},
		{ID: "cmp_4", UserID: "blas", SessionID: "ses_c", State: campaign.Running},
		{ID: "cmp_3", UserID: "blas", SessionID: "ses_c", State: campaign.Queued},
	} {
		createCampaign(t, stores, c)
	}
	active := []campaign.State{campaign.Queued, campaign.Running, campaign.Paused}
	for _, row := range []struct {
		filter campaign.Filter
		want   []string
	}{
		{campaign.Filter{}, []string{"cmp_5", "cmp_4", "cmp_3", "cmp_2", "cmp_1"}},
		{campaign.Filter{UserID: "ana"}, []string{"cmp_5", "cmp_2", "cmp_1"}},
		{campaign.Filter{SessionID: "ses_a"}, []string{"cmp_2", "cmp_1"}},
		{campaign.Filter{States: []campaign.State{campaign.Running}}, []string{"cmp_4", "cmp_2"}},
		{campaign.Filter{States: active}, []string{"cmp_5", "cmp_4", "cmp_3", "cmp_2"}},
		{campaign.Filter{UserID: "ana", States: active}, []string{"cmp_5", "cmp_2"}},
		{campaign.Filter{SessionID: "ses_c", States: active}, []string{"cmp_4", "cmp_3"}},
		{campaign.Filter{UserID: "ana", SessionID: "ses_a"}, []string{"cmp_2", "cmp_1"}},
		{campaign.Filter{UserID: "ana", SessionID: "ses_c"}, nil},
		{campaign.Filter{UserID: "ana", SessionID: "ses_a", States: active}, []string{"cmp_2"}},
		{campaign.Filter{States: []campaign.State{"no such state"}}, nil},
	} {
		for _, size := range []int{1, 2, 0} {
			got := everything(t, size, func(page store.Page) (store.List[campaign.Campaign], error) {
				return stores.Campaigns.List(t.Context(), row.filter, page)
			})
			if !slices.Equal(names(got, nameOfCampaign), row.want) {
				t.Errorf("the filter %+v in pages of %d gives %v, want %v", row.filter, size, names(got, nameOfCampaign), row.want)
			}
		}
	}
}

func campaignWithoutMessages(t *testing.T, stores Stores) {
	for _, id := range []campaign.ID{"cmp_a", "msg_a", "cmp_b", "msg_b"} {
		createCampaign(t, stores, campaign.Campaign{ID: id, UserID: "ana", State: campaign.Queued})
	}
	for _, filter := range []campaign.Filter{{}, {UserID: "ana"}, {States: []campaign.State{campaign.Queued, campaign.Running}}} {
		filter.WithoutMessages = true
		all := everything(t, 1, func(page store.Page) (store.List[campaign.Campaign], error) {
			return stores.Campaigns.List(t.Context(), filter, page)
		})
		same(t, names(all, nameOfCampaign), []string{"cmp_b", "cmp_a"})
	}
}

func campaignDelete(t *testing.T, stores Stores) {
	for _, id := range []campaign.ID{"cmp_a", "cmp_b"} {
		planned(t, stores, id, 30)
		ok(t, stores.Deliveries.Reject(t.Context(), id, []campaign.Rejection{{Row: 99, Code: "duplicate"}}))
	}
	ok(t, stores.Campaigns.Delete(t.Context(), "cmp_a"))
	wantError(t, stores.Campaigns.Delete(t.Context(), "cmp_a"), store.ErrNotFound)
	_, err := stores.Campaigns.Get(t.Context(), "cmp_a")
	wantError(t, err, store.ErrNotFound)
	_, err = stores.Deliveries.Get(t.Context(), delivery("cmp_a", 1).ID)
	wantError(t, err, store.ErrNotFound)
	missing, err := stores.Deliveries.Record(t.Context(), []campaign.Outcome{{DeliveryID: delivery("cmp_a", 1).ID, State: campaign.Read, At: at(3)}})
	if err != nil || missing != 1 {
		t.Errorf("a receipt of a deleted delivery: %d missing, %v", missing, err)
	}
	wantCounts(t, stores, "cmp_a", nil)
	wantCounts(t, stores, "cmp_b", deliveries("cmp_b", 1, 30))
	left, err := stores.Deliveries.Rejections(t.Context(), "cmp_b", store.Page{})
	if err != nil || len(left.Items) != 1 {
		t.Errorf("the other campaign's rejections are %v, %v", left.Items, err)
	}
}
