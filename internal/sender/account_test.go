package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_model/go"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// changeCampaign alters a campaign as the API would.
func (w *world) changeCampaign(id campaign.ID, alter func(*campaign.Campaign)) {
	w.t.Helper()
	_, err := campaign.Modify(w.t.Context(), w.campaigns(), id, func(c *campaign.Campaign) error {
		alter(c)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestAFileIsUploadedOnceAndTypingIsShownBeforeEachMessage(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(func(o *HostOptions) { o.Limits = campaign.Limits{MinGap: 4 * time.Second, MaxGap: 9 * time.Second} })
		w.online("ses_a")
		w.runner(1, nil)
		file, err := campaign.MediaLibrary{Documents: w.documents}.Add(w.t.Context(), campaign.NewMedia{Name: "a.png", At: time.Now()}, strings.NewReader("\x89PNG\r\n\x1a\nxxxx"))
		if err != nil {
			t.Fatal(err)
		}
		w.planned("cmp_a", "ses_a", 6)
		w.changeCampaign("cmp_a", func(c *campaign.Campaign) {
			c.Settings = campaign.Settings{Attachment: campaign.Attachment{ID: file.ID, Kind: file.Kind}, Typing: true}
		})
		w.untilCampaign("cmp_a", campaign.Completed)
		w.whatsapp.mu.Lock()
		defer w.whatsapp.mu.Unlock()
		same(t, "uploads", len(w.whatsapp.uploads), 1)
		same(t, "typing begun and ended", len(w.whatsapp.typed), 12)
		for _, each := range w.whatsapp.sent {
			if each.message.Media == nil || each.message.Media.Kind != "image" {
				t.Errorf("sent %+v", each.message)
			}
		}
	})
}

func TestACampaignWithoutItsFileWaitsForAPerson(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.runner(1, quick)
		w.sweeper()
		w.planned("cmp_a", "ses_a", 3)
		w.changeCampaign("cmp_a", func(c *campaign.Campaign) {
			c.Settings.Attachment = campaign.Attachment{ID: "med_gone", Kind: campaign.Image}
		})
		w.untilCampaign("cmp_a", campaign.Paused)
		same(t, "reason", w.campaign("cmp_a").Reason, "media_missing")
		same(t, "messages", len(w.whatsapp.messages()), 0)
	})
}

func TestScheduledCampaignsBeginAtTheirTime(t *testing.T) {
	for name, lost := range map[string]bool{"by their job": false, "by the sweeper, when the job is lost": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.host(nil)
				w.online("ses_a")
				w.runner(1, quick)
				w.sweeper()
				at := time.Now().Add(3 * time.Hour).UTC()
				w.planned("cmp_a", "ses_a", 5)
				w.changeCampaign("cmp_a", func(c *campaign.Campaign) {
					c.State, c.Slice, c.Settings.ScheduledAt = campaign.Scheduled, 1, at
				})
				early := events.RunCampaign{Version: events.RunCampaignDueVersion, CampaignID: "cmp_a", SessionID: "ses_a", Slice: 2, Due: at.Add(-time.Hour)}
				timely := early
				timely.Due = at
				w.queue.mu.Lock()
				w.queue.push(early) // of a schedule that was changed
				w.queue.mu.Unlock()
				time.Sleep(time.Until(at) - time.Minute)
				same(t, "messages before its time", len(w.whatsapp.messages()), 0)
				same(t, "state before its time", w.campaign("cmp_a").State, campaign.Scheduled)
				time.Sleep(time.Minute)
				if !lost {
					w.queue.mu.Lock()
					w.queue.push(timely)
					w.queue.mu.Unlock()
				} else {
					time.Sleep(time.Minute)
					w.queue.mu.Lock()
					w.queue.push(timely) // it comes when the sweeper has given it up
					w.queue.mu.Unlock()
				}
				w.untilCampaign("cmp_a", campaign.Completed)
				w.once("cmp_a", 5)
				if late := time.Since(at); late > 2*time.Minute {
					t.Errorf("it ended %s after its time", late)
				}
			})
		})
	}
}

