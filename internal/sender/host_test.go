package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestLinkedSessionIsConnected(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		same(t, "told", w.queue.states("ses_a"), []session.State{session.Ready})
		same(t, "hosted", host.Hosted(), []session.ID{"ses_a"})
		request := w.whatsapp.connection("ses_a").request
		same(t, "device", request.Device, w.session("ses_a").Device)
		same(t, "identity", request.Identity, session.IdentityFor("user"))
		host.stop()
		same(t, "told", w.queue.states("ses_a"), []session.State{session.Ready, session.Offline})
		if w.whatsapp.connection("ses_a") != nil || w.leases.held("ses_a") != nil || host.count(t, "sessions_hosted") != 0 {
			t.Error("a stopped host left a connection, a lease or a count behind")
		}
	})
}

func TestSessionsThatNobodyToldAboutAreFound(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 3 {
			s := session.Session{ID: session.ID(fmt.Sprint("ses_", i)), State: session.Offline, Device: session.Device{JID: "x"}}
			if err := w.sessions().Create(w.t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		w.host(nil)
		time.Sleep(longestYield)
		synctest.Wait()
		same(t, "state", w.session("ses_2").State, session.Ready)
		if err := w.sessions().Create(w.t.Context(), session.Session{ID: "ses_late", State: session.Offline, Device: session.Device{JID: "x"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultSweepEvery + longestYield)
		synctest.Wait()
		same(t, "state", w.session("ses_late").State, session.Ready)
	})
}

func TestSessionsWithoutADeviceAreLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, state := range []session.State{session.New, session.Linking, session.LoggedOut} {
			if err := w.sessions().Create(w.t.Context(), session.Session{ID: session.ID("ses_" + state), State: state}); err != nil {
				t.Fatal(err)
			}
		}
		host := w.host(nil)
		for _, state := range []session.State{session.New, session.Linking, session.LoggedOut} {
			w.queue.nudge("events.session.ses_" + string(state) + ".state")
		}
		time.Sleep(time.Minute)
		same(t, "hosted", host.Hosted(), []session.ID{})
	})
}

func TestSecondConnectedIsOnlyCounted(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		before := w.session("ses_a")
		for range 3 {
			w.whatsapp.connection("ses_a").report(session.Connected{})
		}
		synctest.Wait()
		same(t, "told", w.queue.states("ses_a"), []session.State{session.Ready})
		same(t, "record", w.session("ses_a"), before)
		same(t, "counted", host.count(t, "wa_hosted_ready_duplicates_total"), 3)
	})
}

func TestQROfAHostedSessionIsOnlyCounted(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		before := w.session("ses_a")
		w.whatsapp.connection("ses_a").report(session.QROffered{Codes: []string{"a", "b"}})
		same(t, "record", w.session("ses_a"), before)
		same(t, "counted", host.count(t, "wa_hosted_qr_ignored_total"), 1)
	})
}

func TestReconnectIsToldOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		connection := w.whatsapp.connection("ses_a")
		for range 2 {
			time.Sleep(time.Second)
			connection.report(session.Disconnected{})
			connection.report(session.Disconnected{})
			same(t, "state", w.session("ses_a").State, session.Offline)
			same(t, "reason", w.session("ses_a").Reason, session.ReasonConnectionLost)
			connection.report(session.Connected{})
		}
		same(t, "told", w.queue.states("ses_a"), []session.State{session.Ready, session.Offline, session.Ready, session.Offline, session.Ready})
		same(t, "connections", w.whatsapp.opened("ses_a"), 1)
	})
}

func TestSessionsConnectOneAtATimeWithJitter(t *testing.T) {
	inWorld(t, func(w *world) {
		w.whatsapp.dialTime = 300 * time.Millisecond
		const sessions = 20
		for i := range sessions {
			w.linked(session.ID(fmt.Sprintf("ses_%02d", i)))
		}
		host := w.host(func(o *HostOptions) { o.MaxConnections, o.ConnectJitter = sessions, 2*time.Second })
		w.until("all are connected", func() bool { return len(w.queue.all()) == sessions })
		dials, most := w.whatsapp.dialled()
		same(t, "dials at once", most, 1)
		gaps := map[time.Duration]bool{}
		for i, dial := range dials[1:] {
			gap := dial.Sub(dials[i])
			if gap < 300*time.Millisecond || gap > 2300*time.Millisecond {
				t.Errorf("dial %d came %s after the one before", i+1, gap)
			}
			gaps[gap] = true
		}
		if len(gaps) < sessions/2 {
			t.Errorf("only %d different gaps: a pattern", len(gaps))
		}
		same(t, "hosted", len(host.Hosted()), sessions)
	})
}

