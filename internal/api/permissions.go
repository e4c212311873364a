package api

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// permission says who may use a route.
type permission struct {
	// role is the least that a caller needs.
	role access.Role
	// shared is why the route is closed to keys of one user: what it shows or changes belongs to all of them. Empty: it is not, and shows such a key its own
	// user's things only (owned.go).
	shared string
	// link: a link token of the session that the path names may use it, too.
	link bool
	// lasting: the answer goes on for as long as its reader wants, and the key holds.
	lasting bool
	// slow: it has slowTimes the time of others, for a large file or many jobs.
	slow bool
}

const slowTimes = 10

// Why a route is closed to keys of one user.
const (
	sharedOptOuts  = "opt-outs hold for every user, and are other people's phone numbers"
	sharedEgresses = "ways out are shared by the sessions of all users"
	sharedQueue    = "the queue is that of all users"
	sharedAudit    = "the audit tells of all users"
	sharedPayload  = "a payload can name the sessions of other users"
)

// permissions are all routes of the API: one without a row here fails the start. A viewer reads, an operator links, sends and mends, an admin lets others in and
// data out (keys and webhooks).
func permissions() map[string]permission {
	all := map[string]permission{}
	for _, area := range []map[string]permission{accessPermissions(), sessionPermissions(), campaignPermissions(), queuePermissions()} {
		maps.Copy(all, area)
	}
	return all
}

// What most routes need.
var (
	reads = permission{role: access.Viewer}
	works = permission{role: access.Operator}
	rules = permission{role: access.Admin}
)

func accessPermissions() map[string]permission {
	return map[string]permission{
		"POST /v1/keys":        rules,
		"GET /v1/keys":         rules,
		"GET /v1/keys/{id}":    rules,
		"DELETE /v1/keys/{id}": rules,
		"GET /v1/caller":       reads,
		"GET /v1/events":       {role: access.Viewer, lasting: true},

		"POST /v1/webhooks":                rules,
		"GET /v1/webhooks":                 rules,
		"GET /v1/webhooks/{id}":            rules,
		"PATCH /v1/webhooks/{id}":          rules,
		"DELETE /v1/webhooks/{id}":         rules,
		"POST /v1/webhooks/{id}/rotate":    rules,
		"POST /v1/webhooks/{id}/test":      rules,
		"GET /v1/webhooks/{id}/deliveries": rules,
	}
}

func sessionPermissions() map[string]permission {
	return map[string]permission{
		"POST /v1/sessions":                           works,
		"GET /v1/sessions":                            reads,
		"GET /v1/sessions/{id}":                       reads,
		"GET /v1/sessions/{id}/history":               reads,
		"GET /v1/sessions/{id}/diagnosis":             reads,
		"DELETE /v1/sessions/{id}":                    works,
		"GET /v1/sessions/{id}/egress":                reads,
		"PUT /v1/sessions/{id}/egress":                works,
		"DELETE /v1/sessions/{id}/egress":             works,
		"POST /v1/sessions/{id}/egress/check":         works,
		"GET /v1/sessions/{id}/limits":                reads,
		"PUT /v1/sessions/{id}/limits":                works,
		"POST /v1/sessions/{id}/messages":             works,
		"GET /v1/messages/{id}":                       reads,
		"POST /v1/sessions/{id}/link":                 works,
		"DELETE /v1/sessions/{id}/link":               works,
		"POST /v1/sessions/{id}/link/token":           works,
		"POST /v1/sessions/{id}/link/passkey":         works,
		"POST /v1/sessions/{id}/link/passkey/confirm": works,
		// What is to be scanned lets a stranger's phone in: who only reads must not see it.
		"GET /v1/sessions/{id}/link":        {role: access.Operator, link: true},
		"GET /v1/sessions/{id}/link/events": {role: access.Operator, link: true, lasting: true},
		"GET /v1/sessions/{id}/link/qr.png": {role: access.Operator, link: true},
		"GET /v1/sessions/{id}/link/qr.svg": {role: access.Operator, link: true},

		"GET /v1/egresses":             {role: access.Viewer, shared: sharedEgresses},
		"POST /v1/egresses/{id}/reset": {role: access.Operator, shared: sharedEgresses},
	}
}

