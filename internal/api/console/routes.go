package console

import (
	"net/http"
	"net/url"
	"slices"

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

// place is an entry of the navigation.
type place struct {
	// Name is the key of its label and the name of its icon.
	Name string
	Path string
	Role access.Role
}

// places are the navigation, in its order. One of which the caller's role is too low is not drawn.
func places() []place {
	return []place{
		{"sessions", "/sessions", access.Viewer},
		{"campaigns", "/campaigns", access.Viewer},
		{"contacts", "/contacts", access.Viewer},
		{"optouts", "/opt-outs", access.Viewer},
		{"failed", failedPath, access.Viewer},
		{"activity", activityPath, access.Viewer},
		{"keys", "/keys", access.Admin},
		{"webhooks", "/webhooks", access.Admin},
		{"health", "/health", access.Viewer},
	}
}

// sharedPlaces are closed to keys of one user: what they show belongs to all users.
func sharedPlaces() []string { return []string{"optouts", "activity"} }

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