// TestReconnectsTakeTheTurnsOfTheirEgress: after an outage the sessions of an egress come back one after another, and what failed waits longer.
func TestReconnectsTakeTheTurnsOfTheirEgress(t *testing.T) {
	inWorld(t, func(w *world) {
		const sessions = 6
		for i := range sessions {
			w.linked(session.ID(fmt.Sprintf("ses_%02d", i)))
		}
		w.host(func(o *HostOptions) { o.MaxConnections, o.ConnectJitter = sessions, 3*time.Second })
		w.until("all are connected", func() bool { return len(w.queue.all()) == sessions })
		time.Sleep(time.Minute)
		turns := make(chan time.Time, sessions)
		for i := range sessions {
			again := w.whatsapp.connection(session.ID(fmt.Sprintf("ses_%02d", i))).request.Again
			go func() {
				if err := again(w.t.Context(), 0); err != nil {
					w.t.Error(err)
				}
				turns <- time.Now()
			}()
		}
		last := time.Time{}
		for range sessions {
			turn := <-turns
			if gap := turn.Sub(last); gap < time.Second || (!last.IsZero() && gap > 3*time.Second) {
				t.Errorf("a reconnect came %s after the one before", gap)
			}
			last = turn
		}
		began := time.Now()
		if err := w.whatsapp.connection("ses_00").request.Again(w.t.Context(), 5); err != nil || time.Since(began) < 16*time.Second {
			t.Errorf("the sixth try waited %s: %v", time.Since(began), err)
		}
		ended, end := context.WithCancel(w.t.Context())
		end()
		if err := w.whatsapp.connection("ses_00").request.Again(ended, 5); err == nil {
			t.Error("a closed connection gets a turn")
		}
	})
}

func TestEgressHasRoomForSoMany(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		for i := range 8 {
			w.linked(session.ID(fmt.Sprint("ses_", i)))
		}
		if err := w.sessions().Create(w.t.Context(), session.Session{ID: "ses_proxy", State: session.Offline, Egress: "proxy", Device: session.Device{JID: "x"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		same(t, "hosted", len(host.Hosted()), DefaultMaxConnections+1)
		same(t, "the proxy's session", w.session("ses_proxy").State, session.Ready)
		before := host.Hosted()
		w.changeSession(before[0], func(s *session.Session) { s.State = session.Removing })
		time.Sleep(time.Minute)
		after := host.Hosted()
		same(t, "hosted", len(after), DefaultMaxConnections+1)
		for _, id := range after {
			if !slices.Contains(before, id) {
				same(t, "the one that got the place", w.session(id).State, session.Ready)
			}
		}
	})
}

func TestSessionsSpreadOverHosts(t *testing.T) {
	inWorld(t, func(w *world) {
		hosts := []*testHost{w.host(nil), w.host(nil), w.host(nil)}
		for i := range 9 {
			w.online(session.ID(fmt.Sprint("ses_", i)))
		}
		for i, host := range hosts {
			same(t, fmt.Sprint("sessions of host ", i), len(host.Hosted()), 3)
		}
		hosts[0].stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if one, other := len(hosts[1].Hosted()), len(hosts[2].Hosted()); one+other != 9 || one < 4 || other < 4 {
			t.Errorf("a second after a host was stopped the others have %d and %d of 9 sessions", one, other)
		}
	})
}

// TestTwentySessionsMoveToAnotherWorker is a rolling deploy: the old worker ends, the new one takes its sessions.
func TestTwentySessionsMoveToAnotherWorker(t *testing.T) {
	inWorld(t, func(w *world) {
		const sessions = 20
		roomy := func(o *HostOptions) { o.MaxConnections = sessions }
		old := w.host(roomy)
		for i := range sessions {
			w.online(session.ID(fmt.Sprintf("ses_%02d", i)))
		}
		fresh := w.host(roomy)
		time.Sleep(time.Minute)
		same(t, "hosted by the new worker", len(fresh.Hosted()), 0)
		began := time.Now()
		old.stop()
		w.until("all are ready again", func() bool {
			ready := 0
			for i := range sessions {
				if w.session(session.ID(fmt.Sprintf("ses_%02d", i))).State == session.Ready {
					ready++
				}
			}
			return ready == sessions
		})
		if took := time.Since(began); took > time.Second {
			t.Errorf("the sessions moved in %s, want within a second", took)
		}
		same(t, "hosted by the new worker", len(fresh.Hosted()), sessions)
	})
}

func TestSessionsOfADeadWorkerAreTakenOver(t *testing.T) {
	inWorld(t, func(w *world) {
		const ttl = 15 * time.Second
		died := time.Now()
		for i := range 6 {
			id := session.ID(fmt.Sprint("ses_", i))
			if _, err := w.leases.Claim(w.t.Context(), id); err != nil {
				t.Fatal(err)
			}
			w.linked(id)
			w.changeSession(id, func(s *session.Session) { s.State = session.Ready })
		}
		w.host(func(o *HostOptions) { o.ConnectJitter = 3 * time.Second })
		time.Sleep(ttl)
		for i := range 6 {
			w.leases.expire(session.ID(fmt.Sprint("ses_", i)))
		}
		w.until("all are connected", func() bool { return len(w.queue.all()) == 12 })
		if took := time.Since(died); took > 2*ttl+6*3*time.Second {
			t.Errorf("taken over after %s", took)
		}
		same(t, "told", w.queue.states("ses_3"), []session.State{session.Offline, session.Ready})
	})
}

// A host that has sessions claims others a moment after the sweep that found them. That the sweep after a claim in vain is the next one, and not
// the one behind it, is what bounds the move of a dead worker's sessions by one sweep.
func TestEverySweepTriesTheSessionsOfADeadWorker(t *testing.T) {
	inWorld(t, func(w *world) {
		w.linked("ses_mine")
		w.host(nil)
		w.until("the host has a session", func() bool { return w.session("ses_mine").State == session.Ready })
		if _, err := w.leases.Claim(w.t.Context(), "ses_dead"); err != nil {
			t.Fatal(err)
		}
		w.linked("ses_dead")
		w.changeSession("ses_dead", func(s *session.Session) { s.State = session.Ready })
		time.Sleep(2*DefaultSweepEvery + longestYield) // the lease was asked for in vain at the last sweep
		w.leases.expire("ses_dead")
		expired := time.Now()
		w.until("it is taken", func() bool { return w.leases.held("ses_dead") != nil })
		if took := time.Since(expired); took > DefaultSweepEvery+longestYield {
			t.Errorf("taken %s after its lease had ended, which is more than one sweep", took)
		}
	})
}

func TestUnreachableLeasesAreTriedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.leases.broken = errors.New("no servers available")
		host := w.host(nil)
		w.linked("ses_a")
		time.Sleep(time.Minute)
		same(t, "hosted", host.Hosted(), []session.ID{})
		w.leases.mu.Lock()
		w.leases.broken = nil
		w.leases.mu.Unlock()
		time.Sleep(DefaultSweepEvery)
		synctest.Wait()
		same(t, "state", w.session("ses_a").State, session.Ready)
	})
}

