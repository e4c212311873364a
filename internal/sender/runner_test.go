package sender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// quick takes many deliveries at once, as a runner without pacing does.
func quick(o *RunnerOptions) { o.Batch = 64 }

// each refuses messages by their ids.
func (w *world) each(decide func(id string, attempt int) error) {
	var mu sync.Mutex
	attempts := map[string]int{}
	w.whatsapp.decide(func(_ context.Context, message session.Outgoing) (time.Time, error) {
		mu.Lock()
		attempts[message.ID]++
		attempt := attempts[message.ID]
		mu.Unlock()
		return time.Now(), decide(message.ID, attempt)
	})
}

// once checks that each recipient of a campaign got its own message, once, in the order of the plan.
func (w *world) once(id campaign.ID, recipients int) {
	w.t.Helper()
	var got, want []string
	for _, one := range w.whatsapp.messages() {
		got = append(got, one.message.ID+" "+one.message.Phone+" "+one.message.Text)
	}
	for _, delivery := range w.all(id) {
		want = append(want, fmt.Sprintf("%s %s Hola Nombre %d", delivery.ID, delivery.Phone, delivery.Sequence))
	}
	same(w.t, "recipients", len(want), recipients)
	same(w.t, "messages", got, want)
}

func TestCampaignRunsToItsEnd(t *testing.T) {
	for name, batch := range map[string]int{"one at a time": 1, "in batches": 64} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.host(nil)
				w.online("ses_a")
				w.runner(1, func(o *RunnerOptions) { o.Batch = batch })
				w.planned("cmp_a", "ses_a", 150)
				w.untilCampaign("cmp_a", campaign.Completed)
				w.once("cmp_a", 150)
				same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 150})
				same(t, "told", w.queue.campaignStates("cmp_a"), []campaign.State{campaign.Queued, campaign.Running, campaign.Completed})
				ended := w.campaign("cmp_a")
				if ended.StartedAt.IsZero() || ended.EndedAt.IsZero() || ended.Reason != "" {
					t.Errorf("%+v", ended)
				}
			})
		})
	}
}

func TestCampaignWithoutRecipientsIsComplete(t *testing.T) {
	inWorld(t, func(w *world) {
		w.runner(1, nil)
		w.planned("cmp_a", "ses_a", 0)
		w.untilCampaign("cmp_a", campaign.Completed)
	})
}

func TestPausedCampaignStopsWithinOneMessage(t *testing.T) {
	for name, paced := range map[string]bool{"paced": true, "not paced": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				var rules campaign.Limits
				batch := quick
				if paced {
					rules, batch = campaign.Limits{MinGap: 4 * time.Second, MaxGap: 9 * time.Second}, nil
				}
				w.host(func(o *HostOptions) { o.Limits = rules })
				w.online("ses_a")
				w.whatsapp.taking(20 * time.Millisecond)
				_, stop := w.runner(1, batch)
				w.planned("cmp_a", "ses_a", 1000)
				w.until("a third is sent", func() bool { return len(w.whatsapp.messages()) >= 333 })
				w.person("cmp_a", campaign.Pause)
				before := len(w.whatsapp.messages())
				time.Sleep(time.Hour)
				synctest.Wait()
				sent := len(w.whatsapp.messages())
				if sent > before+1 {
					t.Errorf("%d messages were sent after the pause, want at most the one in hand", sent-before)
				}
				same(t, "recorded", w.counts("cmp_a")[campaign.Sent], sent)
				if waiting, _ := w.queue.Waiting(w.t.Context(), "commands.campaign.cmp_a"); waiting {
					t.Error("the paused campaign keeps its place")
				}
				stop() // another worker goes on with it
				w.runner(1, batch)
				w.person("cmp_a", campaign.Resume)
				w.untilCampaign("cmp_a", campaign.Completed)
				w.once("cmp_a", 1000)
				same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 1000})
			})
		})
	}
}

// TestPausedAgainAndAgainNothingIsLost: a pause leaves claimed deliveries behind, however often.
func TestPausedAgainAndAgainNothingIsLost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(10 * time.Millisecond)
		w.runner(1, quick)
		w.planned("cmp_a", "ses_a", 100)
		for range 15 {
			time.Sleep(35 * time.Millisecond)
			w.person("cmp_a", campaign.Pause)
			time.Sleep(35 * time.Millisecond)
			w.person("cmp_a", campaign.Resume)
		}
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 100)
	})
}

