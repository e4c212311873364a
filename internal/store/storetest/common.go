package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

func pageChecks() []check {
	return []check{
		{"NothingIsMissedOrShownTwiceWhileOthersWrite", pagesStable},
		{"SizesAreBounded", pagesBounded},
		{"ACursorThatIsNoneIsRefused", pagesRefused},
	}
}

// pagesStable reads a list page by page, with records created, changed and deleted in between: each that was there all the time is shown once.
func pagesStable(t *testing.T, stores Stores) {
	for n := 10; n < 30; n++ {
		createSession(t, stores, session.Session{ID: session.ID(fmt.Sprint("ses_", n))})
	}
	seen := map[session.ID]int{}
	page := store.Page{Size: 4}
	for round := 0; ; round++ {
		list, err := stores.Sessions.List(t.Context(), session.Filter{}, page)
		ok(t, err)
		for _, found := range list.Items {
			seen[found.ID]++
		}
		if list.Next == "" {
			break
		}
		page.After = list.Next
		last := list.Items[len(list.Items)-1]
		ok(t, stores.Sessions.Delete(t.Context(), last.ID)) // the cursor outlives its record
		last = list.Items[0]
		last.Name = "changed"
		ok(t, stores.Sessions.Update(t.Context(), last))
		createSession(t, stores, session.Session{ID: session.ID(fmt.Sprint("ses_0", round))}) // in front of the cursor
	}
	for n := 10; n < 30; n++ {
		if id := session.ID(fmt.Sprint("ses_", n)); seen[id] != 1 {
			t.Errorf("%s was shown %d times", id, seen[id])
		}
	}
}

func pagesBounded(t *testing.T, stores Stores) {
	planned(t, stores, "cmp_a", store.MaxPageSize+20)
	for size, want := range map[int]int{0: store.DefaultPageSize, -3: store.DefaultPageSize, 7: 7, store.MaxPageSize: store.MaxPageSize, 100_000: store.MaxPageSize} {
		list, err := stores.Deliveries.List(t.Context(), "cmp_a", "", store.Page{Size: size})
		ok(t, err)
		if len(list.Items) != want || list.Next == "" {
			t.Errorf("a page of %d has %d items, want %d and a cursor", size, len(list.Items), want)
		}
	}
	exact, err := stores.Sessions.List(t.Context(), session.Filter{}, store.Page{Size: 1})
	ok(t, err)
	same(t, exact, store.List[session.Session]{})
}

// pagesRefused: a cursor comes from a client, so it can be anything.
func pagesRefused(t *testing.T, stores Stores) {
	planned(t, stores, "cmp_a", 2)
	for _, after := range []string{"%", "no cursor", "'; DROP TABLE sessions", "{\"$gt\":\"\"}", strings.Repeat("x", 5000)} {
		page := store.Page{After: after}
		for name, list := range map[string]func() error{
			"sessions":     func() error { _, err := stores.Sessions.List(t.Context(), session.Filter{}, page); return err },
			"campaigns":    func() error { _, err := stores.Campaigns.List(t.Context(), campaign.Filter{}, page); return err },
			"deliveries":   func() error { _, err := stores.Deliveries.List(t.Context(), "cmp_a", "", page); return err },
			"rejections":   func() error { _, err := stores.Deliveries.Rejections(t.Context(), "cmp_a", page); return err },
			"suppressions": func() error { _, err := stores.Suppressions.List(t.Context(), page); return err },
		} {
			err := list()
			if err == nil {
				t.Errorf("%s: the cursor %.20q was taken", name, after)
			}
			wantInvalid(t, err)
		}
	}
}

func valueChecks() []check {
	return []check{
		{"TextsComeBackAsTheyWere", valueTexts},
		{"TimesAreUTCInMilliseconds", valueTimes},
	}
}

func valueTexts(t *testing.T, stores Stores) {
	for i, text := range []string{"Ñandú, Íñigo y Zoë", "👩🏽‍⚕️ turno", "line\nbreak\ttab", `"quotes" 'and' \ and $ and .`, "$set", "a.b", "مرحبا", strings.Repeat("largo ", 10_000), " spaces ", "%_"} {
		s := createSession(t, stores, session.Session{ID: session.ID(fmt.Sprint("ses_", i)), UserID: text, Name: text})
		got, err := stores.Sessions.Get(t.Context(), s.ID)
		ok(t, err)
		same(t, got, s)
		list, err := stores.Sessions.List(t.Context(), session.Filter{UserID: text}, store.Page{})
		ok(t, err)
		same(t, names(list.Items, nameOfSession), []string{string(s.ID)})
		c := campaign.ID(fmt.Sprint("cmp_", i))
		createCampaign(t, stores, campaign.Campaign{ID: c, Text: text})
		d := delivery(c, 1)
		d.Fields = map[string]string{text[:min(len(text), 40)]: text, "": "empty name", "nombre": ""}
		_, err = stores.Deliveries.Plan(t.Context(), []campaign.Delivery{d})
		ok(t, err)
		same(t, getDelivery(t, stores, d.ID), d)
	}
}