// ask sends a message through a session as a runner would, and gives the answer when it comes.
func (w *world) ask(id session.ID, message string) <-chan events.SendReply {
	answered := make(chan events.SendReply, 1)
	w.workers.Go(func() {
		reply, err := w.queue.RequestSend(w.t.Context(), events.SendRequest{SessionID: id, CampaignID: "cmp_a", MessageID: message, Phone: "+549115", Text: "hola"})
		if err != nil {
			reply = events.FailedReply(err)
		}
		answered <- reply
	})
	synctest.Wait()
	return answered
}

func TestLostLeaseDisconnectsAtOnce(t *testing.T) {
	for name, hand := range map[string]struct {
		pace  campaign.Limits
		class fault.Class
	}{
		"while a send is in flight":       {campaign.Limits{}, fault.UnknownOutcome},
		"while a send waits for its turn": {campaign.Limits{MinGap: time.Hour, MaxGap: time.Hour}, fault.RetryLater},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				host := w.host(func(o *HostOptions) { o.Limits = hand.pace })
				w.online("ses_a")
				w.whatsapp.taking(time.Hour)
				before := w.session("ses_a")
				answered := w.ask("ses_a", "one")
				lost := time.Now()
				held := w.leases.held("ses_a")
				held.lose()
				reply := <-answered
				synctest.Wait()
				same(t, "answer", reply.Class, hand.class)
				if w.whatsapp.connection("ses_a") != nil || time.Since(lost) != 0 {
					t.Errorf("still connected %s after the loss", time.Since(lost))
				}
				if held.released.IsZero() {
					t.Error("the lost lease was not released")
				}
				// Whoever has it now writes the record; the loser does not.
				same(t, "record", w.session("ses_a"), before)
				same(t, "sent", len(w.whatsapp.messages()), 0)
				same(t, "hosted", host.Hosted(), []session.ID{})
			})
		})
	}
}

