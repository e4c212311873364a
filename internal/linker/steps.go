package linker

import (
	"context"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// signal turns what the connection reports into an event of the link.
func (a *attempt) signal(ctx context.Context, signal session.Signal) error {
	timing := a.linker.options.Timing
	switch signal := signal.(type) {
	case session.QROffered:
		return a.offer(ctx, signal.Codes)
	case session.PairingCode:
		return a.showCode(ctx, signal.Code)
	case session.PasskeyAsked:
		return a.askPasskey(ctx, signal.Options)
	case session.PasskeyConfirm:
		return a.compareCode(ctx, signal.Code)
	case session.Paired:
		return a.paired(ctx, signal.Device)
	case session.Restarting:
		return a.step(ctx, session.LinkEvent{Kind: session.EventRestart, For: timing.Login})
	case session.Connected:
		a.connected()
		return nil
	case session.Disconnected:
		return a.disconnected(ctx)
	case session.PairRefused:
		return a.refused(ctx, signal.Reason)
	case session.Ended:
		return a.connectionEnded(ctx, signal)
	}
	return nil
}

// refused ends a link whose pairing was refused, by the phone, by WhatsApp, or by this side.
func (a *attempt) refused(ctx context.Context, reason session.Reason) error {
	if refusal := a.refusal.Load(); refusal != nil {
		reason = session.ReasonInternal // the number could not be looked up
		if refusal.Class == fault.Conflict || refusal.Class == fault.CoolingDown {
			reason = session.Reason(refusal.Code)
		}
	} else if a.worthASecondCode(reason) {
		return errAgain
	}
	if reason == session.ReasonDuplicate {
		return a.stepWith(ctx, session.LinkEvent{Kind: session.EventDuplicate, Reason: reason}, func(s *session.Session) {
			if holder := a.holder.Load(); holder != nil {
				s.Link.Holder = *holder
			}
		})
	}
	return a.step(ctx, session.LinkEvent{Kind: session.EventRefused, Reason: reason})
}

// worthASecondCode tells whether a link by code that failed gets another one: once, before the phone accepted, and not when the phone said why it
// cannot.
func (a *attempt) worthASecondCode(reason session.Reason) bool {
	switch reason {
	case session.ReasonDuplicate, session.ReasonNotMultidevice, session.ReasonPasskeyFailed:
		return false
	}
	return a.job.Method == session.MethodCode && a.tries == 1 && (a.state == session.LinkCode || a.state == session.LinkConnecting)
}

// connectionEnded ends a link whose connection ended for good. After the phone accepted, that can be a logout like any other.
func (a *attempt) connectionEnded(ctx context.Context, signal session.Ended) error {
	if a.hasPaired() && signal.Reason.CoolsDown() {
		a.remember(ctx, session.HistoryEntry{Kind: session.EntryEnded, Reason: signal.Reason, Detail: signal.Detail})
		now := time.Now().UTC()
		err := a.linker.options.Limits.Record(ctx, session.Logout{Session: a.job.SessionID, Egress: a.egress, Phone: a.device.Phone,
			Reason: signal.Reason, LinkedAt: a.pairedAt, At: now, Until: signal.Until})
		if err != nil {
			a.log.ErrorContext(ctx, "logout could not be recorded: its number does not cool down", "class", fault.Of(err).Label(), "error", err)
		}
	}
	if signal.Renewed && a.tries == 1 && a.state == session.LinkConnecting {
		return errAgain
	}
	return a.step(ctx, session.LinkEvent{Kind: session.EventFailed, Reason: signal.Reason})
}

// offer takes new codes and shows the first.
func (a *attempt) offer(ctx context.Context, codes []string) error {
	if a.state != session.LinkConnecting && a.state != session.LinkQR { // the phone accepted already, or is asked for something else
		a.linker.metrics.qrIgnored.Inc()
		a.log.InfoContext(ctx, "link qr ignored", "state", string(a.state))
		return nil
	}
	if a.job.Method == session.MethodCode {
		return nil // the code that follows is what the person types
	}
	a.codes = codes
	return a.showNext(ctx)
}

// showNext shows the next code, or ends the link when none is left.
func (a *attempt) showNext(ctx context.Context) error {
	if len(a.codes) == 0 {
		return a.step(ctx, session.LinkEvent{Kind: session.EventExpired, Reason: session.ReasonQRExpired})
	}
	lasts := a.linker.options.Timing.NextQR
	if a.shown == 0 {
		lasts = a.linker.options.Timing.FirstQR
	}
	code := a.codes[0]
	a.codes = a.codes[1:]
	a.shown++
	return a.show(ctx, session.LinkEvent{Kind: session.EventQR, For: lasts}, session.Prompt{QR: code, Index: a.shown})
}

func (a *attempt) showCode(ctx context.Context, code string) error {
	return a.show(ctx, session.LinkEvent{Kind: session.EventCode, For: a.linker.options.Timing.Code}, session.Prompt{Code: code})
}

// show makes a prompt visible before the event that it belongs to is published, so that whoever hears of it finds it. One that comes too late is not
// shown.
func (a *attempt) show(ctx context.Context, event session.LinkEvent, prompt session.Prompt) error {
	if !a.state.Accepts(event.Kind) {
		return a.step(ctx, event)
	}
	prompt.LinkID, prompt.Deadline = a.job.LinkID, time.Now().Add(event.For)
	if err := a.linker.options.Prompts.Show(ctx, a.job.SessionID, prompt); err != nil {
		return fmt.Errorf("show prompt: %w", err)
	}
	a.prompt = prompt
	return a.step(ctx, event)
}

// timeUp is what the end of a deadline means in each state.
func (a *attempt) timeUp(ctx context.Context) error {
	switch a.state { //nolint:exhaustive // the states that are left wait for WhatsApp to answer
	case session.LinkQR:
		return a.showNext(ctx)
	case session.LinkCode:
		return a.step(ctx, session.LinkEvent{Kind: session.EventExpired, Reason: session.ReasonQRExpired})
	case session.LinkPasskeyRequired, session.LinkPasskeyConfirm:
		return a.step(ctx, session.LinkEvent{Kind: session.EventExpired, Reason: session.ReasonPasskeyExpired})
	case session.LinkPaired, session.LinkRestarting:
		return a.step(ctx, session.LinkEvent{Kind: session.EventExpired, Reason: session.ReasonLoginTimeout})
	}
	return a.step(ctx, session.LinkEvent{Kind: session.EventExpired, Reason: session.ReasonConnectTimeout})
}

// paired saves the device with the state that it belongs to, in one write: a crash behind it finds both.
func (a *attempt) paired(ctx context.Context, device session.Device) error {
	now := time.Now().UTC()
	err := a.stepWith(ctx, session.LinkEvent{Kind: session.EventPaired, For: a.linker.options.Timing.Login}, func(s *session.Session) {
		s.Device = device
	})
	if a.state == session.LinkPaired {
		a.accepted, a.device, a.pairedAt = true, device, now
	}
	a.clearPrompt(ctx)
	return err
}

// connected begins the time that the device has to settle; what it reports again changes nothing but a counter.
func (a *attempt) connected() {
	if a.settled != nil || (a.state != session.LinkPaired && a.state != session.LinkRestarting) {
		a.linker.metrics.readyDuplicates.Inc()
		return
	}
	a.deadline.Stop()
	a.log.Info("link deadline cancelled")
	a.settled = time.After(a.linker.options.Timing.Settle)
}

// disconnected: before the phone accepted, WhatsApp has ended the offer; afterwards the client connects again within the login's deadline.
func (a *attempt) disconnected(ctx context.Context) error {
	if a.worthASecondCode(session.ReasonConnectionLost) {
		return errAgain
	}
	switch a.state { //nolint:exhaustive // the states that are left have not begun, or have ended
	case session.LinkPaired, session.LinkRestarting:
		if a.settled != nil {
			a.settled = nil
			a.deadline.Reset(a.linker.options.Timing.Login)
		}
		return nil
	case session.LinkQR, session.LinkCode, session.LinkPasskeyRequired, session.LinkPasskeyConfirm:
		return a.step(ctx, session.LinkEvent{Kind: session.EventExpired, Reason: session.ReasonQRExpired})
	}
	return a.step(ctx, session.LinkEvent{Kind: session.EventFailed, Reason: session.ReasonConnectionLost})
}

// messages are the lines that tell the story of a link, one for each state.
var messages = map[session.LinkState]string{
	session.LinkQueued: "link queued", session.LinkCoolingDown: "link waits", session.LinkConnecting: "link connecting", session.LinkQR: "link qr shown",
	session.LinkCode: "link code shown", session.LinkPasskeyRequired: "link passkey required", session.LinkPasskeyConfirm: "link passkey confirm",
	session.LinkPaired: "link paired", session.LinkRestarting: "link restarting", session.LinkReady: "link ready", session.LinkExpired: "link expired",
	session.LinkDuplicate: "link duplicate", session.LinkRefused: "link refused", session.LinkCancelled: "link cancelled", session.LinkFailed: "link failed",
}

func (a *attempt) step(ctx context.Context, event session.LinkEvent) error {
	return a.stepWith(ctx, event, nil)
}

// stepWith applies an event to the stored link, arms its deadline, and publishes the change. It gives errOver when the link has ended by it, or
// had ended before.
func (a *attempt) stepWith(ctx context.Context, event session.LinkEvent, also func(*session.Session)) error {
	now := time.Now().UTC()
	listed := false
	stored, err := session.Modify(ctx, a.linker.options.Sessions, a.job.SessionID, func(s *session.Session) error {
		listed = false
		if s.Link.ID != a.job.LinkID || s.Link.State.Ended() {
			return errOver
		}
		link, ok := session.Step(s.Link, event, now)
		if !ok {
			return session.ErrUnchanged
		}
		listed = true
		s.Link = link
		*s = s.AfterLink(now)
		if also != nil {
			also(s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !listed {
		a.linker.metrics.ignored.WithLabelValues(string(stored.Link.State), string(event.Kind)).Inc()
		a.log.InfoContext(ctx, "link event ignored", "state", string(stored.Link.State), "event", string(event.Kind))
		return nil
	}
	a.enter(stored.Link.State)
	a.arm(event)
	a.log.Info(messages[a.state], "reason", string(event.Reason)) //nolint:sloglint // one constant for each state
	err = a.linker.options.Facts.PublishFact(ctx, events.LinkChanged{Version: events.FactVersion, SessionID: stored.ID, UserID: stored.UserID,
		LinkID: stored.Link.ID, State: stored.Link.State, Reason: stored.Link.Reason, QRIndex: stored.Link.QRIndex,
		Deadline: stored.Link.Deadline, At: now})
	if err != nil {
		return fmt.Errorf("publish link: %w", err)
	}
	if a.state.Ended() {
		a.count(stored.Link)
		return errOver
	}
	return nil
}

func (a *attempt) hasPaired() bool {
	return a.state == session.LinkPaired || a.state == session.LinkRestarting
}

// enter notes the link's new state, and how long it was in the one before.
func (a *attempt) enter(state session.LinkState) {
	now := time.Now()
	a.linker.metrics.steps.WithLabelValues(string(a.state)).Observe(now.Sub(a.entered).Seconds())
	a.state, a.entered = state, now
}

// arm sets the deadline of the state: leaving a state cancels its deadline.
func (a *attempt) arm(event session.LinkEvent) {
	a.deadline.Stop()
	if event.For > 0 && !a.state.Ended() {
		a.deadline.Reset(event.For)
	}
}

func (a *attempt) count(link session.Link) {
	a.linker.metrics.links.WithLabelValues(string(link.State)).Inc()
	a.linker.metrics.duration.WithLabelValues(string(link.State)).Observe(time.Since(a.began).Seconds())
}

// holderOf gives the other session that has a phone's number linked; empty when there is none.
func (l *Linker) holderOf(ctx context.Context, phone string, except session.ID) (session.ID, error) {
	var linked []session.State
	for _, state := range session.States() {
		if state.Linked() {
			linked = append(linked, state)
		}
	}
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := l.options.Sessions.List(ctx, session.Filter{States: linked}, page)
		if err != nil {
			return "", fmt.Errorf("look for the number's session: %w", err)
		}
		for _, other := range list.Items {
			if other.ID != except && other.Device.Phone == phone {
				return other.ID, nil
			}
		}
		if list.Next == "" {
			return "", nil
		}
		page.After = list.Next
	}
}
