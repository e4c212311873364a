package storetest

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

func historyChecks() []check {
	return []check{
		{"EveryFieldIsKept", historyKeepsFields},
		{"AStaleHistoryChangesNothing", historyStale},
		{"NothingRememberedIsLost", historyRace},
		{"ASessionTakesItsHistoryWithIt", historyOfDeletedSession},
	}
}

func historyKeepsFields(t *testing.T, stores Stores) {
	_, err := stores.Histories.Get(t.Context(), "ses_a")
	wantError(t, err, store.ErrNotFound)
	want := filled[session.History](t)
	want.Revision = 0
	want.Entries = append(want.Entries, session.HistoryEntry{At: at(99), Kind: session.EntrySends})
	ok(t, stores.Histories.Put(t.Context(), want))
	want.Revision = 1
	got, err := stores.Histories.Get(t.Context(), want.Session)
	ok(t, err)
	same(t, got, want)
}

func historyStale(t *testing.T, stores Stores) {
	first := session.History{Session: "ses_a", Entries: []session.HistoryEntry{{At: at(1), Kind: session.EntryConnected}}}
	wantError(t, stores.Histories.Put(t.Context(), session.History{Session: "ses_a", Revision: 1}), store.ErrConflict)
	ok(t, stores.Histories.Put(t.Context(), first))
	wantError(t, stores.Histories.Put(t.Context(), session.History{Session: "ses_a"}), store.ErrConflict)
	wantError(t, stores.Histories.Put(t.Context(), session.History{Session: "ses_a", Revision: 2}), store.ErrConflict)
	first.Revision = 1
	got, err := stores.Histories.Get(t.Context(), "ses_a")
	ok(t, err)
	same(t, got, first)
}

func historyRace(t *testing.T, stores Stores) {
	var writers errgroup.Group
	const entries = 12
	for i := range entries {
		writers.Go(func() error {
			return session.Remember(t.Context(), stores.Histories, "ses_a", session.HistoryEntry{At: at(i), Kind: session.EntryConnected, Detail: fmt.Sprint(i)})
		})
	}
	ok(t, writers.Wait())
	got, err := stores.Histories.Get(t.Context(), "ses_a")
	ok(t, err)
	if len(got.Entries) != entries || got.Revision != entries {
		t.Errorf("%d entries at revision %d, want %d", len(got.Entries), got.Revision, entries)
	}
	for i, entry := range got.Entries {
		if entry.Detail != fmt.Sprint(i) || entry.At.Location() != time.UTC {
			t.Errorf("entry %d is %+v", i, entry)
		}
	}
}

func historyOfDeletedSession(t *testing.T, stores Stores) {
	for _, id := range []session.ID{"ses_a", "ses_b"} {
		createSession(t, stores, session.Session{ID: id})
		ok(t, stores.Histories.Put(t.Context(), session.History{Session: id}))
	}
	ok(t, stores.Sessions.Delete(t.Context(), "ses_a"))
	_, err := stores.Histories.Get(t.Context(), "ses_a")
	wantError(t, err, store.ErrNotFound)
	_, err = stores.Histories.Get(t.Context(), "ses_b")
	ok(t, err)
}