func TestLostLeaseEndsADialling(t *testing.T) {
	inWorld(t, func(w *world) {
		w.whatsapp.dialTime = 20 * time.Second
		host := w.host(nil)
		w.linked("ses_a")
		synctest.Wait()
		w.leases.held("ses_a").lose()
		synctest.Wait()
		same(t, "hosted", host.Hosted(), []session.ID{})
		same(t, "connections", w.whatsapp.opened("ses_a"), 0)
	})
}

func TestCleanStopFinishesTheSendInFlight(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(2 * time.Second)
		first := w.ask("ses_a", "one")
		second := w.ask("ses_a", "two")
		lease := w.leases.held("ses_a")
		host.stop()
		same(t, "the one in flight", (<-first).Class, "")
		same(t, "the one behind it", (<-second).Class, fault.RetryLater)
		sent := w.whatsapp.messages()
		if len(sent) != 1 || sent[0].message.ID != "one" {
			t.Fatalf("sent %+v", sent)
		}
		connection := w.whatsapp.connections[0]
		if connection.closedAt.Before(sent[0].at) || lease.released.Before(connection.closedAt) {
			t.Errorf("sent %s, closed %s, released %s", sent[0].at, connection.closedAt, lease.released)
		}
	})
}

func TestCleanStopDoesNotWaitForTurns(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(func(o *HostOptions) { o.Limits = campaign.Limits{MinGap: time.Hour, MaxGap: time.Hour} })
		w.online("ses_a")
		answered := w.ask("ses_a", "one")
		began := time.Now()
		host.stop()
		reply := <-answered
		if reply.Class != fault.RetryLater || reply.Code != "session_moving" || time.Since(began) != 0 {
			t.Errorf("answered %+v after %s", reply, time.Since(began))
		}
	})
}

func TestStopDoesNotWaitForAStuckSend(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Hour)
		answered := w.ask("ses_a", "one")
		began := time.Now()
		host.stop()
		same(t, "answer", (<-answered).Class, fault.UnknownOutcome)
		if took := time.Since(began); took != drainTime {
			t.Errorf("the stop took %s, want %s", took, drainTime)
		}
	})
}

func TestEveryoneWhoSendsThroughASessionIsPaced(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(func(o *HostOptions) { o.Limits = campaign.Limits{MinGap: 4 * time.Second, MaxGap: 9 * time.Second} })
		w.online("ses_a")
		var answers []<-chan events.SendReply
		for i := range 30 {
			answers = append(answers, w.ask("ses_a", fmt.Sprint(i)))
		}
		for _, answer := range answers {
			same(t, "answer", (<-answer).Class, "")
		}
		sent := w.whatsapp.messages()
		for i := range sent[1:] {
			if gap := sent[i+1].at.Sub(sent[i].at); gap < 4*time.Second || gap > 9*time.Second {
				t.Errorf("message %d came %s after the one before", i+1, gap)
			}
		}
	})
}

func TestWhatEachEndMeans(t *testing.T) {
	at := func(d time.Duration) time.Duration { return d }
	for reason, want := range map[session.Reason]struct {
		state  session.State
		paused bool
		// again is how long the session is left alone, at least.
		again time.Duration
	}{
		session.ReasonRemoved:        {session.LoggedOut, true, at(24 * time.Hour)},
		session.ReasonLoggedOut:      {session.LoggedOut, true, at(24 * time.Hour)},
		session.ReasonBanned:         {session.LoggedOut, true, at(24 * time.Hour)},
		session.ReasonTemporaryBan:   {session.Paused, true, at(2 * time.Hour)},
		session.ReasonOutdated:       {session.Outdated, true, at(time.Hour)},
		session.ReasonReplaced:       {session.Replaced, false, at(5 * time.Minute)},
		session.ReasonConnectFailure: {session.Offline, false, at(500 * time.Millisecond)},
	} {
		t.Run(string(reason), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.host(nil)
				if want.state != session.Outdated && want.state != session.Offline { // another worker may be newer, or luckier, and finds out
					w.host(nil) // another worker must not answer an end either
				}
				w.online("ses_a")
				w.planned("cmp_a", "ses_a", 1)
				w.planned("cmp_b", "ses_b", 1)
				connection := w.whatsapp.connection("ses_a")
				ended := session.Ended{Reason: reason, Detail: "401"}
				if reason == session.ReasonTemporaryBan {
					ended.Until = time.Now().Add(2 * time.Hour)
				}
				connection.report(ended)
				synctest.Wait()
				now := w.session("ses_a")
				same(t, "state", now.State, want.state)
				same(t, "reason", now.Reason, reason)
				same(t, "device kept", !now.Device.IsZero(), want.state != session.LoggedOut)
				if w.whatsapp.connection("ses_a") != nil || w.leases.held("ses_a") != nil {
					t.Error("still connected or leased")
				}
				same(t, "last told", w.queue.states("ses_a")[1], want.state)
				mine, other := w.campaign("cmp_a"), w.campaign("cmp_b")
				same(t, "another session's campaign", other.State, campaign.Queued)
				same(t, "campaign paused", mine.State == campaign.Paused, want.paused)
				if want.paused {
					same(t, "why", mine.Reason, string(reason))
					same(t, "told of the campaign", w.queue.campaignStates("cmp_a"), []campaign.State{campaign.Queued, campaign.Paused})
				}
				if reason == session.ReasonTemporaryBan && (!now.Until.Equal(ended.Until) || !mine.ResumeAt.Equal(ended.Until)) {
					t.Errorf("until %s, campaign until %s; want %s", now.Until, mine.ResumeAt, ended.Until)
				}
				time.Sleep(want.again - 10*time.Millisecond)
				same(t, "connections", w.whatsapp.opened("ses_a"), 1)
				time.Sleep(time.Minute)
				synctest.Wait()
				if state := w.session("ses_a").State; want.state != session.LoggedOut && state != session.Ready {
					t.Errorf("afterwards it is %s", state)
				}
			})
		})
	}
}

