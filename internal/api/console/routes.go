package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dannsalud/broadcaster/internal/access"
)

// route is a page, or what a form is sent to.
type route struct {
	pattern string
	// role is the least that a caller needs; empty: nobody has to be logged in.
	role   access.Role
	handle func(*visit) error
}

// routes lists every page. Each area has its own list, in its own file.
func routes() []route {
	return slices.Concat(accountRoutes(), sessionRoutes(), linkRoutes(), embedRoutes(), egressRoutes(), limitRoutes(),
		campaignRoutes(), wizardRoutes(), contactRoutes(), optOutRoutes(), failedRoutes(), activityRoutes(), keyRoutes(), webhookRoutes(), healthRoutes())
}

// Pages gives what a browser may open, as patterns of http.ServeMux, for who looks at every page.
func Pages() []string {
	var pages []string
	for _, r := range routes() {
		if strings.HasPrefix(r.pattern, "GET ") {
			pages = append(pages, r.pattern)
		}
	}
	return pages
}

// place is an entry of the navigation.
type place struct {
	// Name is the key of its label and the name of its icon.
	Name string
	Path string
	Role access.Role
	// Shared: it shows what belongs to all users, and is closed to keys of one.
	Shared bool
}

// places are the navigation, in its order. One that is closed to the caller is not drawn.
func places() []place {
	return []place{
		{Name: "sessions", Path: "/sessions", Role: access.Viewer},
		{Name: "campaigns", Path: "/campaigns", Role: access.Viewer},
		{Name: "contacts", Path: "/contacts", Role: access.Viewer},
		{Name: "optouts", Path: "/opt-outs", Role: access.Viewer, Shared: true},
		{Name: "failed", Path: failedPath, Role: access.Viewer},
		{Name: "activity", Path: activityPath, Role: access.Viewer, Shared: true},
		{Name: "keys", Path: "/keys", Role: access.Admin},
		{Name: "webhooks", Path: "/webhooks", Role: access.Admin},
		{Name: "health", Path: "/health", Role: access.Viewer, Shared: true},
	}
}

// page turns a route into a handler: it finds out who calls and in what language, and answers for errors.
func (c *Console) page(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		v := c.visit(w, request)
		if r.role != "" && !v.caller.May(r.role) {
			v.refuse()
			return
		}
		if err := r.handle(v); err != nil {
			v.fail(err)
		}
	})
}

// refuse sends a caller whom nobody knows to the login, and tells the others that their role is too low.
func (v *visit) refuse() {
	if v.caller.Role == "" {
		v.toLogin()
		return
	}
	v.failWith(http.StatusForbidden, notice{Kind: kindProblem, Text: v.language.text("problem.class.forbidden")})
}

// toLogin sends the browser to the login, and from there back to the page that was asked for.
func (v *visit) toLogin() {
	target := "/login"
	if v.request.Method == http.MethodGet && v.request.URL.Path != "/" {
		target += "?" + url.Values{"next": {v.request.URL.RequestURI()}}.Encode()
	}
	http.Redirect(v.writer, v.request, target, http.StatusSeeOther)
}

func notHere(v *visit) error {
	v.failWith(http.StatusNotFound, notice{Kind: kindProblem, Text: v.language.text("problem.no_page")})
	return nil
}
