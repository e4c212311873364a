package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// EgressStores are the ports of one database that RunEgresses needs.
type EgressStores struct {
	Sessions session.Store
	Egresses session.Egresses
}

// RunEgresses runs the suite of session.Egresses. open gives the stores of an empty database and closes them when the test that it is given ends.
func RunEgresses(t *testing.T, open func(t *testing.T) EgressStores) {
	for name, check := range map[string]func(*testing.T, EgressStores){
		"what was put is given back whole":          egressWhole,
		"a stale record changes nothing":            egressStale,
		"of several writers one wins":               egressRace,
		"a deleted record is gone":                  egressDelete,
		"a session takes its records with it":       egressOfDeletedSession,
		"a list gives every record once, in order":  egressList,
		"a cursor of something else is refused":     egressCursor,
		"two sessions with one proxy do not meddle": egressShared,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

// sealedBytes hold every byte, so that a store that takes them for text is noticed.
func sealedBytes() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func egressOf(id session.ID, name string) session.Egress {
	return session.Egress{Session: id, Name: name, Shown: "socks5://***@proxy.example:1080", Sealed: sealedBytes(), UpdatedAt: at(1)}
}

// putEgress stores a record and gives it as it is stored.
func putEgress(t *testing.T, stores EgressStores, e session.Egress) session.Egress {
	t.Helper()
	ok(t, stores.Egresses.Put(t.Context(), e))
	e.Revision++
	return e
}

func wantEgress(t *testing.T, stores EgressStores, want session.Egress) {
	t.Helper()
	got, err := stores.Egresses.Get(t.Context(), want.Session, want.Name)
	ok(t, err)
	same(t, got, want)
}

func egressWhole(t *testing.T, stores EgressStores) {
	stored := putEgress(t, stores, egressOf("ses_a", "px_1"))
	wantEgress(t, stores, stored)
	stored.Shown, stored.Sealed, stored.UpdatedAt = "http://other.example:80", []byte{0}, at(2)
	wantEgress(t, stores, putEgress(t, stores, stored))
	_, err := stores.Egresses.Get(t.Context(), "ses_a", "px_2")
	wantError(t, err, store.ErrNotFound)
	_, err = stores.Egresses.Get(t.Context(), "ses_b", "px_1")
	wantError(t, err, store.ErrNotFound)
}

func egressStale(t *testing.T, stores EgressStores) {
	first := putEgress(t, stores, egressOf("ses_a", "px_1"))
	current := putEgress(t, stores, first)
	for _, revision := range []int64{0, 1, 3} {
		stale := current
		stale.Revision, stale.Shown = revision, "stale"
		wantError(t, stores.Egresses.Put(t.Context(), stale), store.ErrConflict)
	}
	wantEgress(t, stores, current)
	missing := egressOf("ses_a", "px_2")
	missing.Revision = 1
	wantError(t, stores.Egresses.Put(t.Context(), missing), store.ErrConflict)
	_, err := stores.Egresses.Get(t.Context(), "ses_a", "px_2")
	wantError(t, err, store.ErrNotFound)
}

func egressRace(t *testing.T, stores EgressStores) {
	for revision := range int64(2) {
		var group errgroup.Group
		var won atomic.Int64
		for range 8 {
			group.Go(func() error {
				mine := egressOf("ses_a", "px_1")
				mine.Revision = revision
				err := stores.Egresses.Put(t.Context(), mine)
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
		if won.Load() != 1 {
			t.Fatalf("%d writers won at revision %d", won.Load(), revision)
		}
	}
}

func egressDelete(t *testing.T, stores EgressStores) {
	kept := putEgress(t, stores, egressOf("ses_a", "px_2"))
	putEgress(t, stores, egressOf("ses_a", "px_1"))
	for range 2 { // one that does not exist is no error
		ok(t, stores.Egresses.Delete(t.Context(), "ses_a", "px_1"))
		_, err := stores.Egresses.Get(t.Context(), "ses_a", "px_1")
		wantError(t, err, store.ErrNotFound)
	}
	wantEgress(t, stores, kept)
	wantEgress(t, stores, putEgress(t, stores, egressOf("ses_a", "px_1")))
}

func egressOfDeletedSession(t *testing.T, stores EgressStores) {
	ok(t, stores.Sessions.Create(t.Context(), session.Session{ID: "ses_a"}))
	ok(t, stores.Sessions.Create(t.Context(), session.Session{ID: "ses_ab"}))
	putEgress(t, stores, egressOf("ses_a", "px_1"))
	putEgress(t, stores, egressOf("ses_a", "px_2"))
	other := putEgress(t, stores, egressOf("ses_ab", "px_1"))
	ok(t, stores.Sessions.Delete(t.Context(), "ses_a"))
	list, err := stores.Egresses.List(t.Context(), store.Page{})
	ok(t, err)
	same(t, list.Items, []session.Egress{other})
}

func egressList(t *testing.T, stores EgressStores) {
	var want []session.Egress
	for session := range 5 {
		for name := range 3 {
			want = append(want, putEgress(t, stores, egressOf(sessionID(session), fmt.Sprint("px_", name))))
		}
	}
	for _, size := range []int{1, 4, 15, 0} {
		same(t, everything(t, size, func(page store.Page) (store.List[session.Egress], error) {
			return stores.Egresses.List(t.Context(), page)
		}), want)
	}
}

func sessionID(n int) session.ID { return session.ID(fmt.Sprint("ses_", n)) }

func egressCursor(t *testing.T, stores EgressStores) {
	_, err := stores.Egresses.List(t.Context(), store.Page{After: "no cursor"})
	wantInvalid(t, err)
}

func egressShared(t *testing.T, stores EgressStores) {
	one, other := putEgress(t, stores, egressOf("ses_a", "px_1")), putEgress(t, stores, egressOf("ses_b", "px_1"))
	one.Sealed = []byte("another password")
	wantEgress(t, stores, putEgress(t, stores, one))
	wantEgress(t, stores, other)
}