// TestPauseAndResumeBetweenTwoMessages: the old run must notice that another one has taken over.
func TestPauseAndResumeBetweenTwoMessages(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(func(o *HostOptions) { o.Limits = campaign.Limits{MinGap: 5 * time.Second, MaxGap: 5 * time.Second} })
		w.online("ses_a")
		w.runner(2, nil)
		w.planned("cmp_a", "ses_a", 10)
		time.Sleep(12 * time.Second)
		w.person("cmp_a", campaign.Pause)
		w.person("cmp_a", campaign.Resume)
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 10})
		// The message in hand may be repeated by the new run, under its own id; nothing else.
		if sent := len(w.whatsapp.messages()); sent > 11 {
			t.Errorf("%d messages for 10 recipients: two runs went on", sent)
		}
	})
}

func TestCancelledCampaignStopsWithinOneMessageAndIsSettled(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(20 * time.Millisecond)
		w.runner(1, quick)
		w.planned("cmp_a", "ses_a", 300)
		w.until("some are sent", func() bool { return len(w.whatsapp.messages()) >= 70 })
		w.person("cmp_a", campaign.Cancel)
		before := len(w.whatsapp.messages())
		time.Sleep(time.Minute)
		synctest.Wait()
		sent := len(w.whatsapp.messages())
		if sent > before+1 {
			t.Errorf("%d messages were sent after the cancel", sent-before)
		}
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: sent, campaign.Skipped: 300 - sent})
		same(t, "told", w.queue.campaignStates("cmp_a"), []campaign.State{campaign.Queued, campaign.Running, campaign.Cancelled})
	})
}

func TestCancelWhilePausedSettlesWhatWasClaimed(t *testing.T) {
	for name, late := range map[string]bool{"told": false, "found at the start": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.host(nil)
				w.online("ses_a")
				w.whatsapp.taking(20 * time.Millisecond)
				w.runner(1, quick)
				if !late {
					w.sweeper()
				}
				w.planned("cmp_a", "ses_a", 100)
				time.Sleep(100 * time.Millisecond)
				w.person("cmp_a", campaign.Pause)
				time.Sleep(time.Minute)
				if w.counts("cmp_a")[campaign.Sending] == 0 {
					t.Fatal("the pause left nothing claimed, so this test proves nothing")
				}
				w.person("cmp_a", campaign.Cancel)
				if late {
					w.sweeper()
				}
				synctest.Wait()
				counts := w.counts("cmp_a")
				same(t, "open", counts.Open(), 0)
				same(t, "total", counts.Total(), 100)
			})
		})
	}
}

// TestCrashRepeatsOnlyWhatWasBeingSent: a run ends without a word, and another one begins.
func TestCrashRepeatsOnlyWhatWasBeingSent(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(20 * time.Millisecond)
		_, stop := w.runner(1, quick)
		w.planned("cmp_a", "ses_a", 200)
		time.Sleep(1700 * time.Millisecond)
		// From here on the process writes nothing any more: it is dead, and only the queue has not noticed yet.
		w.memory.failWith(func(operation string) error {
			if operation == "record" || operation == "update campaign" {
				return errors.New("killed")
			}
			return nil
		})
		stop()
		synctest.Wait()
		w.memory.failWith(nil)
		sending := map[string]bool{}
		for _, delivery := range w.all("cmp_a") {
			sending[delivery.ID] = delivery.State == campaign.Sending
		}
		first := w.whatsapp.messages()
		same(t, "state", w.campaign("cmp_a").State, campaign.Running)
		w.runner(1, quick)
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 200})
		seen, repeated := map[string]bool{}, 0
		for _, one := range first {
			seen[one.message.ID] = true
		}
		for _, one := range w.whatsapp.messages()[len(first):] {
			if seen[one.message.ID] {
				repeated++
				if !sending[one.message.ID] {
					t.Errorf("%s was recorded as sent, and sent again", one.message.ID)
				}
			}
			seen[one.message.ID] = true
		}
		same(t, "recipients reached", len(seen), 200)
		if repeated > 12 { // those of 200 ms, the first and the last included, and the one in hand
			t.Errorf("%d messages were repeated", repeated)
		}
	})
}

func TestLongCampaignMakesRoomForOthers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Second)
		w.runner(1, func(o *RunnerOptions) { o.Slice, o.Batch = 10*time.Second, 64 })
		w.planned("cmp_long", "ses_a", 100)
		time.Sleep(time.Second)
		w.planned("cmp_short", "ses_a", 3)
		w.untilCampaign("cmp_short", campaign.Completed)
		if sent := w.counts("cmp_long")[campaign.Sent]; sent > 15 {
			t.Errorf("the short campaign waited for %d messages of the long one", sent)
		}
		w.untilCampaign("cmp_long", campaign.Completed)
		same(t, "messages", len(w.whatsapp.messages()), 103)
		if slices := w.campaign("cmp_long").Slice; slices < 9 || slices > 12 {
			t.Errorf("100 s of work took %d slices of 10 s", slices)
		}
	})
}

