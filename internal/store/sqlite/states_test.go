package sqlite

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

func TestAStateIsRememberedUntilItMayBeAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s states
		knows := func(when string, want campaign.State) {
			t.Helper()
			if state, _, known := s.get("cmp_a"); known != (want != "") || known && state != want {
				t.Errorf("%s: %q, %t", when, state, known)
			}
		}
		knows("at first", "")
		_, changes, _ := s.get("cmp_a")
		s.put("cmp_a", campaign.Running, changes)
		knows("read", campaign.Running)
		time.Sleep(stateAge - time.Nanosecond)
		knows("a second later", campaign.Running)
		time.Sleep(time.Nanosecond)
		knows("after that, when another process may have changed it", "")

		_, changes, _ = s.get("cmp_a")
		s.put("cmp_a", campaign.Running, changes)
		s.forget("cmp_b")
		knows("another campaign was changed", campaign.Running)
		s.forget("cmp_a")
		knows("it was changed", "")
		s.put("cmp_a", campaign.Running, changes)
		knows("it was read before the change, and comes behind it", "")

		for i := range maxStates + 1 {
			_, changes, _ = s.get("cmp_a")
			s.put(campaign.ID(rune('a'+i)), campaign.Running, changes)
		}
		if len(s.known) > maxStates {
			t.Errorf("%d are remembered", len(s.known))
		}
	})
}
