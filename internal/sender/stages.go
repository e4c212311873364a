package sender

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// A message goes through these stages, in this order, whoever asked for it:
//
//	gate     may this campaign and this recipient be written to now?     (runner)
//	compose  fill the text                                               (runner)
//	hand     ask the holder of the session                               (runner → host)
//	gate     may this session send now?                                  (host)
//	pace     wait for the session's turn                                 (host)
//	send     resolve the recipient and send                              (host)
//	record   write down what came of it                                  (runner)
//
// A stage that gives an error ends the errand; record sees every end.

// errand is one message on its way. The runner fills delivery and template, the host request; each stage reads what the ones before it
// wrote.
type errand struct {
	run      *run
	delivery campaign.Delivery
	hosting  *hosting
	request  events.SendRequest
	sentAt   time.Time
}

// stage is one step of an errand.
type stage struct {
	name string
	run  func(ctx context.Context, e *errand) error
}

func runStages(ctx context.Context, e *errand, stages []stage) error {
	for _, stage := range stages {
		if err := stage.run(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// runnerStages are the stages before the holder of the session.
func runnerStages() []stage {
	return []stage{
		{"gate", gateRecipient},
		{"compose", compose},
		{"hand", hand},
	}
}

// hostStages are the stages at the holder of the session.
func hostStages() []stage {
	return []stage{
		{"gate", gateSession},
		{"pace", paceSession},
		{"gate", gateSession}, // the wait may have been long
		{"send", send},
	}
}

// gateRecipient keeps a suppressed number from being written to. An opt-out that arrives while the campaign runs is seen at the latest by
// the next batch.
func gateRecipient(_ context.Context, e *errand) error {
	if suppression, found := e.run.suppressed[e.delivery.Phone]; found {
		return fault.New(fault.SkipRecipient, "suppressed_"+suppression.Reason, "This number asked not to be written to, or was blocked by an operator")
	}
	return nil
}

func compose(_ context.Context, e *errand) error {
	e.request = events.SendRequest{
		Version: events.FactVersion, SessionID: e.run.campaign.SessionID, CampaignID: e.run.campaign.ID,
		MessageID: e.delivery.ID, Phone: e.delivery.Phone, Text: e.run.template.Render(e.delivery.Fields),
	}
	return nil
}

func hand(ctx context.Context, e *errand) error {
	ctx, cancel := context.WithTimeout(ctx, e.run.runner.options.SendTimeout)
	defer cancel()
	reply, err := e.run.runner.options.Sends.RequestSend(ctx, e.request)
	if err != nil {
		return err
	}
	e.sentAt = reply.SentAt
	return reply.Err()
}

func gateSession(_ context.Context, e *errand) error {
	if !e.hosting.lease.Held() {
		return fault.New(fault.RetryLater, "lease_lost", "Another worker took the session over; the message is sent there").WithAfter(offlineWait)
	}
	return e.hosting.gate.check(time.Now())
}

func paceSession(ctx context.Context, e *errand) error {
	began := time.Now()
	err := e.hosting.pacer.Wait(ctx)
	e.hosting.host.metrics.paceWait.Observe(time.Since(began).Seconds())
	if err != nil {
		return fault.Wrap(err, fault.RetryNow, "pace_interrupted", "The session stopped before the message's turn; nothing was sent")
	}
	return nil
}

func send(ctx context.Context, e *errand) error {
	e.hosting.receipts.note(e.request.MessageID, e.request.CampaignID)
	sentAt, err := e.hosting.connection.Send(ctx, session.Outgoing{ID: e.request.MessageID, Phone: e.request.Phone, Text: e.request.Text})
	if err != nil {
		return err
	}
	e.sentAt = sentAt
	return nil
}