func TestJobsThatAreOutOfDateAreDone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		runner, stop := w.runner(1, nil)
		w.planned("cmp_a", "ses_a", 3)
		w.untilCampaign("cmp_a", campaign.Completed)
		stop()
		for name, job := range map[string]events.RunCampaign{
			"of an ended campaign":         {CampaignID: "cmp_a", SessionID: "ses_a", Slice: 1},
			"of a slice that never was":    {CampaignID: "cmp_a", SessionID: "ses_a", Slice: 7},
			"of a campaign that is gone":   {CampaignID: "cmp_gone", SessionID: "ses_a", Slice: 1},
			"of a campaign that is paused": {CampaignID: "cmp_paused", SessionID: "ses_a", Slice: 1},
		} {
			if strings.Contains(name, "paused") {
				w.planned("cmp_paused", "ses_a", 3)
				w.person("cmp_paused", campaign.Pause)
			}
			if err := runner.Handle(w.t.Context(), job); err != nil {
				t.Errorf("job %s: %v", name, err)
			}
		}
		same(t, "messages", len(w.whatsapp.messages()), 3)
	})
}

// TestNextJobThatWasNotPublishedIsMadeUpFor: the campaign was queued for its next slice, and the worker died before it published the job.
func TestNextJobThatWasNotPublishedIsMadeUpFor(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.planned("cmp_a", "ses_a", 3)
		always := func(campaign.Campaign) bool { return true }
		for _, event := range []campaign.Event{campaign.Start, campaign.Queue} {
			if _, _, err := change(w.t.Context(), w.campaigns(), "cmp_a", always, ending{event: event}); err != nil {
				t.Fatal(err)
			}
		}
		w.runner(1, nil)
		w.untilCampaign("cmp_a", campaign.Completed)
	})
}

func TestJobOfTheNextSliceWaitsForTheRunBefore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Second)
		w.runner(64, nil)
		w.planned("cmp_a", "ses_a", 5)
		time.Sleep(1500 * time.Millisecond)
		w.person("cmp_a", campaign.Pause)
		w.person("cmp_a", campaign.Resume) // the message in hand takes another half a second
		began := time.Now()
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "messages", len(w.whatsapp.messages()), 5)
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the campaign went on so late that it ended after %s", took)
		}
	})
}

func TestJobThatCameTwiceIsNotRunTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Second)
		runner, _ := w.runner(1, nil)
		w.planned("cmp_a", "ses_a", 5)
		time.Sleep(1500 * time.Millisecond)
		err := runner.Handle(w.t.Context(), events.RunCampaign{CampaignID: "cmp_a", SessionID: "ses_a", Slice: 1})
		if err != nil {
			t.Errorf("the second of two deliveries of a job ended with %v", err)
		}
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "messages", len(w.whatsapp.messages()), 5)
	})
}

func TestUnknownOutcomeIsRepeatedUnderTheSameIDAtTheEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.planned("cmp_a", "ses_a", 5)
		never, second := w.all("cmp_a")[1].ID, w.all("cmp_a")[3].ID
		var mu sync.Mutex
		var order []string
		w.each(func(id string, attempt int) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, id)
			if id == never || id == second && attempt == 1 {
				return fault.New(fault.UnknownOutcome, "no_acknowledgement", "WhatsApp did not confirm the message")
			}
			return nil
		})
		w.runner(1, quick)
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 4, campaign.FailedDelivery: 1})
		same(t, "order", order[5:], []string{never, second, never})
		given := w.all("cmp_a")[1]
		if given.Class != fault.UnknownOutcome || given.Code != "no_acknowledgement" || given.Attempts != DefaultMaxAttempts {
			t.Errorf("%+v", given)
		}
	})
}

// TestAMessageThatWaitedIsSentAsOftenAsAnother: what a slice has no time for is taken again by the next one, and was not sent for that.
func TestAMessageThatWaitedIsSentAsOftenAsAnother(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.planned("cmp_a", "ses_a", 50)
		last := w.all("cmp_a")[49].ID
		w.each(func(id string, attempt int) error {
			time.Sleep(time.Second)
			if id == last && attempt < DefaultMaxAttempts {
				return fault.New(fault.UnknownOutcome, "no_acknowledgement", "WhatsApp did not confirm the message")
			}
			return nil
		})
		w.runner(1, func(o *RunnerOptions) { o.Slice, o.Batch = 10*time.Second, 64 })
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 50})
		same(t, "attempts", w.all("cmp_a")[49].Attempts, DefaultMaxAttempts)
	})
}