func campaignPermissions() map[string]permission {
	return map[string]permission{
		"POST /v1/campaigns":                     {role: access.Operator, slow: true},
		"POST /v1/campaigns/upload":              {role: access.Operator, slow: true},
		"POST /v1/campaigns/preview":             {role: access.Operator, slow: true}, // it asks WhatsApp, as the session
		"POST /v1/campaigns/preview/upload":      {role: access.Operator, slow: true},
		"GET /v1/campaigns":                      reads,
		"GET /v1/campaigns/{id}":                 reads,
		"PATCH /v1/campaigns/{id}":               works,
		"DELETE /v1/campaigns/{id}":              {role: access.Operator, slow: true},
		"POST /v1/campaigns/{id}/pause":          works,
		"POST /v1/campaigns/{id}/resume":         works,
		"POST /v1/campaigns/{id}/cancel":         works,
		"POST /v1/campaigns/{id}/start":          works,
		"POST /v1/campaigns/{id}/schedule":       works,
		"POST /v1/campaigns/{id}/retry":          {role: access.Operator, slow: true},
		"POST /v1/campaigns/{id}/clone":          {role: access.Operator, slow: true},
		"GET /v1/campaigns/{id}/deliveries":      reads,
		"GET /v1/campaigns/{id}/deliveries.csv":  {role: access.Viewer, slow: true},
		"GET /v1/campaigns/{id}/deliveries.xlsx": {role: access.Viewer, slow: true},
		"GET /v1/campaigns/{id}/rejections":      reads,
		"GET /v1/campaigns/{id}/rejections.csv":  {role: access.Viewer, slow: true},
		"GET /v1/campaigns/{id}/replies":         reads,
		"POST /v1/lists":                         works,
		"GET /v1/lists":                          reads,
		"GET /v1/lists/{id}":                     reads,
		"DELETE /v1/lists/{id}":                  works,
		"GET /v1/lists/{id}/contacts":            reads,
		"POST /v1/lists/{id}/contacts":           works,
		"POST /v1/lists/{id}/contacts/upload":    {role: access.Operator, slow: true},
		"DELETE /v1/lists/{id}/contacts/{phone}": works,
		"POST /v1/media":                         {role: access.Operator, slow: true},
		"POST /v1/media/fetch":                   works,
		"GET /v1/media/{id}":                     reads,
		"DELETE /v1/media/{id}":                  works,
	}
}

func queuePermissions() map[string]permission {
	return map[string]permission{
		"GET /v1/suppressions":            {role: access.Viewer, shared: sharedOptOuts},
		"POST /v1/suppressions":           {role: access.Operator, shared: sharedOptOuts},
		"POST /v1/suppressions/upload":    {role: access.Operator, shared: sharedOptOuts, slow: true},
		"GET /v1/suppressions.csv":        {role: access.Viewer, shared: sharedOptOuts, slow: true},
		"DELETE /v1/suppressions/{phone}": {role: access.Operator, shared: sharedOptOuts},
		"GET /v1/audit":                   {role: access.Viewer, shared: sharedAudit},

		"GET /v1/failed-jobs":                  reads,
		"GET /v1/failed-jobs/stats":            reads,
		"POST /v1/failed-jobs/replay":          {role: access.Operator, slow: true},
		"POST /v1/failed-jobs/discard":         {role: access.Operator, slow: true},
		"GET /v1/failed-jobs/{entry}":          reads,
		"PUT /v1/failed-jobs/{entry}/payload":  {role: access.Operator, shared: sharedPayload},
		"POST /v1/failed-jobs/{entry}/replay":  works,
		"POST /v1/failed-jobs/{entry}/discard": works,
		"GET /v1/jobs":                         reads,
		"GET /v1/jobs/{sequence}":              reads,
		"POST /v1/jobs/{sequence}/cancel":      works,
		"GET /v1/queues":                       {role: access.Viewer, shared: sharedQueue},
	}
}

