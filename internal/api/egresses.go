package api

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Links says when egresses and numbers may link again; internal/pace.Links is it.
type Links interface {
	Egress(ctx context.Context, id string) (pace.Egress, error)
	// Reset ends what an egress rests from.
	Reset(ctx context.Context, id string) (pace.Egress, error)
	// NumberRests gives until when a number may not be linked; the zero time when it may.
	NumberRests(ctx context.Context, phone string) (time.Time, error)
	Policy(ctx context.Context) (pace.Policy, error)
}

// EgressStateView is a network way out as the operator sees it.
type EgressStateView struct {
	ID             string         `json:"id" doc:"direct, or the name of a proxy."`
	Sessions       int            `json:"sessions" doc:"Sessions that are linked, or being linked, on it."`
	Capacity       int            `json:"capacity,omitempty" doc:"How many it may have; absent when there is no limit."`
	Waiting        int            `json:"waiting" doc:"Links that wait, or are in work."`
	LastConnection *time.Time     `json:"last_connection,omitempty" doc:"The last connection to WhatsApp, of whatever kind."`
	LastLink       *time.Time     `json:"last_link,omitempty" doc:"When a link there began, or ended with a paired phone."`
	NextLinkAt     *time.Time     `json:"next_link_at,omitempty" doc:"The earliest time of the next link; absent: now."`
	Reason         session.Reason `json:"reason,omitempty" doc:"A stable code for what the next link waits for."`
	Logouts        int            `json:"logouts" doc:"Logouts and bans that still count: of the last week, or since the last reset."`
	CoolsUntil     *time.Time     `json:"cools_until,omitempty" doc:"The end of the rest after the last logout."`
	CircuitOpen    bool           `json:"circuit_open" doc:"Links are stopped: too many sessions were logged out soon after pairing."`
	OpenUntil      *time.Time     `json:"open_until,omitempty" doc:"When links go on without a reset."`
}

type listEgressesOutput struct {
	Body struct {
		Items []EgressStateView `json:"items"`
	}
}

// listEgresses lists the ways out that sessions have, and the direct one.
func (a *API) listEgresses(ctx context.Context, _ *struct{}) (*listEgressesOutput, error) {
	sessions, err := session.ListAll(ctx, a.everySession, session.Filter{})
	if err != nil {
		return nil, a.problem(ctx, "list egresses", err)
	}
	names := map[string]bool{session.EgressDirect: true}
	for _, s := range sessions {
		names[s.EgressName()] = true
	}
	occupancy := session.OccupancyOf(sessions)
	output := &listEgressesOutput{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		known, err := a.options.Links.Egress(ctx, name)
		if err != nil {
			return nil, a.problem(ctx, "read egress", err)
		}
		view, err := a.viewEgress(ctx, known, occupancy)
		if err != nil {
			return nil, a.problem(ctx, "read egress", err)
		}
		output.Body.Items = append(output.Body.Items, view)
	}
	return output, nil
}

func (a *API) viewEgress(ctx context.Context, known pace.Egress, occupancy session.Occupancy) (EgressStateView, error) {
	policy, err := a.options.Links.Policy(ctx)
	if err != nil {
		return EgressStateView{}, err
	}
	now := a.now()
	next, why := known.FreeFor("", policy.Spaces(), now)
	view := EgressStateView{
		ID: known.ID, Sessions: occupancy.Present[known.ID], Capacity: max(0, policy.Capacity.Limit()), Waiting: len(occupancy.Lines[known.ID]),
		LastConnection: optionalTime(known.Connected), LastLink: optionalTime(known.Linked), NextLinkAt: optionalTime(next), Reason: why,
		Logouts: len(known.Logouts), CircuitOpen: known.CircuitOpen(now),
	}
	if now.Before(known.CoolsUntil) {
		view.CoolsUntil = optionalTime(known.CoolsUntil)
	}
	if view.CircuitOpen {
		view.OpenUntil = optionalTime(known.OpenUntil)
	}
	return view, nil
}

type resetEgressInput struct {
	ID string `path:"id" maxLength:"200" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"direct, or the name of a proxy."`
}

type egressStateOutput struct{ Body EgressStateView }

// resetEgress ends the cooldown and the circuit breaker of a way out. The links that wait for it go on by themselves.
func (a *API) resetEgress(ctx context.Context, input *resetEgressInput) (*egressStateOutput, error) {
	known, err := a.options.Links.Egress(ctx, input.ID)
	if err == nil && !known.IsKnown() && input.ID != session.EgressDirect {
		err = fault.New(fault.NotFound, "no_egress", "Nothing is known of this way out; the list of egresses has the names")
	}
	if err != nil {
		return nil, a.problem(ctx, "find egress", err)
	}
	after, err := a.options.Links.Reset(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "reset egress", err)
	}
	occupancy, err := session.ReadOccupancy(ctx, a.everySession, "")
	if err != nil {
		return nil, a.problem(ctx, "reset egress", err)
	}
	view, err := a.viewEgress(ctx, after, occupancy)
	if err != nil {
		return nil, a.problem(ctx, "reset egress", err)
	}
	return &egressStateOutput{Body: view}, nil
}
