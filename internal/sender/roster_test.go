package sender

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// counting counts an operation of the store from now on.
func (w *world) counting(operation string) *atomic.Int64 {
	count := new(atomic.Int64)
	w.memory.failWith(func(asked string) error {
		if asked == operation {
			count.Add(1)
		}
		return nil
	})
	return count
}

func TestTheRosterGoesRoundTheStoreAPageAtATime(t *testing.T) {
	inWorld(t, func(w *world) {
		const pages = 3
		for i := range pages * store.MaxPageSize {
			w.linked(session.ID(fmt.Sprintf("ses_%04d", i)))
		}
		lists := w.counting("list sessions")
		refresh := func(r *roster, times int) {
			t.Helper()
			for range times {
				if err := r.refresh(t.Context(), w.sessions()); err != nil {
					t.Fatal(err)
				}
			}
		}
		r := newRoster()
		refresh(r, 1)
		same(t, "known at once", len(r.known), pages*store.MaxPageSize)
		same(t, "pages at first", lists.Load(), pages)
		for _, id := range []session.ID{"ses_0000", "ses_0700", "ses_1499"} {
			if err := w.sessions().Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		w.linked("ses_0000a")
		w.linked("ses_9999")
		w.changeSession("ses_0800", func(s *session.Session) { s.State = session.LoggedOut })
		w.changeSession("ses_0900", func(s *session.Session) { s.State = session.Ready })
		refresh(r, pages)
		same(t, "pages of a round", lists.Load(), 2*pages)
		same(t, "known after a round", len(r.known), pages*store.MaxPageSize-2)
		for id, wanted := range map[session.ID]bool{"ses_0000": false, "ses_0700": false, "ses_0800": false, "ses_1499": false, "ses_0000a": true, "ses_9999": true} {
			if _, known := r.known[id]; known != wanted {
				t.Errorf("%s is known: %t", id, known)
			}
		}
		same(t, "state", r.known["ses_0900"].State, session.Ready)
	})
}

func TestAFactIsBelievedUntilARecordOvertakesIt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	record := session.Session{ID: "ses_a", State: session.Ready, Egress: "proxy", UpdatedAt: now}
	fact := events.SessionChanged{SessionID: "ses_a", State: session.Paused, Reason: session.ReasonTemporaryBan, Until: now.Add(time.Hour), At: now}
	believed := nudge{fact: fact}.applied(record)
	same(t, "believed", believed, session.Session{ID: "ses_a", State: session.Paused, Reason: session.ReasonTemporaryBan, Until: fact.Until, Egress: "proxy", UpdatedAt: now})
	fact.At = now.Add(-time.Millisecond)
	same(t, "overtaken", nudge{fact: fact}.applied(record), record)
	same(t, "without a fact", nudge{}.applied(session.Session{}), session.Session{})
	n := newNudges()
	n.session("ses_a", nudge{fact: events.SessionChanged{SessionID: "ses_a", State: session.Ready, At: now}})
	n.session("ses_a", nudge{read: true})
	n.session("ses_a", nudge{fact: fact})
	taken := n.take()["ses_a"]
	if !taken.read || taken.fact.State != session.Ready {
		t.Errorf("%+v: a wish to read and the newer fact were to be kept", taken)
	}
}

func TestWhatIsKnownIsNotReadAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_mine")
		if _, err := w.leases.Claim(t.Context(), "ses_other"); err != nil {
			t.Fatal(err)
		}
		w.linked("ses_other")
		time.Sleep(time.Minute)
		synctest.Wait()
		reads := w.counting("get session")
		for i := range 10 {
			w.fact(events.SessionChanged{Version: events.FactVersion, SessionID: "ses_other", UserID: "user", State: session.Ready,
				At: time.Now().Add(time.Duration(i))})
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		same(t, "reads", reads.Load(), 0)
		w.queue.nudge("events.session.ses_other.link")
		synctest.Wait()
		same(t, "reads of one that may be another now", reads.Load(), 1)
	})
}

// fact publishes a fact as another worker would.
func (w *world) fact(fact events.Fact) {
	w.t.Helper()
	if err := w.queue.PublishFact(w.t.Context(), fact); err != nil {
		w.t.Fatal(err)
	}
}

func TestASessionWhoseEgressChangedUnheardGoesTheNewWay(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		if _, err := w.leases.Claim(t.Context(), "ses_a"); err != nil {
			t.Fatal(err)
		}
		w.linked("ses_a")
		for i := range 2 * store.MaxPageSize { // so that the record is not on each sweep's page
			s := session.Session{ID: session.ID(fmt.Sprintf("ses_%04d", i)), State: session.Offline, Egress: "crowded", Device: session.Device{JID: "x"}}
			if err := w.sessions().Create(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		found := w.session("ses_a")
		found.Egress = "proxy"
		if err := w.sessions().Update(t.Context(), found); err != nil {
			t.Fatal(err)
		}
		w.leases.expire("ses_a")
		w.until("the session is ready", func() bool { return w.session("ses_a").State == session.Ready })
		same(t, "connections", w.whatsapp.opened("ses_a"), 1)
		host.mu.Lock()
		defer host.mu.Unlock()
		same(t, "egress", host.hosted["ses_a"].egress, "proxy")
	})
}