func TestLimitsWithoutAnEndGetOne(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.connection("ses_a").report(session.Ended{Reason: session.ReasonTemporaryBan})
		if until := w.session("ses_a").Until; !until.Equal(time.Now().Add(banWithoutEnd)) {
			t.Errorf("until %s", until)
		}
		w.online("ses_b")
		w.whatsapp.connection("ses_b").report(session.Restricted{Active: true})
		if until := w.session("ses_b").Until; !until.Equal(time.Now().Add(lockWithoutEnd)) {
			t.Errorf("until %s", until)
		}
	})
}

func TestReachOutLockPausesTheSessionUntilItIsLifted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.planned("cmp_a", "ses_a", 1)
		connection := w.whatsapp.connection("ses_a")
		until := time.Now().Add(time.Hour).UTC()
		for range 2 {
			connection.report(session.Restricted{Active: true, Until: until})
		}
		locked := w.session("ses_a")
		same(t, "state", locked.State, session.Paused)
		same(t, "reason", locked.Reason, session.ReasonReachOutLock)
		refused := <-w.ask("ses_a", "one")
		same(t, "answer", refused.Class, fault.PauseSession)
		if !refused.Until.Equal(until) || w.campaign("cmp_a").State != campaign.Paused {
			t.Errorf("answer %+v, campaign %+v", refused, w.campaign("cmp_a"))
		}
		connection.report(session.Disconnected{})
		connection.report(session.Connected{})
		same(t, "state after a reconnect", w.session("ses_a").State, session.Paused)
		time.Sleep(time.Minute)
		connection.report(session.Restricted{Active: false})
		same(t, "told", w.queue.states("ses_a"), []session.State{session.Ready, session.Paused, session.Ready})
		same(t, "answer", (<-w.ask("ses_a", "two")).Class, "")
	})
}

func TestReachOutLockEndsByItself(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.connection("ses_a").report(session.Restricted{Active: true, Until: time.Now().Add(time.Hour)})
		time.Sleep(time.Hour + DefaultSweepEvery)
		synctest.Wait()
		same(t, "state", w.session("ses_a").State, session.Ready)
		same(t, "connections", w.whatsapp.opened("ses_a"), 1)
	})
}

func TestKeysThatAreGoneAreALogout(t *testing.T) {
	inWorld(t, func(w *world) {
		w.whatsapp.open = func(session.OpenRequest) error {
			return fault.New(fault.Relink, "device_unknown", "Link the phone again")
		}
		w.host(nil)
		w.linked("ses_a")
		time.Sleep(time.Minute)
		same(t, "state", w.session("ses_a").State, session.LoggedOut)
		same(t, "told", w.queue.states("ses_a"), []session.State{session.LoggedOut})
		dials, _ := w.whatsapp.dialled()
		same(t, "dials", len(dials), 1)
	})
}

func TestConnectionsThatFailAreTriedAgainMoreAndMoreRarely(t *testing.T) {
	inWorld(t, func(w *world) {
		w.whatsapp.open = func(session.OpenRequest) error { return fault.New(fault.RetryLater, "connect_failed", "Try again") }
		w.host(nil)
		w.linked("ses_a")
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if dials, _ := w.whatsapp.dialled(); len(dials) < 25 || len(dials) > 70 {
			t.Errorf("%d dials in half an hour", len(dials))
		}
		w.whatsapp.mu.Lock()
		w.whatsapp.open = nil
		w.whatsapp.mu.Unlock()
		time.Sleep(longestRest + DefaultSweepEvery)
		synctest.Wait()
		same(t, "state", w.session("ses_a").State, session.Ready)
	})
}

