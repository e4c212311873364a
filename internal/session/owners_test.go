package session_test

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

func TestTheUserOfASessionIsAskedForOnce(t *testing.T) {
	t.Parallel()
	asked := map[session.ID]int{}
	broken := errors.New("no database")
	owners := session.NewOwners(func(_ context.Context, id session.ID) (session.Session, error) {
		asked[id]++
		switch {
		case id == "deleted":
			return session.Session{}, store.ErrNotFound
		case id == "unread" && asked[id] == 1:
			return session.Session{}, broken
		}
		return session.Session{ID: id, UserID: "user of " + string(id)}, nil
	})
	for range 3 {
		for id, want := range map[session.ID]string{"s1": "user of s1", "deleted": "", "": ""} {
			if user, err := owners.Of(t.Context(), id); user != want || err != nil {
				t.Errorf("%q: %q, %v", id, user, err)
			}
		}
	}
	if asked["s1"] != 1 || asked["deleted"] != 1 || asked[""] != 0 {
		t.Errorf("asked %v", asked)
	}
	if _, err := owners.Of(t.Context(), "unread"); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if user, err := owners.Of(t.Context(), "unread"); user != "user of unread" || err != nil {
		t.Errorf("a failure was remembered: %q, %v", user, err)
	}
	for n := range 10_000 {
		if _, err := owners.Of(t.Context(), session.ID(strconv.Itoa(n))); err != nil {
			t.Fatal(err)
		}
	}
	if user, err := owners.Of(t.Context(), "s1"); user != "user of s1" || err != nil || asked["s1"] != 2 {
		t.Errorf("%q, %v, asked %d times; the memory has a bound", user, err, asked["s1"])
	}
}
