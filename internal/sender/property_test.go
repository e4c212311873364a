package sender

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// chaos answers sends as the seed says, and remembers what happened to each message.
type chaos struct {
	mu     sync.Mutex
	random *rand.Rand
	// arrived counts how often a message reached its recipient; phones has the phone that it was sent to.
	arrived map[string]int
	phones  map[string]string
	broken  []string
}

func (c *chaos) send(ctx context.Context, message session.Outgoing) (time.Time, error) {
	c.mu.Lock()
	if phone, known := c.phones[message.ID]; known && phone != message.Phone {
		c.broken = append(c.broken, fmt.Sprintf("%s was sent to %s and to %s", message.ID, phone, message.Phone))
	}
	c.phones[message.ID] = message.Phone
	dice, takes := c.random.IntN(100), time.Duration(c.random.IntN(50))*time.Millisecond
	c.mu.Unlock()
	interrupted := sleep(ctx, takes) != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	unknown := fault.New(fault.UnknownOutcome, "no_acknowledgement", "WhatsApp did not confirm the message")
	switch {
	case interrupted:
		return time.Time{}, unknown
	case dice < 70:
		c.arrived[message.ID]++
		return time.Now(), nil
	case dice < 75: // it arrived, and the acknowledgement was lost
		c.arrived[message.ID]++
		return time.Time{}, unknown
	case dice < 79:
		return time.Time{}, unknown
	case dice < 84:
		return time.Time{}, fault.New(fault.SkipRecipient, "recipient_not_on_whatsapp", "This number is not on WhatsApp")
	case dice < 90:
		return time.Time{}, fault.New(fault.RetryLater, "server_error", "WhatsApp had an internal error").WithAfter(2 * time.Second)
	case dice < 93:
		return time.Time{}, fault.New(fault.RetryNow, "interrupted", "Nothing was sent")
	case dice < 95:
		return time.Time{}, fault.New(fault.RetryLater, "rate_limited", "WhatsApp asks to slow down").WithAfter(time.Minute)
	case dice < 96:
		return time.Time{}, fault.New(fault.PauseSession, "new_chat_quota", "The quota is used up").WithUntil(time.Now().Add(10 * time.Minute))
	case dice < 98:
		return time.Time{}, fault.New(fault.Internal, "internal", "Something went wrong")
	}
	return time.Time{}, fault.New(fault.Invalid, "phone_not_e164", "The number is wrong")
}

// meddle does, for a while, what people, networks and machines do to running campaigns.
func (w *world) meddle(random *rand.Rand, restart func()) {
	for range 40 {
		time.Sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
		id := campaign.ID(fmt.Sprint("cmp_", random.IntN(3)))
		connection := w.whatsapp.connection("ses_a")
		switch dice := random.IntN(10); {
		case dice < 2:
			w.tries(id, campaign.Pause)
		case dice < 3:
			restart()
		case dice < 4:
			if held := w.leases.held("ses_a"); held != nil {
				held.lose()
			}
		case dice < 6 && connection != nil:
			connection.report(session.Disconnected{})
			time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
			connection.report(session.Connected{})
		case dice < 7 && connection != nil:
			connection.report(session.Ended{Reason: session.ReasonConnectFailure})
		case dice < 8:
			until := time.Now().Add(3 * time.Second)
			w.memory.failWith(func(operation string) error {
				if time.Now().Before(until) {
					return fault.New(fault.RetryLater, "store_unavailable", operation)
				}
				return nil
			})
		default:
			for i := range 3 {
				w.tries(campaign.ID(fmt.Sprint("cmp_", i)), campaign.Resume)
			}
		}
	}
}

// tries does to a campaign what a person may want: it may be refused, or meet a store that does not answer.
func (w *world) tries(id campaign.ID, event campaign.Event) {
	always := func(campaign.Campaign) bool { return true }
	if stored, changed, err := change(w.t.Context(), w.campaigns(), id, always, ending{event: event}); err == nil && changed {
		_ = tellCampaign(w.t.Context(), w.queue, stored) // the sweeper makes up for a job that is not published
	}
}

// TestNothingIsLostWhateverHappens: three campaigns on one session, with every kind of answer, pauses, crashes, moves and outages. In the end no
// delivery is missing or open, no message went to another recipient, whoever was reached is recorded so, and the states add up.
func TestNothingIsLostWhateverHappens(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inWorld(t, func(w *world) {
				random := rand.New(rand.NewPCG(seed, 1))
				happens := &chaos{random: rand.New(rand.NewPCG(seed, 2)), arrived: map[string]int{}, phones: map[string]string{}}
				w.whatsapp.decide(happens.send)
				w.host(nil)
				w.host(nil)
				w.online("ses_a")
				w.sweeper()
				options := func(o *RunnerOptions) { o.Batch, o.Slice = 1+random.IntN(20), 5*time.Second }
				_, stop := w.runner(2, options)
				for i := range 3 {
					w.planned(campaign.ID(fmt.Sprint("cmp_", i)), "ses_a", 120)
				}
				w.meddle(random, func() {
					stop()
					_, stop = w.runner(2, options)
				})
				w.memory.failWith(nil)
				w.until("all campaigns are completed", func() bool {
					done := 0
					for i := range 3 {
						id := campaign.ID(fmt.Sprint("cmp_", i))
						switch found := w.campaign(id); {
						case found.State == campaign.Completed:
							done++
						case found.State == campaign.Paused && found.ResumeAt.IsZero():
							w.person(id, campaign.Resume) // a person has looked at it
						}
					}
					return done == 3
				})
				synctest.Wait()
				w.checkBooks(happens)
			})
		})
	}
}

func (w *world) checkBooks(happened *chaos) {
	w.t.Helper()
	same(w.t, "what must never happen", happened.broken, nil)
	for i := range 3 {
		id := campaign.ID(fmt.Sprint("cmp_", i))
		counts := w.counts(id)
		if counts.Total() != 120 || counts.Open() != 0 {
			w.t.Errorf("%s: %v", id, counts)
		}
		for _, delivery := range w.all(id) {
			arrived := happened.arrived[delivery.ID]
			switch {
			case delivery.ID != campaign.MessageID(id, delivery.Phone):
				w.t.Errorf("delivery %s has another id than its recipient's", delivery.ID)
			case delivery.State == campaign.Sent && arrived == 0:
				w.t.Errorf("%s is recorded as sent and never arrived", delivery.ID)
			case delivery.State == campaign.Skipped && delivery.Class != fault.SkipRecipient,
				delivery.State == campaign.FailedDelivery && delivery.Class == "":
				w.t.Errorf("%s has no reason: %+v", delivery.ID, delivery)
			}
		}
	}
}