func TestOutdatedSessionIsTriedByANewerWorker(t *testing.T) {
	inWorld(t, func(w *world) {
		w.linked("ses_a")
		w.changeSession("ses_a", func(s *session.Session) { s.State, s.Reason = session.Outdated, session.ReasonOutdated })
		w.host(nil)
		synctest.Wait()
		same(t, "state", w.session("ses_a").State, session.Ready)
	})
}

// TestMovedSessionIsConnectedAnew: a connection does not outlive the way out that it was made through.
func TestMovedSessionIsConnectedAnew(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		before := w.whatsapp.connection("ses_a")
		w.changeSession("ses_a", func(s *session.Session) { s.Egress = "proxy" })
		w.until("it is connected anew", func() bool { return w.whatsapp.opened("ses_a") == 2 && w.session("ses_a").State == session.Ready })
		if !before.isClosed() || time.Since(before.openedAt) > time.Minute {
			t.Errorf("closed: %t, after %s", before.isClosed(), time.Since(before.openedAt))
		}
	})
}

// TestRenewedSessionComesBackSoon: an outdated one rests for an hour, unless there is a newer version by now.
func TestRenewedSessionComesBackSoon(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		for renewed, within := range map[bool]time.Duration{true: 10 * time.Second, false: outdatedRest + DefaultSweepEvery} {
			before := w.whatsapp.opened("ses_a")
			w.whatsapp.connection("ses_a").report(session.Ended{Reason: session.ReasonOutdated, Renewed: renewed})
			same(t, "state", w.session("ses_a").State, session.Outdated)
			time.Sleep(within / 2)
			if !renewed {
				same(t, "connections meanwhile", w.whatsapp.opened("ses_a"), before)
			}
			time.Sleep(within / 2)
			synctest.Wait()
			same(t, "connections", w.whatsapp.opened("ses_a"), before+1)
			same(t, "state", w.session("ses_a").State, session.Ready)
		}
	})
}

func TestRemovingASessionUnlinksIt(t *testing.T) {
	for name, silent := range map[string]bool{"connected": false, "not connected yet": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.whatsapp.silent = silent
				w.host(nil)
				w.linked("ses_a")
				w.planned("cmp_a", "ses_a", 1)
				synctest.Wait()
				w.changeSession("ses_a", func(s *session.Session) { s.State, s.Reason = session.Removing, session.ReasonUnlinked })
				if silent {
					time.Sleep(5 * time.Second)
					w.whatsapp.connection("ses_a").report(session.Connected{})
				}
				synctest.Wait()
				same(t, "logged out", w.whatsapp.loggedOut, []session.ID{"ses_a"})
				same(t, "keys deleted", w.whatsapp.forgotten, []string{"ses_a:1@s.whatsapp.net"})
				if _, err := w.sessions().Get(w.t.Context(), "ses_a"); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("the record is still there: %v", err)
				}
				states := w.queue.states("ses_a")
				same(t, "last told", states[len(states)-1], session.Removed)
				same(t, "campaign", w.campaign("cmp_a").State, campaign.Paused)
				if w.leases.held("ses_a") != nil || w.whatsapp.connection("ses_a") != nil {
					t.Error("still connected or leased")
				}
			})
		})
	}
}

func TestRemovingASessionThatIsNotHosted(t *testing.T) {
	for name, device := range map[string]session.Device{"never linked": {}, "linked": {JID: "jid"}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				if err := w.sessions().Create(w.t.Context(), session.Session{ID: "ses_a", State: session.Removing, Device: device}); err != nil {
					t.Fatal(err)
				}
				w.host(nil)
				synctest.Wait()
				same(t, "told", w.queue.states("ses_a"), []session.State{session.Removed})
				same(t, "logged out", len(w.whatsapp.loggedOut) == 1, !device.IsZero())
				same(t, "keys deleted", len(w.whatsapp.forgotten) == 1, !device.IsZero())
			})
		})
	}
}

func TestRemovingWaitsUntilTheDeviceCanBeLoggedOut(t *testing.T) {
	inWorld(t, func(w *world) {
		w.whatsapp.silent = true
		w.host(nil)
		w.linked("ses_a")
		w.changeSession("ses_a", func(s *session.Session) { s.State = session.Removing })
		time.Sleep(logoutPatience + time.Second)
		same(t, "state", w.session("ses_a").State, session.Removing)
		synctest.Wait()
		same(t, "keys deleted", len(w.whatsapp.forgotten), 0)
		w.whatsapp.mu.Lock()
		w.whatsapp.silent = false
		w.whatsapp.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		same(t, "logged out", w.whatsapp.loggedOut, []session.ID{"ses_a"})
	})
}

