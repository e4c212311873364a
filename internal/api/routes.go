package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/swaggest/swgui/v5emb"
)

const description = `Links people's WhatsApp accounts and sends campaigns from them.

A request that starts work answers as soon as the work is stored and queued; the resource's state then tells how far it is. Every error
is a problem document (RFC 9457) with a class and a stable code.

Every request needs an API key, as Authorization: Bearer bcr_…. A key has a role (viewer reads, operator links, sends and mends, admin makes keys and
webhooks), and may be for one user: what belongs to others does not exist for it. x-role says what each operation needs.

A POST may carry an Idempotency-Key: repeated with the same body within a day it has no second effect and gets the same answer, marked with
Idempotency-Replayed. A refused request gives its key back, and so does one whose answer shows a secret: no secret is kept.`

// routes lists every route, or whose file does. Who may use them stands in permissions.go.
func (a *API) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("Broadcaster", a.options.Version)
	config.Info.Description = description
	config.DocsPath = ""     // huma's own page loads its code from another host
	config.CreateHooks = nil // no $schema links in the answers
	config.Transformers = []huma.Transformer{classified}
	doors := humago.New(mux, config)

	huma.Register(doors, operation(http.MethodPost, "/v1/sessions", "create-session", "Create a session", http.StatusCreated), a.createSession)
	huma.Register(doors, operation(http.MethodGet, "/v1/sessions", "list-sessions", "List sessions", http.StatusOK), a.listSessions)
	huma.Register(doors, operation(http.MethodGet, "/v1/sessions/{id}", "get-session", "Get a session", http.StatusOK), a.getSession)
	huma.Register(doors, operation(http.MethodGet, "/v1/sessions/{id}/history", "get-session-history", "Get what happened to a session lately", http.StatusOK), a.getHistory)
	huma.Register(doors, operation(http.MethodGet, "/v1/sessions/{id}/diagnosis", "get-session-diagnosis", "Get why a session was logged out, as far as it can be told", http.StatusOK), a.getDiagnosis)
	huma.Register(doors, operation(http.MethodDelete, "/v1/sessions/{id}", "delete-session", "Unlink and delete a session", http.StatusAccepted), a.deleteSession)

	huma.Register(doors, limited(operation(http.MethodPost, "/v1/sessions/{id}/link", "start-link", "Link a phone", http.StatusAccepted)), a.startLink)
	huma.Register(doors, operation(http.MethodGet, "/v1/sessions/{id}/link", "get-link", "Get the state of a link and what to scan", http.StatusOK), a.getLink)
	huma.Register(doors, operation(http.MethodDelete, "/v1/sessions/{id}/link", "cancel-link", "Cancel a link", http.StatusOK), a.cancelLink)
	huma.Register(doors, stream("/v1/sessions/{id}/link/events", "stream-link", "Follow a link as server-sent events until it has ended"), a.streamLink)
	huma.Register(doors, operation(http.MethodPost, "/v1/sessions/{id}/link/passkey", "answer-passkey", "Answer WhatsApp's question for a passkey", http.StatusAccepted), a.answerPasskey)
	huma.Register(doors, operation(http.MethodPost, "/v1/sessions/{id}/link/passkey/confirm", "confirm-passkey", "Say that the code is the same on the phone", http.StatusAccepted), a.confirmPasskey)
	huma.Register(doors, operation(http.MethodPost, "/v1/sessions/{id}/link/token", "create-link-token", "Make a token that only shows this session's link, for a page with the QR", http.StatusCreated), a.createLinkToken)
	huma.Register(doors, picture("/v1/sessions/{id}/link/qr.png", "get-link-qr-png", "Get the present QR as PNG", "image/png"), a.getQRPNG)
	huma.Register(doors, picture("/v1/sessions/{id}/link/qr.svg", "get-link-qr-svg", "Get the present QR as SVG", "image/svg+xml"), a.getQRSVG)

	huma.Register(doors, operation(http.MethodGet, "/v1/sessions/{id}/egress", "get-egress", "Get the network way out of a session", http.StatusOK), a.getEgress)
	huma.Register(doors, a.takesProxy("/v1/sessions/{id}/egress", "set-egress", "Give a session a proxy"), a.setEgress)
	huma.Register(doors, operation(http.MethodDelete, "/v1/sessions/{id}/egress", "delete-egress", "Take a session's proxy away", http.StatusOK), a.deleteEgress)
	huma.Register(doors, operation(http.MethodPost, "/v1/sessions/{id}/egress/check", "check-egress", "Try whether a session's way out reaches WhatsApp", http.StatusOK), a.checkEgress)

	huma.Register(doors, operation(http.MethodGet, "/v1/egresses", "list-egresses", "List the network ways out, and when each may link again", http.StatusOK), a.listEgresses)
	huma.Register(doors, operation(http.MethodPost, "/v1/egresses/{id}/reset", "reset-egress", "End the cooldown and the circuit breaker of a way out", http.StatusOK), a.resetEgress)

	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns", "create-campaign", "Create a campaign from a list of recipients", http.StatusAccepted), a.createCampaign)
	huma.Register(doors, a.upload("/v1/campaigns/upload", "upload-campaign", "Create a campaign from a spreadsheet or a CSV file", http.StatusAccepted), a.uploadCampaign)
	a.registerPreview(doors)
	huma.Register(doors, operation(http.MethodGet, "/v1/campaigns", "list-campaigns", "List campaigns, newest first", http.StatusOK), a.listCampaigns)
	huma.Register(doors, operation(http.MethodGet, "/v1/campaigns/{id}", "get-campaign", "Get a campaign with its progress", http.StatusOK), a.getCampaign)
	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns/{id}/pause", "pause-campaign", "Pause before the next message", http.StatusOK), a.pauseCampaign)
	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns/{id}/resume", "resume-campaign", "Go on with a paused campaign", http.StatusAccepted), a.resumeCampaign)
	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns/{id}/cancel", "cancel-campaign", "Stop for good before the next message", http.StatusOK), a.cancelCampaign)
	huma.Register(doors, operation(http.MethodPatch, "/v1/campaigns/{id}", "edit-campaign", "Change a campaign that has not begun", http.StatusOK), a.editCampaign)
	huma.Register(doors, operation(http.MethodDelete, "/v1/campaigns/{id}", "delete-campaign", "Delete a campaign with its recipients; the audit keeps what came of it", http.StatusNoContent), a.deleteCampaign)
	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns/{id}/start", "start-campaign", "Start a draft, or a scheduled campaign before its time", http.StatusAccepted), a.startCampaign)
	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns/{id}/schedule", "schedule-campaign", "Say when a campaign begins", http.StatusAccepted), a.scheduleCampaign)
	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns/{id}/retry", "retry-campaign", "Try again what failed", http.StatusAccepted), a.retryCampaign)
	huma.Register(doors, operation(http.MethodPost, "/v1/campaigns/{id}/clone", "clone-campaign", "Make a draft with the same text, settings and recipients", http.StatusCreated), a.cloneCampaign)
	a.registerResults(doors)
	a.registerLists(doors)
	a.registerMedia(doors)
	a.registerConsent(doors)
	a.registerMessages(doors)
	a.registerLimits(doors)
	a.registerFailedJobs(doors)
	a.registerJobs(doors)
	a.registerWebhooks(doors)
	a.registerEvents(doors)
	a.registerKeys(doors)
	if err := protect(doors.OpenAPI(), a.permissions); err != nil {
		return nil, err
	}
	describe(doors.OpenAPI())

	mux.Handle("GET /docs/", v5emb.New("Broadcaster", "/openapi.json", "/docs/"))
	mux.Handle("GET /docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently))
	return Conceal(a.measured(a.crossOrigin(a.guarded(mux)(a.limitUpload(a.idempotent(refuseUnrouted(mux))))))), nil
}

// maxBodyBytes bounds a JSON body; a campaign with 10 000 recipients and a few fields each stays below it.
const maxBodyBytes = 8 << 20

func operation(method, path, id, summary string, status int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status,
		MaxBodyBytes: maxBodyBytes,
		Errors:       []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusInternalServerError},
	}
}

// limited adds to a route that it can be too early.
func limited(described huma.Operation) huma.Operation {
	described.Errors = append(described.Errors, http.StatusTooManyRequests)
	return described
}

// stream describes an answer of server-sent events.
func stream(path, id, summary string) huma.Operation {
	described := operation(http.MethodGet, path, id, summary, http.StatusOK)
	described.Responses = map[string]*huma.Response{
		"200": {Description: "Events named link, each with the link as get-link gives it", Content: map[string]*huma.MediaType{
			"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}},
		}},
	}
	return described
}

func picture(path, id, summary, contentType string) huma.Operation {
	described := operation(http.MethodGet, path, id, summary, http.StatusOK)
	described.Responses = map[string]*huma.Response{
		"200": {Description: "The image", Content: map[string]*huma.MediaType{
			contentType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		}},
	}
	return described
}
