package sender

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// InboundOptions are the parts of an Inbound. Those without a stated default are required.
type InboundOptions struct {
	Campaigns    campaign.Store
	Deliveries   campaign.Deliveries
	Suppressions campaign.Suppressions
	Documents    store.Documents
	Sends        Sends
	// Consent says which messages mean "do not write to me"; its zero value has the default words.
	Consent campaign.Consent
	// Log takes what happens, without numbers and texts; nil: it is dropped.
	Log *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Inbound is what becomes of the messages that people write to sessions: who writes is no stranger any more; a reply belongs to the campaign that it
// answers; an opt-out word suppresses the number for everybody, before anything else. Each message may come twice, and several may come at once.
type Inbound struct {
	options InboundOptions
	metrics *inboundMetrics
}

type inboundMetrics struct{ replies, optOuts prometheus.Counter }

// NewInbound checks the options.
func NewInbound(options InboundOptions) (*Inbound, error) {
	if options.Campaigns == nil || options.Deliveries == nil || options.Suppressions == nil || options.Documents == nil || options.Sends == nil {
		return nil, errors.New("inbound: Campaigns, Deliveries, Suppressions, Documents and Sends are required")
	}
	options.Log = orDiscard(options.Log)
	metrics := &inboundMetrics{
		replies: prometheus.NewCounter(prometheus.CounterOpts{Name: "campaign_replies_total", Help: "Messages of recipients that answered a campaign."}),
		optOuts: prometheus.NewCounter(prometheus.CounterOpts{Name: "opt_outs_total", Help: "Numbers that asked not to be written to any more."}),
	}
	if err := register(options.Registerer, metrics.replies, metrics.optOuts); err != nil {
		return nil, err
	}
	return &Inbound{options: options, metrics: metrics}, nil
}

// Handle does all of it for one message. One of whose writer only the hidden id is known can belong to nobody here.
func (i *Inbound) Handle(ctx context.Context, fact events.MessageReceived) error {
	if fact.Phone == "" {
		i.options.Log.WarnContext(ctx, "message of a hidden number belongs to no campaign", "session", string(fact.SessionID))
		return nil
	}
	if err := (campaign.Writers{Documents: i.options.Documents}).Note(ctx, string(fact.SessionID), fact.Phone, fact.At); err != nil {
		return fmt.Errorf("remember who wrote: %w", err)
	}
	optOut := i.options.Consent.IsOptOut(fact.Text)
	if optOut {
		if err := i.optOut(ctx, fact); err != nil {
			return fmt.Errorf("opt a number out: %w", err)
		}
	}
	if err := i.reply(ctx, fact, optOut); err != nil {
		return fmt.Errorf("link a reply to its campaign: %w", err)
	}
	return nil
}

// optOut suppresses the writer's number, writes down the proof, and says so to them once. Each step is safe to repeat: the answer has an id that derives
// from the number, and that it was given, which is remembered last, ends the repetitions.
func (i *Inbound) optOut(ctx context.Context, fact events.MessageReceived) error {
	at, key := fact.At.UTC(), campaign.PersonKey(fact.Phone)
	before, err := i.options.Suppressions.Among(ctx, []string{key})
	if err != nil {
		return err
	}
	err = i.options.Suppressions.Add(ctx, []campaign.Suppression{{Phone: key, Reason: campaign.OptedOut,
		Source: "message to " + string(fact.SessionID), CreatedAt: at}})
	if err != nil {
		return err
	}
	known, err := i.options.Documents.Among(ctx, optOutsFolder, []string{fact.Phone})
	if _, suppressed := before[key]; err != nil || suppressed && len(known) > 0 {
		return err
	}
	entry := campaign.AuditEntry{At: at, Action: campaign.AuditOptOutAdded, Actor: "contact", Subject: fact.Phone,
		Detail: fmt.Sprintf("wrote %q to %s", shortened(fact.Text), fact.SessionID)}
	if err := (campaign.Audit{Documents: i.options.Documents}).Record(ctx, entry); err != nil {
		return err
	}
	if len(known) > 0 { // an operator took the suppression back, and the person asks for it again
		return nil
	}
	if err := i.answer(ctx, fact); err != nil {
		return err
	}
	err = i.options.Documents.Create(ctx, optOutsFolder, store.Document{ID: fact.Phone})
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err == nil {
		i.metrics.optOuts.Inc()
	}
	return err
}

// optOutsFolder remembers who got the answer, also when an operator takes the suppression back and it comes again.
const optOutsFolder = "opt-outs"

// answerTimeout bounds the answer to an opt-out; answerPatience how old a wish may be that is still answered.
const (
	answerTimeout  = time.Minute
	answerPatience = time.Hour
)

// answer tells a person that nobody writes to them any more. What may pass is tried again with the fact; what cannot be sent at all holds the opt-out up
// no longer.
func (i *Inbound) answer(ctx context.Context, fact events.MessageReceived) error {
	if time.Since(fact.At) > answerPatience {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	reply, err := i.options.Sends.RequestSend(ctx, events.SendRequest{Version: events.FactVersion, SessionID: fact.SessionID,
		MessageID: campaign.MessageID("opt-out", fact.Phone), Phone: fact.Phone, Text: i.options.Consent.Reply(),
		Limits: campaign.Limits{Hourly: campaign.NoCap, Daily: campaign.NoCap, DailyNew: campaign.NoCap, RestEvery: campaign.NoCap}}) // it answers somebody
	if err == nil {
		err = reply.Err()
	}
	if err != nil && !fault.Of(err).Redelivered() {
		i.options.Log.WarnContext(ctx, "opt-out could not be answered", "session", string(fact.SessionID), "class", fault.Of(err).Label(), "error", err)
		return nil
	}
	return err
}

// The search for what a message answers: how many campaigns back, and how old they may be.
const (
	searchedCampaigns = 50
	replyWithin       = 30 * 24 * time.Hour
	// clocksDiffer is by how much WhatsApp's times may be off: they are whole seconds.
	clocksDiffer = 2 * time.Second
)

// reply records that a recipient answered. The id of a delivery derives from campaign and number, so that the newest campaigns of the session are asked
// one by one, and no index by number is needed.
func (i *Inbound) reply(ctx context.Context, fact events.MessageReceived, optOut bool) error {
	answered, err := i.answered(ctx, fact)
	if err != nil || answered.ID == "" {
		return err
	}
	reply := campaign.Reply{ID: safeID(fact.MessageIn), DeliveryID: answered.ID, Phone: fact.Phone, Text: fact.Text, At: fact.At.UTC(), OptOut: optOut}
	if err := (campaign.Replies{Documents: i.options.Documents}).Keep(ctx, answered.CampaignID, reply); err != nil {
		return err
	}
	if _, err := i.options.Deliveries.Record(ctx, []campaign.Outcome{{DeliveryID: answered.ID, State: campaign.Replied, At: fact.At.UTC()}}); err != nil {
		return err
	}
	i.metrics.replies.Inc()
	return nil
}

// answered finds the delivery that a message answers: the newest one to its writer that was sent before it. Its id is empty when there is none.
func (i *Inbound) answered(ctx context.Context, fact events.MessageReceived) (campaign.Delivery, error) {
	list, err := i.options.Campaigns.List(ctx, campaign.Filter{SessionID: fact.SessionID}, store.Page{Size: searchedCampaigns})
	if err != nil {
		return campaign.Delivery{}, err
	}
	var newest campaign.Delivery
	for _, found := range list.Items {
		if found.StartedAt.IsZero() || fact.At.Sub(found.StartedAt) > replyWithin && found.State.Ended() {
			continue
		}
		delivery, err := i.deliveryTo(ctx, found.ID, fact.Phone)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return campaign.Delivery{}, err
		}
		// One that a run has in hand may not have left yet: a reply to it would keep it from ever being sent.
		wasSent := delivery.State.Rank() >= campaign.Sent.Rank() || delivery.State == campaign.Unknown
		before := !delivery.SentAt.After(fact.At.Add(clocksDiffer))
		if wasSent && before && (newest.ID == "" || delivery.SentAt.After(newest.SentAt)) {
			newest = delivery
		}
	}
	return newest, nil
}

// deliveryTo finds the delivery of a campaign to a person, by either form of the number.
func (i *Inbound) deliveryTo(ctx context.Context, id campaign.ID, phone string) (campaign.Delivery, error) {
	delivery, err := i.options.Deliveries.Get(ctx, campaign.MessageID(id, phone))
	if key := campaign.PersonKey(phone); errors.Is(err, store.ErrNotFound) && key != phone {
		return i.options.Deliveries.Get(ctx, campaign.MessageID(id, key))
	}
	return delivery, err
}

// safeID makes a name of an id that anybody may have chosen.
func safeID(id string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, id[:min(len(id), 100)])
}

func shortened(text string) string { return text[:min(len(text), 60)] }