func valueTimes(t *testing.T, stores Stores) {
	zone := time.FixedZone("here", -3*60*60)
	precise := time.Date(2026, 3, 1, 6, 30, 0, 123_456_789, zone)
	createSession(t, stores, session.Session{ID: "ses_a", CreatedAt: precise})
	got, err := stores.Sessions.Get(t.Context(), "ses_a")
	ok(t, err)
	if want := precise.UTC().Truncate(time.Millisecond); !got.CreatedAt.Equal(want) || got.CreatedAt.Location() != time.UTC {
		t.Errorf("%s came back as %s, want %s", precise, got.CreatedAt, want)
	}
	if !got.UpdatedAt.IsZero() || !got.Until.IsZero() {
		t.Errorf("no time came back as %s and %s", got.UpdatedAt, got.Until)
	}
}

func commonChecks() []check {
	return []check{
		{"NothingHappensWhenTheContextHasEnded", commonCancelled},
		{"EverythingIsThereAfterReopening", commonReopened},
	}
}

func commonCancelled(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 2)
	s := createSession(t, stores, session.Session{ID: "ses_a"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"create session":  func() error { return stores.Sessions.Create(ctx, session.Session{ID: "ses_b"}) },
		"update session":  func() error { return stores.Sessions.Update(ctx, s) },
		"delete session":  func() error { return stores.Sessions.Delete(ctx, "ses_a") },
		"get session":     func() error { _, err := stores.Sessions.Get(ctx, "ses_a"); return err },
		"list sessions":   func() error { _, err := stores.Sessions.List(ctx, session.Filter{}, store.Page{}); return err },
		"create campaign": func() error { return stores.Campaigns.Create(ctx, campaign.Campaign{ID: "cmp_b"}) },
		"list campaigns":  func() error { _, err := stores.Campaigns.List(ctx, campaign.Filter{}, store.Page{}); return err },
		"plan":            func() error { _, err := stores.Deliveries.Plan(ctx, deliveries("cmp_a", 3, 4)); return err },
		"claim": func() error {
			_, err := stores.Deliveries.Claim(ctx, campaign.Claim{CampaignID: "cmp_a", Run: "run", Limit: 1, At: at(1)})
			return err
		},
		"record": func() error {
			_, err := stores.Deliveries.Record(ctx, []campaign.Outcome{{DeliveryID: all[0].ID, State: campaign.Sent, At: at(1)}})
			return err
		},
		"settle":   func() error { _, err := stores.Deliveries.SettleOpen(ctx, "cmp_a", cancelled(1)); return err },
		"reject":   func() error { return stores.Deliveries.Reject(ctx, "cmp_a", names(numbers(1, 2), rejection)) },
		"suppress": func() error { return stores.Suppressions.Add(ctx, names(numbers(1, 2), suppression)) },
		"begin":    func() error { _, err := stores.Idempotency.Begin(ctx, "key", "print", at(0)); return err },
	} {
		if err := call(); err == nil {
			t.Errorf("%s succeeded", name)
		}
	}
	same(t, allDeliveries(t, stores, "cmp_a", ""), all)
	same(t, rejectionsOf(t, stores, "cmp_a", 0), []campaign.Rejection(nil))
	list, err := stores.Sessions.List(t.Context(), session.Filter{}, store.Page{})
	ok(t, err)
	same(t, list.Items, []session.Session{s})
	same(t, begin(t, stores, "key", "print", at(0)), (*store.Saved)(nil))
}

func commonReopened(t *testing.T, stores Stores) {
	all := planned(t, stores, "cmp_a", 3)
	s := createSession(t, stores, filled[session.Session](t))
	record(t, stores, campaign.Outcome{DeliveryID: all[0].ID, State: campaign.Read, At: at(3)})
	ok(t, stores.Deliveries.Reject(t.Context(), "cmp_a", names(numbers(7, 8), rejection)))
	ok(t, stores.Suppressions.Add(t.Context(), names(numbers(1, 2), suppression)))
	want := allDeliveries(t, stores, "cmp_a", "")

	stores = stores.Reopen(t)
	same(t, allDeliveries(t, stores, "cmp_a", ""), want)
	wantCounts(t, stores, "cmp_a", want)
	got, err := stores.Sessions.Get(t.Context(), s.ID)
	ok(t, err)
	same(t, got, s)
	same(t, rejectionsOf(t, stores, "cmp_a", 0), names(numbers(7, 8), rejection))
	found, err := stores.Suppressions.Among(t.Context(), []string{suppression(2).Phone})
	ok(t, err)
	same(t, len(found), 1)
}