func TestStoreThatFailsForAWhileIsCaughtUpWith(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		connection := w.whatsapp.connection("ses_a")
		w.memory.failWith(func(operation string) error {
			if operation == "update session" {
				return fault.New(fault.RetryLater, "store_unavailable", "The store does not answer")
			}
			return nil
		})
		connection.report(session.Disconnected{})
		same(t, "state", w.session("ses_a").State, session.Ready)
		w.memory.failWith(nil)
		time.Sleep(DefaultSweepEvery)
		synctest.Wait()
		same(t, "state", w.session("ses_a").State, session.Offline)
		connection.report(session.Connected{})
		same(t, "state", w.session("ses_a").State, session.Ready)
	})
}

func TestHostOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	m, q, b, a := newMemory(), newQueue(), newBucket(), newWhatsApp()
	good := HostOptions{Sessions: memorySessions{m}, Campaigns: memoryCampaigns{m}, Deliveries: memoryDeliveries{memory: m}, Histories: memoryHistories{m}, WhatsApp: a,
		Leases: b, Queue: q, Watcher: q, Sends: q, Documents: &store.MemoryDocuments{}}
	if _, err := NewHost(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*HostOptions){
		"no store":       func(o *HostOptions) { o.Sessions = nil },
		"no campaigns":   func(o *HostOptions) { o.Campaigns = nil },
		"no WhatsApp":    func(o *HostOptions) { o.WhatsApp = nil },
		"a wrong pace":   func(o *HostOptions) { o.Limits.MinGap = time.Second },
		"no room at all": func(o *HostOptions) { o.MaxConnections = -1 },
	} {
		options := good
		spoil(&options)
		if _, err := NewHost(options); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
}

func TestReceiptIsPublishedBeforeItIsConfirmed(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		same(t, "sent", (<-w.ask("ses_a", campaign.MessageID("cmp_a", "+549115"))).Class, "")
		down := time.Now().Add(time.Minute)
		w.queue.refuseFacts(func(events.Fact) error {
			if time.Now().Before(down) {
				return fault.New(fault.RetryLater, "queue_unavailable", "The queue does not answer")
			}
			return nil
		})
		receipt := session.ReceiptArrived{MessageIDs: []string{campaign.MessageID("cmp_a", "+549115"), "not ours"}, Kind: session.ReceiptDelivered, At: time.Now().UTC()}
		if handled := w.whatsapp.connection("ses_a").report(receipt); !handled || time.Now().Before(down) {
			t.Errorf("confirmed %v at %s, while the queue was down until %s", handled, time.Now(), down)
		}
		same(t, "facts", factsOf[events.MessageReceipt](w.queue), []events.MessageReceipt{{Version: 1, SessionID: "ses_a", CampaignID: "cmp_a",
			MessageIDs: receipt.MessageIDs[:1], Receipt: session.ReceiptDelivered, At: receipt.At}})
		same(t, "counted", host.count(t, "receipts_published_total"), 1)
	})
}