func TestStrangersRefusedInARowLockTheSession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.runner(1, quick)
		w.sweeper()
		refused := fault.New(fault.SkipRecipient, "reach_out_refused", "No token")
		n := 0
		w.each(func(string, int) error {
			if n++; n%refusedInARow != 0 { // four of five
				return refused
			}
			return nil
		})
		w.planned("cmp_a", "ses_a", 25)
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "the session with some refusals", w.session("ses_a").State, session.Ready)
		began := time.Now()
		w.each(func(string, int) error {
			if time.Since(began) < time.Hour {
				return refused
			}
			return nil
		})
		w.planned("cmp_b", "ses_a", 25)
		w.untilCampaign("cmp_b", campaign.Paused)
		locked := w.session("ses_a")
		same(t, "the session", locked.State, session.Paused)
		same(t, "the reason", locked.Reason, session.ReasonReachOutLock)
		same(t, "tries", w.counts("cmp_b")[campaign.Skipped], refusedInARow)
		w.untilCampaign("cmp_b", campaign.Completed)
		if time.Since(began) < 23*time.Hour {
			t.Errorf("it went on after %s", time.Since(began))
		}
	})
}

func TestFewDeliveriesAreASuspicion(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(func(o *HostOptions) { o.Limits = campaign.Limits{MinGap: time.Minute, MaxGap: time.Minute} })
		w.online("ses_a")
		runner, _ := w.runner(1, nil)
		w.planned("cmp_a", "ses_a", 40)
		w.untilCampaign("cmp_a", campaign.Completed)
		var suspected prom.Metric
		if err := runner.metrics.suspected.Write(&suspected); err != nil || suspected.GetCounter().GetValue() < 1 {
			t.Errorf("nobody was told: %v, %v", suspected.GetCounter().GetValue(), err)
		}
	})
}

func TestNumbersAreLookedUpWithPausesAndRemembered(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(func(o *HostOptions) { o.Limits = campaign.DefaultLimits() })
		w.online("ses_a")
		began := time.Now()
		for range 3 {
			reply, err := w.queue.RequestSend(w.t.Context(), events.SendRequest{SessionID: "ses_a", MessageID: "lookup", Lookup: []string{"+5491150000001"}})
			if err != nil || reply.Err() != nil || len(reply.Lookups) != 1 || !reply.Lookups[0].Exists {
				t.Fatalf("%+v, %v", reply, err)
			}
		}
		if took := time.Since(began); took < 2*lookupGap {
			t.Errorf("three questions took %s", took)
		}
		known, err := campaign.Lookups{Documents: w.documents}.Among(w.t.Context(), []string{"+5491150000001"})
		if err != nil || !known["+5491150000001"].Exists {
			t.Errorf("%v, %v", known, err)
		}
		time.Sleep(campaign.LookupAge)
		known, err = campaign.Lookups{Documents: w.documents}.Among(w.t.Context(), []string{"+5491150000001"})
		if err != nil || len(known) != 0 {
			t.Errorf("after a week: %v, %v", known, err)
		}
		same(t, "messages", len(w.whatsapp.messages()), 0)
	})
}

// answers counts what was asked of a session, and fails while it is told to.
type answers struct {
	requests []events.SendRequest
	broken   error
}

func (a *answers) RequestSend(_ context.Context, request events.SendRequest) (events.SendReply, error) {
	if a.broken != nil {
		return events.SendReply{}, a.broken
	}
	a.requests = append(a.requests, request)
	return events.SendReply{SentAt: time.Now()}, nil
}

func TestAnOptOutHoldsEvenWhenItCannotBeAnswered(t *testing.T) {
	inWorld(t, func(w *world) {
		asked := &answers{broken: fault.New(fault.RetryLater, "session_not_hosted", "Nobody is there")}
		suppressions := memorySuppressions{memory: w.memory}
		inbound, err := NewInbound(InboundOptions{Campaigns: w.campaigns(), Deliveries: w.deliveries(), Suppressions: suppressions, Documents: w.documents, Sends: asked})
		if err != nil {
			t.Fatal(err)
		}
		wish := events.MessageReceived{Version: 1, SessionID: "ses_a", MessageIn: "m1", Phone: "+5491150000001", Text: "baja", At: time.Now()}
		if err := inbound.Handle(w.t.Context(), wish); fault.Of(err) != fault.RetryLater {
			t.Errorf("it must come again: %v", err)
		}
		found, err := suppressions.Among(w.t.Context(), []string{wish.Phone})
		if err != nil || found[wish.Phone].Reason != campaign.OptedOut {
			t.Errorf("suppressed: %v, %v", found, err)
		}
		asked.broken = nil
		for range 3 { // the fact again, and the person again
			if err := inbound.Handle(w.t.Context(), wish); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "answers", len(asked.requests), 1)
		audit, err := campaign.Audit{Documents: w.documents}.List(w.t.Context(), store.Page{})
		if err != nil || len(audit.Items) != 1 || audit.Items[0].Actor != "contact" {
			t.Errorf("the audit is %+v, %v", audit.Items, err)
		}
		refused := &answers{broken: fault.New(fault.Relink, "logged_out", "The session is logged out")}
		inbound.options.Sends = refused
		wish.Phone = "+5491150000002"
		if err := inbound.Handle(w.t.Context(), wish); err != nil {
			t.Errorf("a session that cannot answer any more holds the opt-out up: %v", err)
		}
	})
}

