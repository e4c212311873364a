package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/webhook"
)

// WebhookView is a subscription.
type WebhookView struct {
	ID      string   `json:"id"`
	UserID  string   `json:"user_id,omitempty" doc:"The user whose events it is told; absent: those of all users."`
	URL     string   `json:"url"`
	Events  []string `json:"events"`
	Enabled bool     `json:"enabled"`
	Reason  string   `json:"reason,omitempty" doc:"Why it is not enabled, when that was not a person: gone, the receiver answered 410."`
	// FormerSecretUntil is set for a while after a rotation.
	FormerSecretUntil *time.Time `json:"former_secret_until,omitempty" doc:"Until when the secret before the last rotation signs, too; absent: it does not."`
	CreatedAt         time.Time  `json:"created_at"`
	UpdatedAt         time.Time  `json:"updated_at"`
}

func (a *API) viewWebhook(s webhook.Subscription) WebhookView {
	view := WebhookView{ID: s.ID, UserID: s.UserID, URL: s.URL, Events: s.Events, Enabled: s.Enabled, Reason: s.Reason, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt}
	if until := s.FormerUntil(a.now()); !until.IsZero() {
		view.FormerSecretUntil = &until
	}
	return view
}

func (a *API) webhooks() ownWebhooks { return ownWebhooks{a.options.Webhooks} }

type webhookOutput struct{ Body WebhookView }

// secretOutput is the one answer that shows a secret. It is never kept, not even for a request that is repeated.
type secretOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		WebhookView
		Secret string `json:"secret" doc:"What the receiver checks signatures with (Standard Webhooks). It is shown now and never again."`
	}
}

func (a *API) showSecret(made webhook.Subscription, secret webhook.Secret) *secretOutput {
	output := &secretOutput{CacheControl: neverKept}
	output.Body.WebhookView, output.Body.Secret = a.viewWebhook(made), secret.Reveal()
	return output
}

type createWebhookInput struct {
	Body struct {
		URL    string   `json:"url" minLength:"1" maxLength:"2000" doc:"Where requests go: https, on a public address."`
		Events []string `json:"events" minItems:"1" maxItems:"50" doc:"The kinds of events that it is told, such as campaign_changed; * stands for all of them."`
		UserID string   `json:"user_id,omitempty" maxLength:"200" doc:"Tell it the events of this user only."`
	}
}

func (a *API) createWebhook(ctx context.Context, input *createWebhookInput) (*secretOutput, error) {
	wanted := webhook.Wanted{URL: input.Body.URL, Events: input.Body.Events, UserID: input.Body.UserID}
	if key, keyed := ctx.Value(keyOfRequest).(string); keyed { // a repeated request makes no second one
		wanted.ID = "whk_" + key[:32] // the key of a request is apart for each API key
	}
	made, secret, err := a.webhooks().Create(ctx, wanted, a.now().UTC())
	if err != nil {
		return nil, a.problem(ctx, "create webhook", err)
	}
	a.audit(ctx, campaign.AuditEntry{Action: "webhook.created", Subject: made.ID, UserID: made.UserID})
	return a.showSecret(made, secret), nil
}

type listWebhooksInput struct{ PageInput }

type listWebhooksOutput struct{ Body listBody[WebhookView] }

func (a *API) listWebhooks(ctx context.Context, input *listWebhooksInput) (*listWebhooksOutput, error) {
	list, err := a.webhooks().List(ctx, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list webhooks", err)
	}
	return &listWebhooksOutput{Body: viewList(list, a.viewWebhook)}, nil
}

// WebhookInput names a subscription in the path. It is exported because huma reads embedded structs only then.
type WebhookInput struct {
	ID string `path:"id" maxLength:"100" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"The webhook's id."`
}

func (a *API) getWebhook(ctx context.Context, input *WebhookInput) (*webhookOutput, error) {
	found, err := a.webhooks().Get(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get webhook", err)
	}
	return &webhookOutput{Body: a.viewWebhook(found)}, nil
}

type editWebhookInput struct {
	WebhookInput
	Body struct {
		URL     *string  `json:"url,omitempty" minLength:"1" maxLength:"2000"`
		Events  []string `json:"events,omitempty" minItems:"1" maxItems:"50"`
		Enabled *bool    `json:"enabled,omitempty" doc:"A disabled webhook is told nothing, and what waits for it is dropped."`
	}
}

func (a *API) editWebhook(ctx context.Context, input *editWebhookInput) (*webhookOutput, error) {
	change := webhook.Change{URL: input.Body.URL, Events: input.Body.Events, Enabled: input.Body.Enabled}
	changed, err := a.webhooks().Change(ctx, input.ID, change, a.now().UTC())
	if err != nil {
		return nil, a.problem(ctx, "edit webhook", err)
	}
	a.audit(ctx, campaign.AuditEntry{Action: "webhook.changed", Subject: changed.ID, UserID: changed.UserID})
	return &webhookOutput{Body: a.viewWebhook(changed)}, nil
}

func (a *API) deleteWebhook(ctx context.Context, input *WebhookInput) (*struct{}, error) {
	if err := a.webhooks().Delete(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "delete webhook", err)
	}
	a.audit(ctx, campaign.AuditEntry{Action: "webhook.deleted", Subject: input.ID})
	return nil, nil //nolint:nilnil // huma's answer without a body
}

