package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
)

// SessionLimitsView is how fast a session sends.
type SessionLimitsView struct {
	Own       *LimitsSpec `json:"own,omitempty" doc:"What was said of this session; absent when nothing was."`
	Effective *LimitsSpec `json:"effective" doc:"What that comes to with the service's own limits and the age of the session. Trouble with WhatsApp slows it down further."`
}

type sessionLimitsOutput struct{ Body SessionLimitsView }

func (a *API) sessionLimits() campaign.SessionLimits {
	return campaign.SessionLimits{Documents: a.options.Documents}
}

func (a *API) getLimits(ctx context.Context, input *SessionInput) (*sessionLimitsOutput, error) {
	found, err := a.options.Sessions.Get(ctx, input.ID)
	var own campaign.Limits
	if err == nil {
		own, err = a.sessionLimits().Get(ctx, string(input.ID))
	}
	if err != nil {
		return nil, a.problem(ctx, "get limits", err)
	}
	effective := own.Over(a.options.Limits)
	if !found.LinkedAt.IsZero() {
		effective = effective.WarmUp(a.now().Sub(found.LinkedAt))
	}
	view := SessionLimitsView{Own: viewLimits(own), Effective: viewLimits(effective)}
	if view.Effective == nil {
		view.Effective = &LimitsSpec{}
	}
	return &sessionLimitsOutput{Body: view}, nil
}

type setLimitsInput struct {
	SessionInput
	Body LimitsSpec
}

func (a *API) setLimits(ctx context.Context, input *setLimitsInput) (*sessionLimitsOutput, error) {
	limits, err := input.Body.limits()
	if err == nil {
		_, err = a.options.Sessions.Get(ctx, input.ID)
	}
	if err == nil {
		err = a.sessionLimits().Set(ctx, string(input.ID), limits)
	}
	if err != nil {
		return nil, a.problem(ctx, "set limits", err)
	}
	return a.getLimits(ctx, &input.SessionInput)
}

// registerLimits lists the routes of a session's pace.
func (a *API) registerLimits(doors huma.API) {
	huma.Register(doors, operation(http.MethodGet, "/v1/sessions/{id}/limits", "get-limits", "Get how fast a session sends", http.StatusOK), a.getLimits)
	huma.Register(doors, operation(http.MethodPut, "/v1/sessions/{id}/limits", "set-limits", "Say how fast a session sends", http.StatusOK), a.setLimits)
}
