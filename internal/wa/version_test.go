package wa_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.mau.fi/whatsmeow/store"

	"github.com/dannsalud/broadcaster/internal/session"
)

// refused opens a connection that WhatsApp ends, and gives how.
func (w *world) refused(device session.Device, user string) session.Ended {
	w.t.Helper()
	ended, _ := w.welcomed(device, user)
	return ended
}

// welcomed opens a connection and gives how it ended, unless it was let in.
func (w *world) welcomed(device session.Device, user string) (ended session.Ended, letIn bool) {
	w.t.Helper()
	heard := newEar(w.t)
	client, err := w.gateway.Open(w.t.Context(), session.OpenRequest{Session: session.ID("ses_" + user), Epoch: 1, Device: device,
		Identity: session.IdentityFor(user), Signals: heard.hear})
	if err != nil {
		w.t.Fatal(err)
	}
	defer w.close(client)
	switch signal := await(heard, func(signal session.Signal) bool {
		_, isEnd := signal.(session.Ended)
		_, isIn := signal.(session.Connected)
		return isEnd || isIn
	}).(type) {
	case session.Ended:
		return signal, false
	default:
		return session.Ended{}, true
	}
}

// TestAnOutdatedClientIsRenewedOnce: 405 fetches the current version once for the whole fleet; the next connections say that they are it, links too.
func TestAnOutdatedClientIsRenewedOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	const users = 5
	devices := map[string]session.Device{}
	for number := range users {
		user := fmt.Sprintf("user%d", number)
		devices[user] = w.pair(w.phone(number), user)
	}
	ours := store.GetWAVersion()[2]
	w.simulator.RequireVersion(ours + 1)
	var opening sync.WaitGroup
	var refused atomic.Int32
	for user, device := range devices {
		opening.Go(func() {
			ended, letIn := w.welcomed(device, user) // one that comes late finds the newer version
			if letIn {
				return
			}
			refused.Add(1)
			if ended.Reason != session.ReasonOutdated || !ended.Renewed {
				t.Errorf("%s ended with %+v", user, ended)
			}
		})
	}
	opening.Wait()
	if refused.Load() == 0 {
		t.Error("nobody was refused")
	}
	if asked := w.simulator.VersionsAsked(); asked != 1 {
		t.Errorf("the version was fetched %d times", asked)
	}
	for user, device := range devices {
		w.open(device, user)
	}
	w.pair(w.phone(users), "later")
	if got := store.GetWAVersion()[2]; got != ours {
		t.Errorf("the version of the whole process was changed to %d", got)
	}
	if !strings.Contains(w.log.String(), "WhatsApp refuses this version") {
		t.Error("nothing in the log says so")
	}
}

// TestAVersionThatDoesNotHelpIsNotFetchedAgain: no loop when WhatsApp refuses its own newest version, or does not say which that is.
func TestAVersionThatDoesNotHelpIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]struct {
		required, told uint32
	}{
		"told is refused too": {store.GetWAVersion()[2] + 9, store.GetWAVersion()[2] + 9},
		"nothing is told":     {store.GetWAVersion()[2] + 9, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t)
				w.rest = synctest.Wait
				t.Cleanup(func() { time.Sleep(5 * time.Minute) }) // virtual: what whatsmeow waits for by the clock ends
				device := w.pair(w.phone(1), "ana")
				w.simulator.RequireVersion(page.required)
				w.simulator.TellVersion(page.told)
				first := w.refused(device, "ana")
				if first.Renewed != (page.told != 0) {
					t.Errorf("first: %+v", first)
				}
				w.simulator.RequireVersion(page.required + 1)
				w.simulator.TellVersion(page.told)
				for range 50 {
					time.Sleep(time.Minute)
					if again := w.refused(device, "ana"); again.Renewed {
						t.Fatalf("renewed again: %+v", again)
					}
				}
				if asked := w.simulator.VersionsAsked(); asked != 1 {
					t.Errorf("the version was fetched %d times within an hour", asked)
				}
				time.Sleep(15 * time.Minute)
				w.refused(device, "ana")
				if asked := w.simulator.VersionsAsked(); asked != 2 {
					t.Errorf("after an hour the version was fetched %d times in all", asked)
				}
			})
		})
	}
}
