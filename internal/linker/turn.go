package linker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Turns gives the egresses to links, one at a time each; internal/pace.Links is it. Its refusal to begin is a *pace.TooEarlyError.
type Turns interface {
	Begin(ctx context.Context, egress, link string, spacing time.Duration) error
	// Keep holds an egress for another pace.HoldTime.
	Keep(ctx context.Context, egress, link string) error
	End(ctx context.Context, egress, link string, paired bool) error
	// Connect takes a turn to connect and gives its time.
	Connect(ctx context.Context, egress string, longest time.Duration) (time.Time, error)
	Egress(ctx context.Context, id string) (pace.Egress, error)
}

// Limits knows what may not be linked now, and is told of what limits it further.
type Limits interface {
	// NumberRests gives until when a number may not be linked; the zero time when it may.
	NumberRests(ctx context.Context, phone string) (time.Time, error)
	Record(ctx context.Context, logout session.Logout) error
	Policy(ctx context.Context) (pace.Policy, error)
	SetSpacing(ctx context.Context, spacing time.Duration) error
	Prune(ctx context.Context) error
}

// errWaits ends the job of a link that has to wait for its turn: Run asks for it again then, so that it does not keep the place of others meanwhile.
var errWaits = errors.New("the link waits for its turn")

// takeTurn gets the egress for this link, alone. A link whose turn has not come is written down as waiting (errWaits); one that may not begin at
// all ends.
func (a *attempt) takeTurn(ctx context.Context) error {
	occupancy, err := session.ReadOccupancy(ctx, a.linker.options.Sessions, a.job.SessionID)
	if err != nil {
		return err
	}
	if ended, err := a.refuseWhereFull(ctx, occupancy); ended || err != nil {
		return err
	}
	if ended, err := a.refuseRestingNumber(ctx); ended || err != nil {
		return err
	}
	line := occupancy.Lines[a.egress]
	a.inLine = len(line) > 1
	egress, err := a.linker.options.Turns.Egress(ctx, a.egress)
	if err != nil {
		return err
	}
	spacing := a.linker.options.Timing.Spacing
	now := time.Now()
	if line.Ahead(a.job.LinkID) > 0 && egress.KeepsOrder(spacing, now) {
		return a.waitInLine(ctx, line, egress)
	}
	err = a.linker.options.Turns.Begin(ctx, a.egress, a.job.LinkID, spacing)
	var early *pace.TooEarlyError
	if errors.As(err, &early) {
		return a.waitUntil(ctx, early)
	}
	if err != nil {
		return fmt.Errorf("take the egress: %w", err)
	}
	a.heldUntil = now.Add(pace.HoldTime)
	return nil
}

// refuseWhereFull ends a link on an egress that has as many sessions as it may. Those in line behind this one are not counted: they came later.
func (a *attempt) refuseWhereFull(ctx context.Context, occupancy session.Occupancy) (ended bool, err error) {
	policy, err := a.linker.options.Limits.Policy(ctx)
	if err != nil {
		return false, err
	}
	line := occupancy.Lines[a.egress]
	behind := max(0, len(line)-line.Ahead(a.job.LinkID)-1)
	warning, err := policy.Capacity.Admit(occupancy.Present[a.egress] - behind)
	if err != nil {
		return true, a.step(ctx, session.LinkEvent{Kind: session.EventRefused, Reason: session.ReasonEgressFull})
	}
	if warning != session.ReasonNone {
		a.log.WarnContext(ctx, "link on a crowded egress", "reason", string(warning), "present", occupancy.Present[a.egress])
	}
	return false, nil
}

// refuseRestingNumber ends a link by code whose number was logged out while it waited. By QR the number is known only when the phone is there.
func (a *attempt) refuseRestingNumber(ctx context.Context) (ended bool, err error) {
	if a.job.Phone == "" {
		return false, nil
	}
	until, err := a.linker.options.Limits.NumberRests(ctx, a.job.Phone)
	if err != nil || until.IsZero() {
		return false, err
	}
	return true, a.step(ctx, session.LinkEvent{Kind: session.EventRefused, Reason: session.ReasonNumberCooldown})
}

// waitInLine writes down that others come first.
func (a *attempt) waitInLine(ctx context.Context, line session.Line, egress pace.Egress) error {
	turn := pace.TurnOf(line, egress, a.job.LinkID, a.linker.options.Timing.Spacing, time.Now())
	if err := a.step(ctx, session.LinkEvent{Kind: session.EventHandBack, Reason: session.ReasonQueued}); err != nil {
		return err
	}
	a.log.InfoContext(ctx, "link waits in line", "position", turn.Position, "estimated", turn.At)
	return errWaits
}

// waitUntil writes down that the egress is not free yet.
func (a *attempt) waitUntil(ctx context.Context, early *pace.TooEarlyError) error {
	event := session.LinkEvent{Kind: session.EventWait, Reason: early.Reason, For: time.Until(early.Until)}
	if early.Reason == session.ReasonQueued { // nobody knows when the link that is in work will end
		event = session.LinkEvent{Kind: session.EventHandBack, Reason: early.Reason}
	}
	if err := a.step(ctx, event); err != nil {
		return err
	}
	return errWaits
}

// awaitConnection waits for this link's turn to connect: a random while after the egress's last connection, so that there is no rhythm, and a
// little more when others wait too.
func (a *attempt) awaitConnection(ctx context.Context) error {
	timing := a.linker.options.Timing
	at, err := a.linker.options.Turns.Connect(ctx, a.egress, timing.Jitter)
	if err != nil {
		return fmt.Errorf("take a turn to connect: %w", err)
	}
	wait := time.Until(at)
	if a.inLine {
		wait += timing.InLine
	}
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-a.keeping.C:
			if err := a.keep(ctx); err != nil {
				return err
			}
		case <-a.nudges:
			if err := a.stillWanted(ctx); err != nil {
				return err
			}
		}
	}
}

// keepEvery is how often an egress is held anew. Three tries fit before it is lost.
const keepEvery = pace.HoldTime / 4

// keep holds the egress. A queue that does not answer is waited for as long as nobody else can have got the egress.
func (a *attempt) keep(ctx context.Context) error {
	now := time.Now()
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := a.linker.options.Turns.Keep(ctx, a.egress, a.job.LinkID)
	switch {
	case err == nil:
		a.heldUntil = now.Add(pace.HoldTime)
		return nil
	case !errors.Is(err, pace.ErrNotHeld) && now.Add(keepEvery+closeTimeout).Before(a.heldUntil):
		a.log.WarnContext(ctx, "egress could not be held and is tried again", "error", err)
		return nil
	}
	return fmt.Errorf("hold the egress: %w", err)
}

// endTurn gives the egress back. What cannot be given back now frees itself.
func (a *attempt) endTurn(ctx context.Context) {
	if a.heldUntil.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := a.linker.options.Turns.End(ctx, a.egress, a.job.LinkID, a.accepted); err != nil {
		a.log.WarnContext(ctx, "egress could not be given back and will free itself", "error", err)
	}
}

// again is the command for a link whose turn has come. What it derives from is stored, so that several linkers that see it publish one job.
func again(s session.Session) events.LinkSession {
	return events.LinkSession{Version: events.LinkSessionAgainVersion, SessionID: s.ID, LinkID: s.Link.ID, Method: s.Link.Method,
		Phone: s.Link.Phone, RequestedAt: s.Link.QueuedAt, Due: s.UpdatedAt}
}