func TestReceiptSettlesAnUnknownOutcome(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.planned("cmp_a", "ses_a", 3)
		first := w.all("cmp_a")[0].ID
		w.each(func(id string, attempt int) error {
			if id != first {
				return nil
			}
			_, err := w.deliveries().Record(w.t.Context(), []campaign.Outcome{{DeliveryID: id, State: campaign.Delivered, At: time.Now()}})
			if err != nil {
				t.Error(err)
			}
			return fault.New(fault.UnknownOutcome, "no_acknowledgement", "WhatsApp did not confirm the message")
		})
		w.runner(1, quick)
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 2, campaign.Delivered: 1})
		same(t, "attempts", w.all("cmp_a")[0].Attempts, 1)
	})
}

func TestRecipientsThatAreRefusedDoNotStopTheOthers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.planned("cmp_a", "ses_a", 6)
		all := w.all("cmp_a")
		refusals := map[string]*fault.Error{
			all[0].ID: fault.New(fault.SkipRecipient, "recipient_not_on_whatsapp", "This number is not on WhatsApp"),
			all[2].ID: fault.New(fault.Invalid, "phone_not_e164", "The number is not in international form"),
			all[4].ID: fault.New(fault.RetryLater, "recipient_keys_missing", "No keys").WithAfter(5 * time.Second),
		}
		w.each(func(id string, _ int) error {
			if refusal := refusals[id]; refusal != nil {
				return refusal
			}
			return nil
		})
		_, stop := w.runner(1, quick)
		defer stop()
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 3, campaign.Skipped: 1, campaign.FailedDelivery: 2})
		for id, refusal := range refusals {
			delivery, err := w.deliveries().Get(w.t.Context(), id)
			if err != nil || delivery.Class != refusal.Class || delivery.Code != refusal.Code || delivery.Reason != refusal.Message {
				t.Errorf("%+v, want %v", delivery, refusal)
			}
		}
	})
}

// TestNoRecipientFailsByTroubleOfOurOwn: a disk that is full for some seconds says nothing about those whose turn it is.
func TestNoRecipientFailsByTroubleOfOurOwn(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.planned("cmp_a", "ses_a", 50)
		full := time.Now().Add(5 * time.Second)
		w.each(func(string, int) error {
			if len(w.whatsapp.messages()) >= 5 && time.Now().Before(full) {
				return errors.New("count against the caps: disk full")
			}
			return nil
		})
		w.runner(1, quick)
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 50})
	})
}

func TestConsecutiveFailuresPauseTheCampaign(t *testing.T) {
	for name, row := range map[string]struct {
		failure *fault.Error
		resumes bool
	}{
		"that stay":  {fault.New(fault.Internal, "internal", "Something went wrong"), false},
		"that pass":  {fault.New(fault.RetryLater, "server_error", "WhatsApp had an internal error").WithAfter(5 * time.Second), true},
		"refused":    {fault.New(fault.Invalid, "message_refused", "WhatsApp refused the message"), false},
		"not proven": {fault.New(fault.UnknownOutcome, "no_acknowledgement", "WhatsApp did not confirm the message"), false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.host(nil)
				w.online("ses_a")
				w.planned("cmp_a", "ses_a", 50)
				var sent int
				w.each(func(string, int) error {
					if sent++; sent <= 5 {
						return nil
					}
					return row.failure
				})
				w.runner(1, quick)
				w.sweeper()
				w.untilCampaign("cmp_a", campaign.Paused)
				paused := w.campaign("cmp_a")
				same(t, "reason", paused.Reason, reasonFailures)
				same(t, "resumes by itself", !paused.ResumeAt.IsZero(), row.resumes)
				// What passes is tried several times, so that fewer recipients make as many failures.
				counts := w.counts("cmp_a")
				if failed := counts[campaign.FailedDelivery] + counts[campaign.Unknown]; failed < 1 || failed > DefaultConsecutiveFailures {
					t.Errorf("%d recipients got nothing", failed)
				}
				w.whatsapp.decide(nil)
				if !row.resumes {
					time.Sleep(time.Hour)
					same(t, "state", w.campaign("cmp_a").State, campaign.Paused)
					w.person("cmp_a", campaign.Resume)
				}
				w.untilCampaign("cmp_a", campaign.Completed)
				same(t, "open", w.counts("cmp_a").Open(), 0)
			})
		})
	}
}

