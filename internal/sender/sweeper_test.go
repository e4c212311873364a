package sender

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
)

// forget empties the queue: what was published there is lost.
func (q *queue) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = nil
}

func TestCampaignWithoutAJobGetsOne(t *testing.T) {
	for name, event := range map[string]campaign.Event{"queued": campaign.Queue, "running": campaign.Start} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.host(nil)
				w.online("ses_a")
				w.planned("cmp_a", "ses_a", 5)
				w.person("cmp_a", event)
				w.queue.forget()
				if event == campaign.Queue { // the crash was before the job was published
					w.queue.mu.Lock()
					clear(w.queue.seen)
					w.queue.mu.Unlock()
				}
				w.runner(1, quick)
				w.sweeper()
				w.untilCampaign("cmp_a", campaign.Completed)
				w.once("cmp_a", 5)
			})
		})
	}
}

func TestCampaignWithAJobIsLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sweeper()
		w.sweeper() // two workers
		w.planned("cmp_a", "ses_a", 5)
		time.Sleep(time.Hour)
		same(t, "slice", w.campaign("cmp_a").Slice, 1)
		same(t, "told", w.queue.campaignStates("cmp_a"), []campaign.State{campaign.Queued})
	})
}

func TestWhatAPersonPausedWaitsForAPerson(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.runner(1, quick)
		w.sweeper()
		w.planned("cmp_a", "ses_a", 5)
		w.person("cmp_a", campaign.Pause)
		w.changeSession("ses_a", func(s *session.Session) { s.Name = "Recepción" })
		time.Sleep(24 * time.Hour)
		same(t, "state", w.campaign("cmp_a").State, campaign.Paused)
	})
}

func TestLimitThatIsOverDoesNotResumeWithoutASession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.linked("ses_a")
		w.sweeper()
		w.planned("cmp_a", "ses_a", 5)
		always := func(campaign.Campaign) bool { return true }
		_, _, err := change(w.t.Context(), w.campaigns(), "cmp_a", always, ending{event: campaign.Pause, reason: "rate_limited", resumeAt: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		same(t, "state", w.campaign("cmp_a").State, campaign.Paused)
		w.changeSession("ses_a", func(s *session.Session) { s.State = session.Ready })
		synctest.Wait()
		same(t, "state", w.campaign("cmp_a").State, campaign.Queued)
		same(t, "slice", w.campaign("cmp_a").Slice, 2)
	})
}

func TestCancelThatIsOnlyRumourSettlesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Minute)
		w.runner(1, quick)
		w.sweeper()
		w.planned("cmp_a", "ses_a", 5)
		time.Sleep(time.Second)
		fact := events.CampaignChanged{Version: 1, CampaignID: "cmp_a", State: campaign.Cancelled, At: time.Now()}
		if err := w.queue.PublishFact(w.t.Context(), fact); err != nil {
			t.Fatal(err)
		}
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 5})
	})
}

func TestSweeperNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := NewSweeper(SweeperOptions{}); err == nil {
		t.Error("a sweeper without parts")
	}
}

func TestASweeperLooksOnlyWhenASessionMayWriteAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.sweeper()
		synctest.Wait()
		lists := w.counting("list campaigns")
		for state, want := range map[session.State]int64{session.Offline: 0, session.LoggedOut: 0, session.Ready: 1, session.Paused: 1} {
			lists.Store(0)
			w.fact(events.SessionChanged{Version: events.FactVersion, SessionID: "ses_a", UserID: "user", State: state, At: time.Now()})
			synctest.Wait()
			same(t, "lists after "+string(state), lists.Load(), want)
			time.Sleep(nudgeGap)
		}
		lists.Store(0)
		for i := range 100 {
			w.fact(events.SessionChanged{Version: events.FactVersion, SessionID: "ses_a", UserID: "user", State: session.Ready, At: time.Now().Add(time.Duration(i))})
			synctest.Wait()
		}
		same(t, "lists at once", lists.Load(), 1)
		time.Sleep(nudgeGap)
		synctest.Wait()
		same(t, "lists for all of them", lists.Load(), 2)
	})
}
