package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
)

// visit is one request of a browser, with the answer that it gets.
type visit struct {
	console  *Console
	writer   http.ResponseWriter
	request  *http.Request
	caller   access.Caller
	language *language
	// api is the API as this caller.
	api *client.Client
}

func (c *Console) visit(w http.ResponseWriter, r *http.Request) *visit {
	made := &visit{console: c, writer: w, request: r, caller: c.options.Logins.Caller(r), language: c.languageOf(r), api: c.inside(r)}
	if chosen := c.languages[made.query("language")]; chosen != nil && r.Method == http.MethodPost {
		made.language = chosen // of a form that is shown once more, as it was filled in
		made.setCookie(languageCookie, chosen.code, languageSeconds)
	}
	return made
}

func (v *visit) context() context.Context { return v.request.Context() }

// query gives a value of the address, without blanks around it.
func (v *visit) query(name string) string { return strings.TrimSpace(v.request.URL.Query().Get(name)) }

// view is what a template sees.
type view struct {
	// Language is the code of the page's language, Path the page's own address without its query.
	Language string
	Path     string
	// Address is the path with the query, for forms that come back to this page.
	Address string
	// Keep is where the form of the page is sent to be shown once more in another language; empty: nothing would be lost by loading the page.
	Keep   string
	Caller access.Caller
	Places []place
	// Notices are sentences above the page: what became of the form before, and what is wrong.
	Notices []notice
	Zone    string
	Version string
	Now     time.Time
	// Data is what the handler gave.
	Data any
}

// May tells whether the caller may do what needs a role.
func (v view) May(role string) bool { return v.Caller.May(access.Role(role)) }

// Known tells whether somebody is logged in.
func (v view) Known() bool { return v.Caller.Role != "" }

func (v *visit) view(data any, notices ...notice) view {
	made := view{
		Language: v.language.code, Path: v.request.URL.Path, Address: v.request.URL.RequestURI(), Caller: v.caller, Notices: notices,
		Zone: v.console.options.Zone.String(), Version: v.console.options.Version, Now: v.console.now(), Data: data,
	}
	if filled, is := data.(interface{ keptAt() string }); is {
		made.Keep = filled.keptAt()
	}
	for _, p := range places() {
		if v.caller.May(p.Role) && (v.caller.User == "" || !p.Shared) {
			made.Places = append(made.Places, p)
		}
	}
	return made
}

// show answers with a page, or with the one fragment of it that was asked for.
func (v *visit) show(name string, data any, notices ...notice) error {
	if fragment := v.query("fragment"); fragment != "" {
		return v.write(http.StatusOK, name, "fragment-"+fragment, v.view(data, notices...))
	}
	if flashed, found := v.takeFlash(); found {
		notices = append([]notice{flashed}, notices...)
	}
	return v.write(http.StatusOK, name, "layout", v.view(data, notices...))
}

// again answers with a form once more, with what is wrong. Only a problem of the API is shown so; another error is an error, and who is logged out
// is sent to the login.
func (v *visit) again(err error, name string, page interface{ filled() *form }) error {
	problem, ok := asProblem(err)
	if !ok || problem.Status == http.StatusUnauthorized && v.caller.Role != "" {
		return err
	}
	shown := page.filled()
	for _, detail := range problem.Errors {
		if field := shown.fieldOf(detail.Location); field != "" {
			shown.Wrong[field] = v.language.wrongPlace(detail)
		}
	}
	return v.write(problem.Status, name, "layout", v.view(page, v.language.notice(problem)))
}

// write draws a template whole before anything is sent: an error in the middle must not leave half a page.
func (v *visit) write(status int, name, entry string, data view) error {
	page := v.language.pages[name]
	if page == nil {
		return fmt.Errorf("console: there is no template %q", name)
	}
	if page.Lookup(entry) == nil {
		return notHere(v)
	}
	var drawn bytes.Buffer
	if err := page.ExecuteTemplate(&drawn, entry, data); err != nil {
		return fmt.Errorf("draw %s: %w", name, err)
	}
	header := v.writer.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", v.language.code)
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept-Language, Cookie")
	writeCompressed(v.writer, v.request, status, drawn.Bytes())
	return nil
}

// done sends the browser to a page after a form, which says there what became of it: the key of a message, with names and values for it.
func (v *visit) done(path, message string, values ...any) error {
	if message != "" {
		v.flash(v.language.text(message, values...))
	}
	http.Redirect(v.writer, v.request, ownPath(path), http.StatusSeeOther) //nolint:gosec // ownPath leads to this console only
	return nil
}

// back is done for what went wrong with a button: the page that it stands on says the problem.
func (v *visit) back(err error, path string) error {
	problem, ok := asProblem(err)
	if !ok || problem.Status == http.StatusUnauthorized {
		return err
	}
	v.flashNotice(v.language.notice(problem))
	http.Redirect(v.writer, v.request, ownPath(path), http.StatusSeeOther) //nolint:gosec // ownPath leads to this console only
	return nil
}

// Within tells whether the page is a place of the navigation, or below it.
func (v view) Within(path string) bool {
	return v.Path == path || strings.HasPrefix(v.Path, path+"/")
}