func TestLimitOfTheSessionPausesTheCampaignUntilItEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.runner(1, quick)
		w.sweeper()
		until := time.Now().Add(3 * time.Hour).UTC()
		w.each(func(string, int) error {
			if time.Now().Before(until) && len(w.whatsapp.messages()) == 5 {
				return fault.New(fault.PauseSession, "new_chat_quota", "The account has used up its new chats").WithUntil(until)
			}
			return nil
		})
		w.planned("cmp_a", "ses_a", 10)
		w.untilCampaign("cmp_a", campaign.Paused)
		paused := w.campaign("cmp_a")
		if paused.Reason != "new_chat_quota" || !paused.ResumeAt.Equal(until) {
			t.Errorf("paused %q until %s", paused.Reason, paused.ResumeAt)
		}
		w.untilCampaign("cmp_a", campaign.Completed)
		if time.Now().Before(until) {
			t.Error("it went on before the limit was over")
		}
		w.once("cmp_a", 10)
	})
}

func TestCampaignOfALockedSessionGoesOnWhenTheLockIsLifted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Second)
		w.runner(1, quick)
		w.sweeper()
		w.planned("cmp_a", "ses_a", 10)
		time.Sleep(2500 * time.Millisecond)
		w.whatsapp.connection("ses_a").report(session.Restricted{Active: true, Until: time.Now().Add(100 * time.Hour)})
		time.Sleep(time.Hour)
		same(t, "state", w.campaign("cmp_a").State, campaign.Paused)
		same(t, "reason", w.campaign("cmp_a").Reason, string(session.ReasonReachOutLock))
		if sent := len(w.whatsapp.messages()); sent > 3 {
			t.Errorf("%d messages were sent under the lock", sent-2)
		}
		w.whatsapp.connection("ses_a").report(session.Restricted{Active: false})
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 10)
	})
}

func TestLoggedOutSessionPausesItsCampaignsUntilItIsLinkedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Second)
		w.runner(2, nil)
		w.sweeper()
		w.planned("cmp_a", "ses_a", 10)
		w.planned("cmp_b", "ses_a", 10)
		time.Sleep(3500 * time.Millisecond)
		w.whatsapp.connection("ses_a").report(session.Ended{Reason: session.ReasonRemoved})
		time.Sleep(time.Hour)
		for _, id := range []campaign.ID{"cmp_a", "cmp_b"} {
			same(t, "state", w.campaign(id).State, campaign.Paused)
			same(t, "reason", w.campaign(id).Reason, string(session.ReasonRemoved))
			same(t, "failed", w.counts(id)[campaign.FailedDelivery], 0)
		}
		w.changeSession("ses_a", func(s *session.Session) { s.State, s.Device = session.Offline, session.Device{JID: "new"} })
		w.untilCampaign("cmp_a", campaign.Completed)
		w.untilCampaign("cmp_b", campaign.Completed)
		same(t, "sent", w.counts("cmp_a")[campaign.Sent]+w.counts("cmp_b")[campaign.Sent], 20)
	})
}

func TestCampaignOfASessionThatCannotSendIsPausedNotFailed(t *testing.T) {
	for _, row := range []struct {
		name    string
		session func(*session.Session)
		reason  string
		resumes bool
	}{
		{"logged out", func(s *session.Session) { s.State, s.Reason = session.LoggedOut, session.ReasonBanned }, "account_banned", true},
		{"never linked", func(s *session.Session) { s.State = session.New }, "new", true},
		{"outdated", func(s *session.Session) { s.State = session.Outdated }, "outdated", true},
		{"replaced", func(s *session.Session) { s.State, s.Reason = session.Replaced, session.ReasonReplaced }, "connection_replaced", true},
		{"being removed", func(s *session.Session) { s.State = session.Removing }, "unlinked_by_operator", false},
		{"not hosted by anybody", func(s *session.Session) { s.State = session.Offline }, "session_not_hosted", true},
		{"said to be ready, but not hosted", func(s *session.Session) { s.State = session.Ready }, "session_not_hosted", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.linked("ses_a")
				w.changeSession("ses_a", row.session)
				w.runner(1, quick)
				w.planned("cmp_a", "ses_a", 3)
				w.untilCampaign("cmp_a", campaign.Paused)
				paused := w.campaign("cmp_a")
				same(t, "reason", paused.Reason, row.reason)
				same(t, "resumes by itself", !paused.ResumeAt.IsZero(), row.resumes)
				if waiting, _ := w.queue.Waiting(w.t.Context(), "commands.campaign.cmp_a"); waiting {
					t.Error("the campaign keeps its place")
				}
				same(t, "settled", w.counts("cmp_a").Open(), 3)
			})
		})
	}
	t.Run("deleted", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.runner(1, quick)
			w.planned("cmp_a", "ses_gone", 3)
			w.untilCampaign("cmp_a", campaign.Paused)
			same(t, "reason", w.campaign("cmp_a").Reason, "unlinked_by_operator")
		})
	})
}