// check refuses who may not use a route. It does not know whose the thing is that the path names: what is not the caller's is not found there.
func (p permission) check(caller access.Caller, r *http.Request) error {
	switch {
	case caller.Link != "" && !p.link:
		return fault.New(fault.Forbidden, "link_token_only", "A link token only shows the link of its session; this needs an API key")
	case caller.Link != "" && caller.Link != linkOf(r):
		return store.ErrNotFound
	case caller.Link != "":
		return nil
	case fromAddress(r):
		return fault.New(fault.Unauthorized, "key_in_address", "A key does not belong into an address, where logs keep it; send it as the header Authorization, "+
			"and revoke it if it was sent this way over a network")
	case !caller.May(p.role):
		return fault.New(fault.Forbidden, "role_too_low", fmt.Sprintf("This needs the role %s, and the key has the role %s; use another key", p.role, caller.Role))
	case p.shared != "" && caller.Scoped():
		return fault.New(fault.Forbidden, "key_of_one_user", fmt.Sprintf("This key is for one user, and %s; use a key that is for all users", p.shared))
	}
	return nil
}

// fromAddress tells whether the credential of a request stood in its address.
func fromAddress(r *http.Request) bool {
	_, given := r.Context().Value(tokenOfRequest).(string)
	return given && r.Header.Get("Authorization") == ""
}

// The schemes by which a caller says who it is, as the OpenAPI document names them.
const (
	schemeKey   = "key"
	schemeLogin = "login"
	schemeToken = "link_token"
)

// protect describes in the document who may use each operation. An operation without a row, or a row without an operation, is an error.
func protect(document *huma.OpenAPI, allowed map[string]permission) error {
	document.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		schemeKey: {Type: "http", Scheme: "bearer", BearerFormat: "bcr_…",
			Description: "An API key. On the routes that show a link, a link token (bcl_…) of POST /v1/sessions/{id}/link/token does, too."},
		schemeLogin: {Type: "apiKey", In: "cookie", Name: loginCookie, Description: "The login of the console. What changes something must come from a page of the same origin."},
		schemeToken: {Type: "apiKey", In: "query", Name: "token", Description: "A link token, for an <img> or an EventSource, which cannot set headers."},
	}
	left := maps.Clone(allowed)
	var wrong []error
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for method, described := range operationsOf(document.Paths[path]) {
			pattern := method + " " + path
			row, listed := left[pattern]
			if !listed {
				wrong = append(wrong, fmt.Errorf("api: the route %s has no row in permissions.go", pattern))
				continue
			}
			delete(left, pattern)
			row.describe(described)
		}
	}
	for pattern := range left {
		wrong = append(wrong, fmt.Errorf("api: permissions.go has a row for %s, which is no route", pattern))
	}
	return errors.Join(wrong...)
}

func operationsOf(item *huma.PathItem) map[string]*huma.Operation {
	all := map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPut: item.Put, http.MethodPost: item.Post, http.MethodDelete: item.Delete,
		http.MethodPatch: item.Patch, http.MethodHead: item.Head, http.MethodOptions: item.Options, http.MethodTrace: item.Trace}
	maps.DeleteFunc(all, func(_ string, described *huma.Operation) bool { return described == nil })
	return all
}

// describe says in the document who may use an operation. What needs a key may also answer 401, 403 and 429.
func (p permission) describe(described *huma.Operation) {
	described.Security = []map[string][]string{{schemeKey: {}}, {schemeLogin: {}}}
	if p.link {
		described.Security = append(described.Security, map[string][]string{schemeToken: {}})
	}
	if described.Extensions == nil {
		described.Extensions = map[string]any{}
	}
	described.Extensions["x-role"] = string(p.role)
	if p.shared != "" {
		described.Extensions["x-closed-to-keys-of-one-user"] = p.shared
	}
	for status, about := range map[string]string{"401": "No key that holds was given", "403": "The key may not do this", "429": "The key asks too often"} {
		if described.Responses[status] == nil {
			described.Responses[status] = &huma.Response{Description: about, Content: problemContent(described)}
		}
	}
}

// problemContent is the content of the refusals that an operation has already.
func problemContent(described *huma.Operation) map[string]*huma.MediaType {
	for _, status := range []string{"500", "404", "422", "default"} {
		if known := described.Responses[status]; known != nil {
			return known.Content
		}
	}
	return nil
}