func (a *API) rotateWebhook(ctx context.Context, input *WebhookInput) (*secretOutput, error) {
	changed, secret, err := a.webhooks().Rotate(ctx, input.ID, a.now().UTC())
	if err != nil {
		return nil, a.problem(ctx, "rotate webhook", err)
	}
	a.audit(ctx, campaign.AuditEntry{Action: "webhook.rotated", Subject: changed.ID, UserID: changed.UserID})
	return a.showSecret(changed, secret), nil
}

type testWebhookOutput struct {
	Body struct {
		DeliveryID string `json:"delivery_id" doc:"The id that the receiver gets it under, and that the log names it by."`
	}
}

// testWebhook tells one subscription that somebody wants to see whether it is told, whatever events it wants.
func (a *API) testWebhook(ctx context.Context, input *WebhookInput) (*testWebhookOutput, error) {
	found, err := a.webhooks().Get(ctx, input.ID)
	if err == nil && !found.Enabled {
		err = fault.New(fault.Conflict, "webhook_disabled", "The webhook is disabled; enable it first")
	}
	at := a.now().UTC()
	var told json.RawMessage
	if err == nil {
		told, err = json.Marshal(map[string]any{"version": events.FactVersion, "webhook_id": found.ID, "at": at})
	}
	output := &testWebhookOutput{}
	if err == nil {
		command := events.NewDeliverWebhook(found.ID, events.Occurrence{Kind: webhook.KindTest, MessageID: "test:" + webhook.NewID(), Data: told, At: at}, at)
		output.Body.DeliveryID = command.DeliveryID
		err = a.options.Queue.SendCommand(ctx, command)
	}
	if err != nil {
		return nil, a.problem(ctx, "test webhook", err)
	}
	return output, nil
}

// WebhookAttemptView is one request to a receiver.
type WebhookAttemptView struct {
	At         time.Time       `json:"at"`
	DeliveryID string          `json:"delivery_id" doc:"The webhook-id of the request: the same for every attempt at the same event."`
	Event      string          `json:"event"`
	Outcome    webhook.Outcome `json:"outcome" enum:"delivered,again,refused" doc:"again: it is tried again, if attempts are left; refused: it is not."`
	Status     int             `json:"status,omitempty" doc:"What the receiver answered; absent: nothing."`
	TookMS     int64           `json:"took_ms"`
	Code       string          `json:"code,omitempty"`
	Message    string          `json:"message,omitempty" doc:"What was wrong, for a person."`
}

func viewWebhookAttempt(attempt webhook.Attempt) WebhookAttemptView {
	return WebhookAttemptView{At: attempt.At, DeliveryID: attempt.DeliveryID, Event: attempt.Event, Outcome: attempt.Outcome, Status: attempt.Status,
		TookMS: attempt.Took.Milliseconds(), Code: attempt.Code, Message: attempt.Message}
}

type webhookAttemptsInput struct {
	WebhookInput
	PageInput
}

type webhookAttemptsOutput struct{ Body listBody[WebhookAttemptView] }

func (a *API) listWebhookAttempts(ctx context.Context, input *webhookAttemptsInput) (*webhookAttemptsOutput, error) {
	_, err := a.webhooks().Get(ctx, input.ID)
	output := &webhookAttemptsOutput{}
	if err == nil {
		list, listErr := a.webhooks().Attempts(ctx, input.ID, input.page())
		output.Body, err = viewList(list, viewWebhookAttempt), listErr
	}
	if err != nil {
		return nil, a.problem(ctx, "list the deliveries of a webhook", err)
	}
	return output, nil
}

// registerWebhooks lists the routes of webhooks.
func (a *API) registerWebhooks(doors huma.API) {
	huma.Register(doors, operation(http.MethodPost, "/v1/webhooks", "create-webhook", "Create a webhook, and see its secret once", http.StatusCreated), a.createWebhook)
	huma.Register(doors, operation(http.MethodGet, "/v1/webhooks", "list-webhooks", "List webhooks, oldest first", http.StatusOK), a.listWebhooks)
	huma.Register(doors, operation(http.MethodGet, "/v1/webhooks/{id}", "get-webhook", "Get a webhook", http.StatusOK), a.getWebhook)
	huma.Register(doors, operation(http.MethodPatch, "/v1/webhooks/{id}", "edit-webhook", "Change a webhook, enable or disable it", http.StatusOK), a.editWebhook)
	huma.Register(doors, operation(http.MethodDelete, "/v1/webhooks/{id}", "delete-webhook", "Delete a webhook; what waits for it is dropped", http.StatusNoContent), a.deleteWebhook)
	huma.Register(doors, operation(http.MethodPost, "/v1/webhooks/{id}/rotate", "rotate-webhook", "Give a webhook a new secret, and see it once", http.StatusOK), a.rotateWebhook)
	huma.Register(doors, operation(http.MethodPost, "/v1/webhooks/{id}/test", "test-webhook", "Tell a webhook of an event that is only a test", http.StatusAccepted), a.testWebhook)
	huma.Register(doors, operation(http.MethodGet, "/v1/webhooks/{id}/deliveries", "list-webhook-deliveries", "List the last requests of a webhook, newest first", http.StatusOK), a.listWebhookAttempts)
}
