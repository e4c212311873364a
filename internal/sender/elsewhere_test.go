package sender

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// leased gives sessions that are ready, and whose leases another worker has.
func (w *world) leased(count int) {
	w.t.Helper()
	for i := range count {
		id := session.ID(fmt.Sprintf("ses_%03d", i))
		if _, err := w.leases.Claim(w.t.Context(), id); err != nil {
			w.t.Fatal(err)
		}
		w.linked(id)
		w.changeSession(id, func(s *session.Session) { s.State = session.Ready })
	}
}

func TestASweepAsksForFewOfTheOthersSessions(t *testing.T) {
	inWorld(t, func(w *world) {
		w.leased(300)
		w.host(nil)
		const sweeps = 12
		time.Sleep(sweeps * DefaultSweepEvery)
		synctest.Wait()
		w.leases.mu.Lock()
		defer w.leases.mu.Unlock()
		// One for each holder: the other worker, and whoever was not asked for yet.
		if most := probesAtFirst + 2 + sweeps*(probesAtOnce+2); w.leases.refused > most || w.leases.refused < sweeps {
			t.Errorf("%d claims in vain in %d sweeps, want some and at most %d", w.leases.refused, sweeps, most)
		}
	})
}

func TestAllSessionsOfADeadWorkerAreTakenAfterOneSweep(t *testing.T) {
	inWorld(t, func(w *world) {
		const sessions = 300
		w.leased(sessions)
		w.host(func(o *HostOptions) { o.MaxConnections = sessions })
		time.Sleep(time.Minute)
		for i := range sessions {
			w.leases.expire(session.ID(fmt.Sprintf("ses_%03d", i)))
		}
		expired := time.Now()
		w.until("all are taken", func() bool {
			w.leases.mu.Lock()
			defer w.leases.mu.Unlock()
			return len(w.leases.leases) == sessions
		})
		if took := time.Since(expired); took > DefaultSweepEvery+2*longestYield {
			t.Errorf("taken %s after their leases had ended", took)
		}
	})
}

func TestWhoHasWhatElsewhere(t *testing.T) {
	t.Parallel()
	e := newElsewhere()
	for i := range 100 {
		e.note(session.ID(fmt.Sprint("a", i)), "alice")
	}
	e.note("b", "bob")
	e.note("c", somebody)
	same(t, "workers", e.workers(), 2)
	e.probe()
	same(t, "asked for", len(e.asking), probesAtOnce+3)
	same(t, "bob's only one is left alone", e.has("b"), false)
	e.note("b", "alice")
	same(t, "it is left alone", e.has("b"), true)
	same(t, "workers", e.workers(), 1)
	for i := range 100 {
		e.note(session.ID(fmt.Sprint("a", i)), "alice")
	}
	same(t, "suspects", len(e.suspect("alice")), 101)
	same(t, "it is left alone", e.has("b"), false)
	for i := range 100 {
		e.note(session.ID(fmt.Sprint("a", i)), "alice")
	}
	e.note("b", "alice")
	e.note("d", "dora")
	for _, id := range []session.ID{"b", "a7", "d", "nobody's"} {
		e.hint(id)
	}
	for id, left := range map[session.ID]bool{"b": false, "a7": true, "d": false} {
		same(t, "it is left alone after a hint: "+string(id), e.has(id), left)
	}
	e.probe()
	e.note("a7", "alice")
	e.hint("a7")
	same(t, "it is left alone after a hint of the next sweep", e.has("a7"), false)
	before, known := e.drop("b")
	same(t, "holder before", before, "alice")
	same(t, "known", known, true)
	_, known = e.drop("b")
	same(t, "known", known, false)
	same(t, "bob is suspected of", len(e.suspect("bob")), 0)
}

func TestNobodyHoldsWhatWasGivenBack(t *testing.T) {
	t.Parallel()
	for state, want := range map[session.Session]bool{
		{State: session.Ready}: true,
		{State: session.Offline, Reason: session.ReasonConnectionLost}: true,
		{State: session.Offline}:  false,
		{State: session.Paused}:   false,
		{State: session.Replaced}: false,
	} {
		same(t, string(state.State)+string(state.Reason), keeps(state), want)
	}
}

func TestAHostWithLessToDoGoesFirstHoweverMuchTheyHave(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil).Host
		wait := func(known, hosted, workers int) time.Duration {
			h := &Host{options: host.options, nudges: newNudges(), roster: newRoster(), elsewhere: newElsewhere(), yielding: map[session.ID]time.Time{}, hosted: map[session.ID]*hosting{}}
			for i := range known {
				id := session.ID(fmt.Sprint("ses_", i))
				h.roster.known[id] = session.Session{}
				if i < hosted {
					h.hosted[id] = nil
				} else if workers > 0 {
					h.elsewhere.note(id, fmt.Sprint("worker", i%workers))
				}
			}
			began := time.Now()
			for h.yields("ses_free") {
				<-h.nudges.came
			}
			return time.Since(began)
		}
		for _, fleet := range []struct{ share, workers int }{{3, 2}, {6, 2}, {30, 9}, {200, 49}} {
			known := fleet.share * (fleet.workers + 1)
			less, fair, more := wait(known, fleet.share*2/3, fleet.workers), wait(known, fleet.share, fleet.workers), wait(known, fleet.share*3/2, fleet.workers)
			if gap := longestYield / 20; less+gap > fair || fair+gap > more || more > longestYield {
				t.Errorf("%d sessions a worker: one with less waits %s, with its share %s, with more %s", fleet.share, less, fair, more)
			}
		}
	})
}