// TestSessionThatMovesHoldsItsCampaignUpForAMoment: a clean stop of the host, and a crash of it.
func TestSessionThatMovesHoldsItsCampaignUpForAMoment(t *testing.T) {
	inWorld(t, func(w *world) {
		old := w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(100 * time.Millisecond)
		w.runner(1, quick)
		w.sweeper()
		w.planned("cmp_a", "ses_a", 100)
		time.Sleep(3 * time.Second)
		w.host(nil)
		old.stop()
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 100)
		same(t, "told", w.queue.campaignStates("cmp_a"), []campaign.State{campaign.Queued, campaign.Running, campaign.Completed})
	})
}

func TestSessionWithoutAHostForLongPausesItsCampaignAndResumesIt(t *testing.T) {
	inWorld(t, func(w *world) {
		old := w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(100 * time.Millisecond)
		w.runner(1, quick)
		w.sweeper()
		w.planned("cmp_a", "ses_a", 100)
		time.Sleep(3 * time.Second)
		old.stop()
		w.untilCampaign("cmp_a", campaign.Paused)
		same(t, "reason", w.campaign("cmp_a").Reason, "session_not_hosted")
		time.Sleep(time.Hour)
		same(t, "state", w.campaign("cmp_a").State, campaign.Paused)
		w.host(nil)
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 100)
	})
}

func TestRateLimitHoldsTheWholeCampaignUp(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.runner(1, quick)
		w.sweeper()
		w.planned("cmp_a", "ses_a", 20)
		limitedAt := w.all("cmp_a")[10].ID
		w.each(func(id string, attempt int) error {
			if id == limitedAt && attempt == 1 {
				return fault.New(fault.RetryLater, "rate_limited", "WhatsApp asks to slow down").WithAfter(time.Minute)
			}
			return nil
		})
		w.untilCampaign("cmp_a", campaign.Paused)
		same(t, "reason", w.campaign("cmp_a").Reason, "rate_limited")
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 20)
		sent := w.whatsapp.messages()
		if gap := sent[10].at.Sub(sent[9].at); gap < time.Minute {
			t.Errorf("it went on after %s", gap)
		}
	})
}

func TestSuppressedRecipientIsSkipped(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(500 * time.Millisecond)
		w.planned("cmp_a", "ses_a", 20)
		suppress := func(sequence int, reason string) {
			phone := w.all("cmp_a")[sequence-1].Phone
			w.memory.mu.Lock()
			defer w.memory.mu.Unlock()
			w.memory.suppressed[phone] = campaign.Suppression{Phone: phone, Reason: reason}
		}
		suppress(1, "blocked")
		w.runner(1, quick)
		time.Sleep(3 * time.Second)
		suppress(12, "opt_out") // while its batch is being sent
		w.untilCampaign("cmp_a", campaign.Completed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 18, campaign.Skipped: 2})
		same(t, "codes", []string{w.all("cmp_a")[0].Code, w.all("cmp_a")[11].Code}, []string{"suppressed_blocked", "suppressed_opt_out"})
		if w.memory.asked > 15 {
			t.Errorf("asked %d times in 9 s", w.memory.asked)
		}
	})
}

func TestCampaignWhoseTextDoesNotHoldFails(t *testing.T) {
	inWorld(t, func(w *world) {
		w.runner(1, nil)
		w.planned("cmp_a", "ses_a", 3)
		w.memory.mu.Lock()
		broken := w.memory.campaigns["cmp_a"]
		broken.Text = "{{"
		w.memory.campaigns["cmp_a"] = broken
		w.memory.mu.Unlock()
		w.untilCampaign("cmp_a", campaign.Failed)
		same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.FailedDelivery: 3})
		if w.campaign("cmp_a").Reason == "" {
			t.Error("no reason")
		}
	})
}

