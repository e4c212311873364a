package console

import (
	"encoding/base64"
	"html/template"
	"io"
	"net/http"
	"strings"

	"github.com/dannsalud/broadcaster/client"
)

func embedRoutes() []route {
	return []route{{"GET /embed/link/{id}", "", embedLink}}
}

const (
	// embedPolicy is policy for a page that stands in another one; who that may be is added to it.
	embedPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors "
	// opensLinks is how a request shows a link token. A key must not be in a page, so none is taken here.
	opensLinks = "Bearer bcl_"
	// mostPicture bounds the picture of a code.
	mostPicture = 1 << 20
)

// embedPage is the link of a session inside of a page of the web app.
type embedPage struct {
	linkPage
	ID string
	// Parent is the origin of the page that it stands in; empty when it may stand in none.
	Parent string
	// Over says that the token does not open, or no more.
	Over bool
}

// embedLink shows a link in a frame of the web app. The page itself says nothing of the session: its script has the token, from the part of the address that browsers
// do not send, and asks for the fragment with it. A login of this browser does not count here, and no cookie is set.
func embedLink(v *visit) error {
	if chosen := v.console.languages[v.query("language")]; chosen != nil {
		v.language = chosen
	} else {
		v.language = v.console.languages[preferred(v.request.Header.Get("Accept-Language"))]
	}
	page := &embedPage{linkPage: linkPage{form: newForm(), Ended: true}, ID: v.request.PathValue("id")}
	ancestors := "'none'"
	if origin := strings.ToLower(v.query("origin")); v.console.options.AllowsOrigin(origin) {
		page.Parent, ancestors = origin, origin
	}
	header := v.writer.Header()
	header.Set("Content-Security-Policy", embedPolicy+ancestors)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	header.Del("X-Frame-Options") // it knows no list; the policy above says who may
	entry := "embed"
	if v.query("fragment") != "" {
		entry = "fragment-link"
		if err := v.readEmbedded(page); err != nil {
			return err
		}
	}
	return v.write(http.StatusOK, "embed/link", entry, v.view(page))
}

// readEmbedded finds out how far the link is, as the token.
func (v *visit) readEmbedded(page *embedPage) error {
	if !strings.HasPrefix(v.request.Header.Get("Authorization"), opensLinks) {
		page.Over = true
		return nil
	}
	link, err := v.api.Link(v.context(), page.ID)
	if problem, ok := asProblem(err); ok && problem.Code != "no_link" && problem.Status < http.StatusInternalServerError {
		page.Over = true
		return nil
	}
	if client.IsCode(err, "no_link") {
		page.Ended = false // it is waited for
		return nil
	}
	if err != nil {
		return err
	}
	v.fillLink(&page.linkPage, link)
	if page.Step() != "qr" || link.Prompt == nil {
		return nil
	}
	page.Picture, err = v.picture(page.ID)
	return err
}

// picture gives the code to scan as an address that holds it, so that no other address needs the token.
func (v *visit) picture(id string) (template.URL, error) {
	drawn, err := v.api.Operations().GetLinkQRSVG(v.context(), id)
	if client.IsCode(err, "no_qr") {
		return "", nil // it was scanned or renewed a moment ago
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = drawn.Close() }()
	content, err := io.ReadAll(io.LimitReader(drawn, mostPicture))
	return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(content)), err //nolint:gosec // the API's own drawing
}
