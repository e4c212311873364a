package api

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
)

// NoteView is a sentence for a person, with its stable code.
type NoteView struct {
	Code session.Reason `json:"code" doc:"A stable code."`
	En   string         `json:"en"`
	Es   string         `json:"es"`
}

func viewNote(reason session.Reason) *NoteView {
	if reason == session.ReasonNone {
		return nil
	}
	return &NoteView{Code: reason, En: reason.Sentence(session.English), Es: reason.Sentence(session.Spanish)}
}

// QueueView is where a link stands that waits for its turn.
type QueueView struct {
	Position         int            `json:"position" doc:"1 is next."`
	EstimatedStartAt time.Time      `json:"estimated_start_at" doc:"When it is likely to begin. Nobody knows how long those ahead take to scan."`
	EstimatedWait    int            `json:"estimated_wait_seconds" doc:"The same in seconds from now."`
	WaitsFor         session.Reason `json:"waits_for,omitempty" doc:"A stable code for what it waits for."`
}

// admitLink decides whether a new link may be asked for: 429 while its number or its egress rests, 409 on an egress that is full. The warning is for
// an egress that has many sessions.
func (a *API) admitLink(ctx context.Context, s session.Session, phone string) (warning session.Reason, err error) {
	egress, err := a.options.Links.Egress(ctx, s.EgressName())
	if err != nil {
		return session.ReasonNone, err
	}
	now := a.now()
	if until, why := egress.Rests(now); why != session.ReasonNone {
		return session.ReasonNone, coolingDown(why, until, now)
	}
	if phone != "" {
		until, err := a.options.Links.NumberRests(ctx, phone)
		if err != nil {
			return session.ReasonNone, err
		}
		if !until.IsZero() {
			return session.ReasonNone, coolingDown(session.ReasonNumberCooldown, until, now)
		}
	}
	policy, err := a.options.Links.Policy(ctx)
	if err != nil {
		return session.ReasonNone, err
	}
	occupancy, err := session.ReadOccupancy(ctx, a.everySession, s.ID)
	if err != nil {
		return session.ReasonNone, err
	}
	return policy.Capacity.Admit(occupancy.Present[s.EgressName()])
}

func coolingDown(why session.Reason, until, now time.Time) error {
	return fault.New(fault.CoolingDown, string(why), why.Sentence(session.English)).WithAfter(max(until.Sub(now), time.Second)).WithUntil(until)
}

// viewQueue gives the place of a link in the line of its egress; nil for one that does not wait.
func (a *API) viewQueue(ctx context.Context, s session.Session) (*QueueView, error) {
	if s.Link.State != session.LinkQueued && s.Link.State != session.LinkCoolingDown {
		return nil, nil
	}
	linking, err := session.ListAll(ctx, a.everySession, session.Filter{States: []session.State{session.Linking}})
	if err != nil {
		return nil, err
	}
	egress, err := a.options.Links.Egress(ctx, s.EgressName())
	if err != nil {
		return nil, err
	}
	policy, err := a.options.Links.Policy(ctx)
	if err != nil {
		return nil, err
	}
	now := a.now()
	turn := pace.TurnOf(session.Lines(linking)[s.EgressName()], egress, s.Link.ID, policy.Spaces(), now)
	return &QueueView{Position: turn.Position, EstimatedStartAt: turn.At.UTC(), EstimatedWait: int(turn.At.Sub(now).Seconds() + 0.5),
		WaitsFor: turn.Why}, nil
}
