package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
)

// KeyView is an API key as the API shows it.
type KeyView struct {
	ID        string      `json:"id"`
	Prefix    string      `json:"prefix" doc:"How the key begins, by which its owner recognises it." example:"bcr_0ln9k2m4a1b2c3d4"`
	Name      string      `json:"name"`
	Role      access.Role `json:"role" enum:"viewer,operator,admin"`
	UserID    string      `json:"user_id,omitempty" doc:"The only user whose things it is for; absent: everybody's."`
	Active    bool        `json:"active" doc:"It holds now: it was not revoked and has not expired."`
	ExpiresAt *time.Time  `json:"expires_at,omitempty" doc:"When it ceases to hold; absent: never."`
	UsedAt    *time.Time  `json:"used_at,omitempty" doc:"When it was last used, within a minute; absent: never."`
	CreatedAt time.Time   `json:"created_at"`
	CreatedBy string      `json:"created_by" doc:"The id of the key that made it; or first-start, terminal or configured."`
	RevokedAt *time.Time  `json:"revoked_at,omitempty"`
	RevokedBy string      `json:"revoked_by,omitempty"`
}

func (a *API) viewKey(k access.Listed) KeyView {
	return KeyView{ID: k.ID, Prefix: k.Prefix(), Name: k.Name, Role: k.Role, UserID: k.User, Active: k.Active(a.now()), ExpiresAt: optionalTime(k.ExpiresAt),
		UsedAt: optionalTime(k.UsedAt), CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy, RevokedAt: optionalTime(k.RevokedAt), RevokedBy: k.RevokedBy}
}

type createKeyInput struct {
	Body struct {
		Name      string      `json:"name" minLength:"1" maxLength:"200" doc:"What people call it: what it is for, and who has it."`
		Role      access.Role `json:"role" enum:"viewer,operator,admin" doc:"viewer reads; operator links phones, sends and mends; admin makes keys and webhooks, too."`
		UserID    string      `json:"user_id,omitempty" maxLength:"200" doc:"The only user whose things it is for. A key that is for one user makes keys for this user only."`
		ExpiresAt *time.Time  `json:"expires_at,omitempty" doc:"When it ceases to hold; never, when it is left out."`
	}
}

// newKeyOutput is the one answer that shows a key. It is never kept, not even for a request that is repeated.
type newKeyOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		KeyView
		Key string `json:"key" doc:"The key itself. It is shown now and never again."`
	}
}

func (a *API) createKey(ctx context.Context, input *createKeyInput) (*newKeyOutput, error) {
	wanted := access.Wanted{Name: input.Body.Name, Role: input.Body.Role, User: input.Body.UserID}
	if input.Body.ExpiresAt != nil {
		wanted.ExpiresAt = input.Body.ExpiresAt.UTC()
	}
	wanted.Once, _ = ctx.Value(keyOfRequest).(string) // a repeated request makes no second one
	made, secret, err := a.keys.Create(ctx, access.From(ctx), wanted)
	if err != nil {
		return nil, a.problem(ctx, "create key", err)
	}
	a.audit(ctx, campaign.AuditEntry{Action: "key.created", Subject: made.ID, UserID: made.User, Detail: string(made.Role) + ", " + made.Name})
	output := &newKeyOutput{CacheControl: neverKept}
	output.Body.KeyView, output.Body.Key = a.viewKey(access.Listed{Key: made}), secret
	return output, nil
}

type listKeysOutput struct {
	Body struct {
		Items []KeyView `json:"items"`
	}
}

func (a *API) listKeys(ctx context.Context, _ *struct{}) (*listKeysOutput, error) {
	listed, err := a.keys.List(ctx, access.From(ctx))
	if err != nil {
		return nil, a.problem(ctx, "list keys", err)
	}
	output := &listKeysOutput{}
	output.Body.Items = make([]KeyView, len(listed))
	for i, key := range listed {
		output.Body.Items[i] = a.viewKey(key)
	}
	return output, nil
}

// KeyInput names a key in the path. It is exported because huma reads embedded structs only then.
type KeyInput struct {
	ID string `path:"id" maxLength:"100" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"The key's id, which is not secret."`
}

type keyOutput struct{ Body KeyView }

func (a *API) getKey(ctx context.Context, input *KeyInput) (*keyOutput, error) {
	found, err := a.keys.Get(ctx, access.From(ctx), input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get key", err)
	}
	return &keyOutput{Body: a.viewKey(found)}, nil
}

func (a *API) revokeKey(ctx context.Context, input *KeyInput) (*keyOutput, error) {
	revoked, err := a.keys.Revoke(ctx, access.From(ctx), input.ID)
	if err != nil {
		return nil, a.problem(ctx, "revoke key", err)
	}
	a.audit(ctx, campaign.AuditEntry{Action: "key.revoked", Subject: revoked.ID, UserID: revoked.User, Detail: revoked.Name})
	return &keyOutput{Body: a.viewKey(revoked)}, nil
}

// CallerView is who a request is from.
type CallerView struct {
	KeyID  string      `json:"key_id"`
	Name   string      `json:"name"`
	Role   access.Role `json:"role" enum:"viewer,operator,admin"`
	UserID string      `json:"user_id,omitempty" doc:"The only user whose things the key is for; absent: everybody's."`
}

type callerOutput struct{ Body CallerView }

func (a *API) getCaller(ctx context.Context, _ *struct{}) (*callerOutput, error) {
	caller := access.From(ctx)
	return &callerOutput{Body: CallerView{KeyID: caller.Key, Name: caller.Name, Role: caller.Role, UserID: caller.User}}, nil
}

type linkTokenOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Token     string    `json:"token" doc:"For the header Authorization: Bearer, or for ?token= behind link, link/events, link/qr.png and link/qr.svg of this session."`
		ExpiresAt time.Time `json:"expires_at"`
	}
}

// createLinkToken makes a token that a web page may have: it shows the link of one session for some minutes, and does nothing else.
func (a *API) createLinkToken(ctx context.Context, input *SessionInput) (*linkTokenOutput, error) {
	found, err := a.options.Sessions.Get(ctx, input.ID)
	output := &linkTokenOutput{CacheControl: neverKept}
	if err == nil {
		output.Body.Token, output.Body.ExpiresAt, err = a.keys.GrantLink(ctx, access.From(ctx), found.ID, found.UserID)
	}
	if err != nil {
		return nil, a.problem(ctx, "make a link token", err)
	}
	return output, nil
}

// registerKeys lists the routes of keys.
func (a *API) registerKeys(doors huma.API) {
	huma.Register(doors, operation(http.MethodPost, "/v1/keys", "create-key", "Create an API key, and see it once", http.StatusCreated), a.createKey)
	huma.Register(doors, operation(http.MethodGet, "/v1/keys", "list-keys", "List API keys, oldest first", http.StatusOK), a.listKeys)
	huma.Register(doors, operation(http.MethodGet, "/v1/keys/{id}", "get-key", "Get an API key, without the key itself", http.StatusOK), a.getKey)
	huma.Register(doors, operation(http.MethodDelete, "/v1/keys/{id}", "revoke-key", "Revoke an API key; it stays in the list", http.StatusOK), a.revokeKey)
	huma.Register(doors, operation(http.MethodGet, "/v1/caller", "get-caller", "Get who the key of this request is", http.StatusOK), a.getCaller)
}