func TestAReplyBelongsToTheNewestMessageThatWasSent(t *testing.T) {
	inWorld(t, func(w *world) {
		inbound, err := NewInbound(InboundOptions{Campaigns: w.campaigns(), Deliveries: w.deliveries(), Suppressions: memorySuppressions{memory: w.memory},
			Documents: w.documents, Sends: &answers{}})
		if err != nil {
			t.Fatal(err)
		}
		w.linked("ses_a")
		began := time.Now().UTC()
		var phone string
		for i, id := range []campaign.ID{"cmp_a", "cmp_b", "cmp_c"} {
			w.planned(id, "ses_a", 1)
			w.changeCampaign(id, func(c *campaign.Campaign) { c.State, c.StartedAt = campaign.Running, began })
			delivery := w.all(id)[0]
			phone = delivery.Phone
			state, at := campaign.Sent, began.Add(time.Duration(i)*time.Hour)
			if id == "cmp_c" {
				state = campaign.Sending // in hand, and not sent yet
			}
			if _, err := w.deliveries().Record(w.t.Context(), []campaign.Outcome{{DeliveryID: delivery.ID, State: state, At: at}}); err != nil {
				t.Fatal(err)
			}
		}
		reply := events.MessageReceived{Version: 1, SessionID: "ses_a", MessageIn: "m 1\n", Phone: phone, Text: "gracias", At: began.Add(3 * time.Hour)}
		for range 2 {
			if err := inbound.Handle(w.t.Context(), reply); err != nil {
				t.Fatal(err)
			}
		}
		var states []campaign.DeliveryState
		for _, id := range []campaign.ID{"cmp_a", "cmp_b", "cmp_c"} {
			states = append(states, w.all(id)[0].State)
		}
		if !slices.Equal(states, []campaign.DeliveryState{campaign.Sent, campaign.Replied, campaign.Sending}) {
			t.Errorf("the deliveries are %v", states)
		}
		kept, err := campaign.Replies{Documents: w.documents}.List(w.t.Context(), "cmp_b", store.Page{})
		if err != nil || len(kept.Items) != 1 || kept.Items[0].Text != "gracias" {
			t.Errorf("kept %+v, %v", kept.Items, err)
		}
		reply.Phone = "+5491100000000"
		if err := inbound.Handle(w.t.Context(), reply); err != nil {
			t.Errorf("a message of somebody else: %v", err)
		}
		reply.Phone = ""
		if err := inbound.Handle(w.t.Context(), reply); err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a message of a hidden number: %v", err)
		}
	})
}

func TestAnOptOutHoldsForEveryFormOfTheNumber(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.runner(1, quick)
		suppressions := memorySuppressions{memory: w.memory}
		inbound, err := NewInbound(InboundOptions{Campaigns: w.campaigns(), Deliveries: w.deliveries(), Suppressions: suppressions, Documents: w.documents, Sends: &answers{}})
		if err != nil {
			t.Fatal(err)
		}
		// WhatsApp knows the account without the ninth digit.
		wish := events.MessageReceived{Version: 1, SessionID: "ses_a", MessageIn: "m1", Phone: "+551187654321", Text: "sair", At: time.Now()}
		if err := inbound.Handle(w.t.Context(), wish); err != nil {
			t.Fatal(err)
		}
		for i, phone := range []string{"+5511987654321", "+551187654321"} {
			made := campaign.ID(fmt.Sprint("cmp_", i))
			w.planned(made, "ses_a", 1)
			id := campaign.MessageID(made, phone)
			w.memory.mu.Lock()
			w.memory.deliveries[id] = campaign.Delivery{ID: id, CampaignID: made, Sequence: 9, Phone: phone, State: campaign.Pending}
			w.memory.order[made] = append(w.memory.order[made], id)
			w.memory.mu.Unlock()
			w.untilCampaign(made, campaign.Completed)
			same(t, phone, w.counts(made)[campaign.Skipped], 1)
		}
		stranger := &order{hosting: &hosting{host: &Host{options: HostOptions{Documents: w.documents}}},
			request: events.SendRequest{SessionID: "ses_a", Phone: "+5511987654321"}}
		if is, err := stranger.isStranger(w.t.Context()); err != nil || is {
			t.Errorf("who wrote is a stranger: %t, %v", is, err)
		}
	})
}