func TestReceiptThatCouldNotBePublishedIsNotConfirmed(t *testing.T) {
	for name, end := range map[string]func(*world, *testHost){
		"at a stop":       func(_ *world, h *testHost) { h.stop() },
		"at a lost lease": func(w *world, _ *testHost) { w.leases.held("ses_a").lose() },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				host := w.host(nil)
				w.online("ses_a")
				w.planned("cmp_a", "ses_a", 1)
				w.queue.refuseFacts(func(events.Fact) error { return errors.New("down") })
				connection := w.whatsapp.connection("ses_a")
				handled := make(chan bool, 1)
				go func() {
					handled <- connection.report(session.ReceiptArrived{MessageIDs: []string{campaign.MessageID("cmp_a", "+5491160000001")}, Kind: session.ReceiptRead, At: time.Now()})
				}()
				time.Sleep(time.Minute)
				began := time.Now()
				end(w, host)
				if <-handled {
					t.Error("the receipt was confirmed, and WhatsApp does not repeat it")
				}
				if took := time.Since(began); took > closeTimeout {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestReceiptsAfterARestartFindTheirCampaign(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.planned("cmp_a", "ses_a", 2)
		w.planned("cmp_b", "ses_a", 1)
		ids := []string{campaign.MessageID("cmp_a", "+5491160000001"), campaign.MessageID("cmp_a", "+5491160000002"), campaign.MessageID("cmp_b", "+5491160000001"),
			"3EB0000000000000000000", "3EB0"}
		failures := 3
		w.memory.failWith(func(operation string) error {
			if operation == "get delivery" && failures > 0 {
				failures--
				return errors.New("disk on fire")
			}
			return nil
		})
		// A receipt without a time is from now.
		w.whatsapp.connection("ses_a").report(session.ReceiptArrived{MessageIDs: ids, Kind: session.ReceiptRead})
		facts := factsOf[events.MessageReceipt](w.queue)
		slices.SortFunc(facts, func(a, b events.MessageReceipt) int { return len(b.MessageIDs) - len(a.MessageIDs) })
		if len(facts) != 2 || len(facts[0].MessageIDs) != 2 || facts[1].CampaignID != "cmp_b" || facts[0].At.IsZero() {
			t.Errorf("facts %+v", facts)
		}
	})
}

func TestReceiptBookIsBounded(t *testing.T) {
	t.Parallel()
	book := newReceiptBook()
	for i := range 3 * maxRemembered {
		book.note(fmt.Sprint(i), "cmp_a")
		book.note(fmt.Sprint(i), "cmp_b")
	}
	if len(book.campaign) != maxRemembered || len(book.order) != maxRemembered {
		t.Errorf("remembers %d", len(book.campaign))
	}
	if owner, known := book.find(fmt.Sprint(3*maxRemembered - 1)); !known || owner != "cmp_b" {
		t.Errorf("the last is of %q", owner)
	}
	if _, known := book.find("0"); known {
		t.Error("the first is still known")
	}
}

func TestInboundMessageIsPublished(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		at := time.Now().UTC()
		w.whatsapp.connection("ses_a").report(session.MessageArrived{MessageID: "in", Phone: "+549", LID: "1@lid", Text: "BAJA", At: at})
		same(t, "facts", factsOf[events.MessageReceived](w.queue), []events.MessageReceived{{Version: 1, SessionID: "ses_a", MessageIn: "in",
			Phone: "+549", LID: "1@lid", Text: "BAJA", At: at}})
	})
}

func TestAnotherWorkersConnectionIsNotReportedByTheLoser(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		connection := w.whatsapp.connection("ses_a")
		// The process was frozen: its lease is over and another worker has the session, which WhatsApp says first.
		w.leases.held("ses_a").lose()
		before := w.session("ses_a")
		connection.request.Signals(session.Ended{Reason: session.ReasonReplaced})
		synctest.Wait()
		same(t, "record", w.session("ses_a"), before)
	})
}

func TestSignalsThatAreOnlyCountedOrLogged(t *testing.T) {
	inWorld(t, func(w *world) {
		host := w.host(nil)
		w.online("ses_a")
		before := w.session("ses_a")
		for _, signal := range []session.Signal{session.RetryAsked{MessageID: "x", Answered: true}, session.KeepAliveLate{}, session.StreamFailed{Code: "500"}} {
			w.whatsapp.connection("ses_a").report(signal)
		}
		same(t, "record", w.session("ses_a"), before)
		same(t, "counted", host.count(t, "retry_receipts_total"), 1)
	})
}

func TestHostStopsHoweverFarItCame(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond, time.Second, 3 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.whatsapp.dialTime = 500 * time.Millisecond
				for i := range 5 {
					w.linked(session.ID(fmt.Sprint("ses_", i)))
				}
				host := w.host(func(o *HostOptions) { o.ConnectJitter = 500 * time.Millisecond })
				time.Sleep(after)
				began := time.Now()
				host.stop()
				if took := time.Since(began); took != 0 {
					t.Errorf("the stop took %s", took)
				}
				for i := range 5 {
					id := session.ID(fmt.Sprint("ses_", i))
					if w.leases.held(id) != nil || w.whatsapp.connection(id) != nil || w.session(id).State != session.Offline {
						t.Errorf("%s is %s, or still leased or connected", id, w.session(id).State)
					}
				}
			})
		})
	}
}

func TestRequestThatEndsBeforeItsTurnIsNotSent(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(func(o *HostOptions) { o.Limits = campaign.Limits{MinGap: time.Minute, MaxGap: time.Minute} })
		w.online("ses_a")
		impatient, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		reply, err := w.queue.RequestSend(impatient, events.SendRequest{SessionID: "ses_a", MessageID: "one"})
		if reply.Code != "pace_interrupted" && fault.Of(err) != fault.UnknownOutcome { // who is faster
			t.Errorf("answered %+v, %v", reply, err)
		}
		time.Sleep(time.Hour)
		same(t, "sent", len(w.whatsapp.messages()), 0)
	})
}