func TestStoppingWorkerEndsBehindTheMessageInHand(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Second)
		runner, err := NewRunner(RunnerOptions{Sessions: w.sessions(), Campaigns: w.campaigns(), Deliveries: w.deliveries(),
			Suppressions: memorySuppressions{memory: w.memory}, Queue: w.queue, Sends: w.queue, Batch: 64})
		if err != nil {
			t.Fatal(err)
		}
		stop := w.start(runner.Run)
		handled := make(chan error, 1)
		w.planned("cmp_a", "ses_a", 10)
		job, _ := w.queue.take(w.t.Context())
		go func() { handled <- runner.Handle(w.t.Context(), job) }()
		time.Sleep(2500 * time.Millisecond)
		began := time.Now()
		stop()
		if err := <-handled; err != nil || time.Since(began) > time.Second {
			t.Errorf("ended with %v after %s", err, time.Since(began))
		}
		same(t, "state", w.campaign("cmp_a").State, campaign.Queued)
		same(t, "sent", w.counts("cmp_a")[campaign.Sent], 3)
		w.queue.settle(w.t.Context(), job, nil)
		w.runner(1, quick)
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 10)
	})
}

// The holder of the session died with the message, so that its answer never comes.
func TestStoppingWorkerDoesNotStayForAnAnswerThatNeverComes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		runner, err := NewRunner(RunnerOptions{Sessions: w.sessions(), Campaigns: w.campaigns(), Deliveries: w.deliveries(),
			Suppressions: memorySuppressions{memory: w.memory}, Queue: w.queue, Sends: unansweredSends{w.queue}, Batch: 64})
		if err != nil {
			t.Fatal(err)
		}
		stop := w.start(runner.Run)
		handled := make(chan error, 1)
		w.planned("cmp_a", "ses_a", 10)
		job, _ := w.queue.take(w.t.Context())
		go func() { handled <- runner.Handle(w.t.Context(), job) }()
		time.Sleep(10 * time.Second)
		began := time.Now()
		stop()
		if err := <-handled; err != nil || time.Since(began) != lastMessageTime {
			t.Errorf("ended with %v after %s", err, time.Since(began))
		}
		same(t, "state", w.campaign("cmp_a").State, campaign.Queued)
		same(t, "open", w.counts("cmp_a").Open(), 10)
		w.queue.settle(w.t.Context(), job, nil)
		w.runner(1, quick)
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 10)
	})
}

// unansweredSends is a queue on which no request to send is ever answered.
type unansweredSends struct{ Sends }

func (unansweredSends) RequestSend(ctx context.Context, _ events.SendRequest) (events.SendReply, error) {
	<-ctx.Done()
	return events.SendReply{}, ctx.Err()
}

func TestInterruptedJobIsHandedBackWithItsOutcomes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(time.Second)
		runner, stop := w.runner(0, quick)
		stop()
		w.planned("cmp_a", "ses_a", 10)
		job, _ := w.queue.take(w.t.Context())
		ctx, interrupt := context.WithTimeout(w.t.Context(), 2500*time.Millisecond)
		defer interrupt()
		err := runner.Handle(ctx, job)
		if !errors.Is(err, context.DeadlineExceeded) || fault.Of(err) != fault.RetryLater {
			t.Errorf("ended with %v", err)
		}
		same(t, "sent", w.counts("cmp_a")[campaign.Sent], 2)
		same(t, "open", w.counts("cmp_a").Open(), 8)
	})
}

func TestStoreThatFailsEndsTheSliceAndLosesNothing(t *testing.T) {
	for _, broken := range []string{"claim", "record", "get campaign", "count deliveries", "read suppressions", "update campaign", "get session"} {
		t.Run(broken, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.host(nil)
				w.online("ses_a")
				w.runner(1, quick)
				w.sweeper()
				w.whatsapp.taking(10 * time.Millisecond)
				w.planned("cmp_a", "ses_a", 200)
				// From the third call on, three calls fail.
				calls := 0
				w.memory.failWith(func(operation string) error {
					if operation == broken {
						if calls++; calls > 2 && calls <= 5 {
							return fault.New(fault.RetryLater, "store_unavailable", "The store does not answer")
						}
					}
					return nil
				})
				w.untilCampaign("cmp_a", campaign.Completed)
				same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 200})
			})
		})
	}
}

func TestQueueThatFailsEndsTheSliceAndLosesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(10 * time.Millisecond)
		w.runner(1, func(o *RunnerOptions) { o.Batch, o.Slice = 64, time.Second })
		w.sweeper()
		refused := 0
		w.queue.refuseFacts(func(fact events.Fact) error {
			if _, ok := fact.(events.CampaignChanged); ok {
				if refused++; refused%2 == 0 {
					return fault.New(fault.RetryLater, "queue_unavailable", "The queue does not answer")
				}
			}
			return nil
		})
		w.planned("cmp_a", "ses_a", 500)
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 500)
	})
}

func TestRunnerOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	m, q := newMemory(), newQueue()
	good := RunnerOptions{Sessions: memorySessions{m}, Campaigns: memoryCampaigns{m}, Deliveries: memoryDeliveries{memory: m},
		Suppressions: memorySuppressions{memory: m}, Queue: q, Sends: q}
	if _, err := NewRunner(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*RunnerOptions){
		"no store":            func(o *RunnerOptions) { o.Deliveries = nil },
		"no queue":            func(o *RunnerOptions) { o.Queue = nil },
		"a batch too long":    func(o *RunnerOptions) { o.Batch = campaign.MaxBatch + 1 },
		"a negative batch":    func(o *RunnerOptions) { o.Batch = -1 },
		"a negative patience": func(o *RunnerOptions) { o.Patience = -1 },
	} {
		options := good
		spoil(&options)
		if _, err := NewRunner(options); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
}

func TestOutcomesAreRecordedSoonAndInBatches(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(10 * time.Millisecond)
		w.runner(1, func(o *RunnerOptions) { o.Batch = 500 })
		w.planned("cmp_a", "ses_a", 400)
		for w.campaign("cmp_a").State != campaign.Completed {
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			sent, recorded := len(w.whatsapp.messages()), w.counts("cmp_a")[campaign.Sent]
			if behind := sent - recorded; behind > 21 {
				t.Fatalf("%d sent, %d recorded: more than 200 ms behind", sent, recorded)
			}
		}
		if writes := len(w.memory.recorded); writes > 25 {
			t.Errorf("%d writes in 4 s", writes)
		}
		if longest := slices.Max(w.memory.recorded); longest < 10 {
			t.Errorf("the longest batch had %d outcomes", longest)
		}
	})
}

// slowClaims takes deliveries as slowly as a database far away.
type slowClaims struct {
	campaign.Deliveries
	takes  time.Duration
	claims atomic.Int32
}

func (s *slowClaims) Claim(ctx context.Context, claim campaign.Claim) ([]campaign.Delivery, error) {
	s.claims.Add(1)
	time.Sleep(s.takes)
	return s.Deliveries.Claim(ctx, claim)
}

func TestTheNextBatchIsTakenWhileMessagesAreSent(t *testing.T) {
	inWorld(t, func(w *world) {
		w.host(nil)
		w.online("ses_a")
		w.whatsapp.taking(10 * time.Millisecond)
		slow := &slowClaims{Deliveries: w.deliveries(), takes: 300 * time.Millisecond}
		w.runner(1, func(o *RunnerOptions) { o.Batch, o.Deliveries = 64, slow })
		w.planned("cmp_a", "ses_a", 150)
		w.untilCampaign("cmp_a", campaign.Completed)
		w.once("cmp_a", 150)
		same(t, "claims, of 16, 32, 64 and what is left", slow.claims.Load(), 4)
		ended := w.campaign("cmp_a")
		// One after the other it would be 150 messages and four claims, 2.7 s.
		if took := ended.EndedAt.Sub(ended.StartedAt); took > 2300*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
}

// A broker that was killed may forget that a worker has a job, and give it to another one.
func TestTwoWorkersWithOneJobDoNotBothRunIt(t *testing.T) {
	for name, batch := range map[string]int{"one at a time": 1, "in batches": 4} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.host(nil)
				w.online("ses_a")
				w.whatsapp.taking(time.Second)
				w.planned("cmp_a", "ses_a", 30)
				job, _ := w.queue.take(w.t.Context())
				var workers errgroup.Group
				for range 2 {
					runner, err := NewRunner(RunnerOptions{Sessions: w.sessions(), Campaigns: w.campaigns(), Deliveries: w.deliveries(),
						Suppressions: memorySuppressions{memory: w.memory}, Queue: w.queue, Sends: w.queue, Batch: batch})
					if err != nil {
						t.Fatal(err)
					}
					workers.Go(func() error { return runner.Handle(w.t.Context(), job) })
					time.Sleep(5500 * time.Millisecond)
				}
				if err := workers.Wait(); err != nil {
					t.Error(err)
				}
				same(t, "state", w.campaign("cmp_a").State, campaign.Completed)
				same(t, "counts", w.counts("cmp_a"), campaign.Counts{campaign.Sent: 30})
				// The batch in hand, and what was just sent and is not written down.
				if again := len(w.whatsapp.messages()) - 30; again > batch+1 {
					t.Errorf("%d messages were sent again, with batches of %d", again, batch)
				}
			})
		})
	}
}
