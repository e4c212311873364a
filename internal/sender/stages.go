package sender

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
)

// A message goes through these stages, in this order, whoever asked for it. A stage that gives an error ends the way; what the error means
// is decided in one place, verdict.go, and every end is recorded.

// runnerStages bring a delivery to the holder of its session.
var runnerStages = []stage[parcel]{
	{"gate", gateCampaign},    // is the campaign still running, within its slice?
	{"gate", gateRecipient},   // may this number be written to?
	{"compose", compose},      // fill the text
	{"hand", hand},            // ask the holder of the session, who goes through hostStages
	{"record", recordSuccess}, // write down that it was sent
}

// hostStages bring a message to WhatsApp.
var hostStages = []stage[order]{
	{"gate", gateSession}, // is the lease held, the session ready and under no limit?
	{"attach", attach},    // give WhatsApp the file, once for all messages of a campaign
	{"pace", paceSession}, // wait for the session's turn
	{"gate", gateSession}, // the wait may have been long
	{"type", showTyping},  // as a person would
	{"spend", spend},      // count it against the caps: behind every wait, right before it leaves
	{"send", send},        // resolve the recipient's devices, encrypt, send, await the server's acknowledgement
}

// stage is one step of a message on its way; each reads what the ones before it wrote.
type stage[M any] struct {
	name string
	run  func(ctx context.Context, message *M) error
}

func through[M any](ctx context.Context, stages []stage[M], message *M) error {
	for _, stage := range stages {
		if err := stage.run(ctx, message); err != nil {
			return err
		}
	}
	return nil
}

// parcel is a message in the runner's hands.
type parcel struct {
	run      *run
	delivery campaign.Delivery
	request  events.SendRequest
	sentAt   time.Time
}

// order is a message in the host's hands.
type order struct {
	hosting *hosting
	request events.SendRequest
	sentAt  time.Time
	// stranger: the recipient never wrote to the session. Known once asked.
	stranger *bool
	limits   campaign.Limits
	media    *session.Upload
}

// gateCampaign is passed before each message, so that a pause holds from the next one on. The store is the only truth about it.
func gateCampaign(ctx context.Context, p *parcel) error {
	r := p.run
	now := time.Now()
	if r.runner.isStopping() || now.After(r.deadline) {
		return &stop{ending{event: campaign.Queue}}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	state, err := r.options.Campaigns.State(ctx, r.campaign.ID)
	switch {
	case err != nil:
		return &broken{err, "read the state of the campaign"}
	case state != campaign.Running:
		return &stop{}
	}
	if !r.campaign.Settings.Hours.Allowed(now) {
		return &stop{ending{event: campaign.Pause, reason: reasonQuietHours, resumeAt: r.campaign.Settings.Hours.Next(now).UTC()}}
	}
	return r.runner.recorder.failure()
}

// gateRecipient keeps a suppressed number from being written to, also one that was suppressed while its batch waited.
func gateRecipient(ctx context.Context, p *parcel) error {
	suppression, found, err := p.run.suppressed.find(ctx, p.delivery.Phone)
	if err != nil {
		return &broken{err, "read the suppressions"}
	}
	if found {
		return fault.New(fault.SkipRecipient, "suppressed_"+suppression.Reason, "This number asked not to be written to, or was blocked by an operator")
	}
	return nil
}

// reasonQuietHours pauses a campaign until it may send again.
const reasonQuietHours = "quiet_hours"

func compose(_ context.Context, p *parcel) error {
	settings := p.run.campaign.Settings
	p.request = events.SendRequest{
		Version: events.FactVersion, SessionID: p.run.campaign.SessionID, CampaignID: p.run.campaign.ID,
		MessageID: p.delivery.ID, Phone: p.delivery.Phone, Text: p.run.templates.For(p.delivery.Phone).Render(p.delivery.Fields),
		Attachment: settings.Attachment, Typing: settings.Typing, Limits: settings.Limits, WarmOnly: settings.WarmOnly,
		NotAfter: settings.Hours.Until(time.Now()),
	}
	if settings.LinkPreview && strings.Contains(p.request.Text, settings.Preview.URL) {
		p.request.Preview = settings.Preview
	}
	if strings.TrimSpace(p.request.Text) == "" && settings.Attachment.ID == "" { // the text was edited after the plan
		return fault.New(fault.SkipRecipient, "text_empty", "The message to this recipient would be empty; fill the columns that it uses, or give a fallback")
	}
	return nil
}

func hand(ctx context.Context, p *parcel) error {
	asking, cancel := context.WithTimeout(ctx, p.run.options.SendTimeout)
	defer cancel()
	reply, err := p.run.options.Sends.RequestSend(asking, p.request)
	if err != nil && isClosed(p.run.runner.abandoned) {
		return &stop{ending{event: campaign.Queue}} // the next run asks for it again, under the same id
	}
	if err != nil {
		return &unanswered{err}
	}
	p.sentAt = reply.SentAt
	return reply.Err()
}

func recordSuccess(_ context.Context, p *parcel) error {
	p.run.failures = 0
	if p.sentAt.IsZero() { // the server's acknowledgement need not have a time
		p.sentAt = time.Now().UTC()
	}
	if err := p.run.record(campaign.Outcome{DeliveryID: p.delivery.ID, State: campaign.Sent, At: p.sentAt}); err != nil {
		return &broken{err, "write down that a message was sent"}
	}
	return nil
}

func gateSession(ctx context.Context, o *order) error {
	if !o.hosting.lease.Held() {
		return errMoving()
	}
	if !o.request.NotAfter.IsZero() && !time.Now().Before(o.request.NotAfter) {
		return fault.New(fault.RetryLater, reasonQuietHours, "The hours of the campaign are over; it goes on when they begin again")
	}
	err := o.hosting.gate.check(time.Now())
	if err != nil && o.request.WarmOnly && fault.As(err).Code == string(session.ReasonReachOutLock) {
		err = o.hosting.gate.checkConnection() // the lock is about strangers
	}
	if err == nil && o.request.WarmOnly {
		err = o.gateStranger(ctx)
	}
	return err
}

func paceSession(ctx context.Context, o *order) error {
	began := time.Now()
	err := o.hosting.paceFor(ctx, o)
	o.hosting.host.metrics.paceWait.Observe(time.Since(began).Seconds())
	switch {
	case errors.Is(err, pace.ErrStopped), err != nil && !o.hosting.lease.Held():
		return errMoving()
	case ctx.Err() == nil && err != nil:
		return err
	case err != nil:
		return fault.Wrap(err, fault.RetryNow, "pace_interrupted", "The request ended before the message's turn; nothing was sent")
	}
	return nil
}

func send(ctx context.Context, o *order) error {
	o.hosting.receipts.note(o.request.MessageID, o.request.CampaignID)
	sentAt, err := o.hosting.connection.Send(ctx, session.Outgoing{ID: o.request.MessageID, Phone: o.request.Phone, Text: o.request.Text,
		Media: o.media, Preview: o.request.Preview})
	o.hosting.judgeAccount(ctx, o.request.Phone, err)
	if err != nil {
		return err
	}
	o.sentAt = sentAt
	o.hosting.noteSend(ctx, o.request.Phone)
	return nil
}

// errMoving answers for a session that this worker gives up.
func errMoving() error {
	return fault.New(fault.RetryLater, "session_moving", "Another worker takes the session over; the message is sent there").WithAfter(movingWait)
}

// movingWait is how long a session usually takes to move to another worker.
const movingWait = time.Second
