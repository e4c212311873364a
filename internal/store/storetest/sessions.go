package storetest

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

func sessionChecks() []check {
	return []check{
		{"EveryFieldIsKept", sessionKeepsFields},
		{"CreateRefusesAnIdThatExists", sessionCreateConflict},
		{"UpdateReplacesAndCountsRevisions", sessionUpdate},
		{"UpdateOfAnOldRevisionChangesNothing", sessionStaleUpdate},
		{"OneOfManyUpdatesOfARevisionSucceeds", sessionRace},
		{"ModifyLosesNoWriteOfMany", sessionModify},
		{"DeletedIsGone", sessionDelete},
		{"ListNarrowsToUserAndStates", sessionFilter},
	}
}

func sessionKeepsFields(t *testing.T, stores Stores) {
	want := filled[session.Session](t)
	ok(t, stores.Sessions.Create(t.Context(), want))
	want.Revision = 1
	got, err := stores.Sessions.Get(t.Context(), want.ID)
	ok(t, err)
	same(t, got, want)

	list, err := stores.Sessions.List(t.Context(), session.Filter{}, store.Page{})
	ok(t, err)
	same(t, list.Items, []session.Session{want})

	ok(t, stores.Sessions.Update(t.Context(), session.Session{ID: want.ID, Revision: 1}))
	got, err = stores.Sessions.Get(t.Context(), want.ID)
	ok(t, err)
	same(t, got, session.Session{ID: want.ID, Revision: 2})
}

func sessionCreateConflict(t *testing.T, stores Stores) {
	first := createSession(t, stores, session.Session{ID: "ses_a", Name: "Recepción", State: session.New})
	wantError(t, stores.Sessions.Create(t.Context(), session.Session{ID: "ses_a", Name: "Consultorio"}), store.ErrConflict)
	got, err := stores.Sessions.Get(t.Context(), "ses_a")
	ok(t, err)
	same(t, got, first)
}

func sessionUpdate(t *testing.T, stores Stores) {
	s := createSession(t, stores, session.Session{ID: "ses_a", State: session.New})
	for _, state := range []session.State{session.Linking, session.Ready, session.LoggedOut} {
		s.State, s.UpdatedAt = state, at(int(s.Revision))
		ok(t, stores.Sessions.Update(t.Context(), s))
		s.Revision++
		got, err := stores.Sessions.Get(t.Context(), s.ID)
		ok(t, err)
		same(t, got, s)
	}
	wantError(t, stores.Sessions.Update(t.Context(), session.Session{ID: "ses_none", Revision: 1}), store.ErrNotFound)
	_, err := stores.Sessions.Get(t.Context(), "ses_none")
	wantError(t, err, store.ErrNotFound)
}

func sessionStaleUpdate(t *testing.T, stores Stores) {
	old := createSession(t, stores, session.Session{ID: "ses_a", Name: "first"})
	current := old
	current.Name = "second"
	ok(t, stores.Sessions.Update(t.Context(), current))
	current.Revision++
	for _, revision := range []int64{0, 1, 3} {
		old.Revision, old.Name = revision, "third"
		wantError(t, stores.Sessions.Update(t.Context(), old), store.ErrConflict)
	}
	got, err := stores.Sessions.Get(t.Context(), "ses_a")
	ok(t, err)
	same(t, got, current)
}

func sessionRace(t *testing.T, stores Stores) {
	const writers = 16
	s := createSession(t, stores, session.Session{ID: "ses_a"})
	var group errgroup.Group
	var won atomic.Int64
	for i := range writers {
		group.Go(func() error {
			mine := s
			mine.Link.QRIndex = i + 1
			err := stores.Sessions.Update(t.Context(), mine)
			if err == nil {
				won.Add(1)
				return nil
			}
			if errors.Is(err, store.ErrConflict) {
				return nil
			}
			return err
		})
	}
	ok(t, group.Wait())
	got, err := stores.Sessions.Get(t.Context(), s.ID)
	ok(t, err)
	if won.Load() != 1 || got.Revision != 2 || got.Link.QRIndex == 0 {
		t.Fatalf("%d of %d updates of one revision succeeded, which left %+v", won.Load(), writers, got)
	}
}

func sessionModify(t *testing.T, stores Stores) {
	const writers, writes = 6, 15
	createSession(t, stores, session.Session{ID: "ses_a"})
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			for range writes {
				_, err := session.Modify(t.Context(), stores.Sessions, "ses_a", func(s *session.Session) error {
					s.Link.QRIndex++
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	ok(t, group.Wait())
	got, err := stores.Sessions.Get(t.Context(), "ses_a")
	ok(t, err)
	same(t, got, session.Session{ID: "ses_a", Link: session.Link{QRIndex: writers * writes}, Revision: writers*writes + 1})
}

func sessionDelete(t *testing.T, stores Stores) {
	s := createSession(t, stores, session.Session{ID: "ses_a", Name: "one"})
	createSession(t, stores, session.Session{ID: "ses_b"})
	ok(t, stores.Sessions.Delete(t.Context(), "ses_a"))
	_, err := stores.Sessions.Get(t.Context(), "ses_a")
	wantError(t, err, store.ErrNotFound)
	wantError(t, stores.Sessions.Delete(t.Context(), "ses_a"), store.ErrNotFound)
	wantError(t, stores.Sessions.Update(t.Context(), s), store.ErrNotFound)
	list, err := stores.Sessions.List(t.Context(), session.Filter{}, store.Page{})
	ok(t, err)
	same(t, names(list.Items, nameOfSession), []string{"ses_b"})
	createSession(t, stores, session.Session{ID: "ses_a", Name: "another"})
}

func sessionFilter(t *testing.T, stores Stores) {
	for _, s := range []session.Session{
		{ID: "ses_4", UserID: "ana", State: session.Ready},
		{ID: "ses_1", UserID: "ana", State: session.Ready},
		{ID: "ses_3", UserID: "ana", State: session.Offline},
		{ID: "ses_2", UserID: "blas", State: session.Ready},
		{ID: "ses_5", UserID: "blas", State: session.New},
	} {
		createSession(t, stores, s)
	}
	for _, row := range []struct {
		filter session.Filter
		want   []string
	}{
		{session.Filter{}, []string{"ses_1", "ses_2", "ses_3", "ses_4", "ses_5"}},
		{session.Filter{UserID: "ana"}, []string{"ses_1", "ses_3", "ses_4"}},
		{session.Filter{States: []session.State{session.Ready}}, []string{"ses_1", "ses_2", "ses_4"}},
		{session.Filter{States: []session.State{session.Ready, session.Offline, session.Ready}}, []string{"ses_1", "ses_2", "ses_3", "ses_4"}},
		{session.Filter{States: session.States()}, []string{"ses_1", "ses_2", "ses_3", "ses_4", "ses_5"}},
		{session.Filter{UserID: "blas", States: []session.State{session.New, session.Ready}}, []string{"ses_2", "ses_5"}},
		{session.Filter{UserID: "blas", States: []session.State{session.Paused}}, nil},
		{session.Filter{UserID: "carla"}, nil},
		{session.Filter{States: []session.State{"no such state"}}, nil},
	} {
		for _, size := range []int{1, 2, 0} {
			got := everything(t, size, func(page store.Page) (store.List[session.Session], error) {
				return stores.Sessions.List(t.Context(), row.filter, page)
			})
			if !slices.Equal(names(got, nameOfSession), row.want) {
				t.Errorf("the filter %+v in pages of %d gives %v, want %v", row.filter, size, names(got, nameOfSession), row.want)
			}
		}
	}
}
