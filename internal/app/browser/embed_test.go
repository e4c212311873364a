package browser_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// webApp serves a page that shows another one in a frame, and keeps in its title what that one tells.
type webApp struct {
	*httptest.Server
	framed string
}

func startWebApp(t *testing.T) *webApp {
	t.Helper()
	made := &webApp{}
	made.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>waits</title><script>
			addEventListener("message", (told) => { document.title = told.origin + " " + told.data.type + " " + told.data.session_id + " " + told.data.state; });
			</script><iframe width="1200" height="800" src="%s"></iframe>`, html.EscapeString(made.framed))
	}))
	t.Cleanup(made.Close)
	return made
}

// visitElsewhere loads a page of another server.
func (p *page) visitElsewhere(address string) {
	p.t.Helper()
	p.do("visit "+address, chromedp.Navigate(address))
}

// embedding gives the address of the link page of a new session that is being linked, and the session's id.
func (w *world) embedding(language, origin, method, phone string) (path, id, token string) {
	w.t.Helper()
	created, err := w.api.CreateSession(w.t.Context(), "ana", "Recepción")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.api.StartLink(w.t.Context(), created.ID, method, phone); err != nil {
		w.t.Fatal(err)
	}
	granted, err := w.api.Operations().CreateLinkToken(w.t.Context(), created.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return "/embed/link/" + created.ID + "?" + url.Values{"origin": {origin}, "language": {language}}.Encode() + "#token=" + granted.Token, created.ID, granted.Token
}

// TestAWebAppShowsALinkInAFrame: the page of an allowed origin sees the link succeed; that of another one is shown nothing, whatever it says.
func TestAWebAppShowsALinkInAFrame(t *testing.T) {
	t.Parallel()
	allowed, other := startWebApp(t), startWebApp(t)
	w := start(t, func(options *app.Options, _ *wasim.Server) { options.AllowedOrigins = []string{allowed.URL} })
	phone := w.phone("+5491150000001")
	path, id, _ := w.embedding("es", allowed.URL, "qr", "")
	allowed.framed, other.framed = w.product.URL()+path, w.product.URL()+path

	refused := w.tab("es")
	refused.visitElsewhere(other.URL)
	refused.awaitComplaint("frame-ancestors " + allowed.URL)
	if title := evaluate[string](refused, "document.title"); title != "waits" {
		t.Errorf("a page of another origin is told %q", title)
	}

	p := w.tab("es")
	p.visitElsewhere(allowed.URL)
	if err := phone.ScanQR(t.Context(), p.awaitQR()); err != nil {
		t.Fatal(err)
	}
	p.do("be told", until(fmt.Sprintf("document.title === %q", w.product.URL()+" broadcaster.link "+id+" ready")))
	p.keep("embed-framed", p.picture(chromedp.CaptureScreenshot()))
}

// awaitComplaint waits until the tab complains of something.
func (p *page) awaitComplaint(text string) {
	p.t.Helper()
	const mostLooks = 500
	for range mostLooks {
		p.mu.Lock()
		said := strings.Join(p.mistakes, "\n")
		p.mu.Unlock()
		if strings.Contains(said, text) {
			return
		}
		evaluate[bool](p, "true") // a round to the browser
	}
	p.t.Fatalf("the browser does not complain of %q, only: %v", text, p.mistakes)
}

// TestTheLinkPageIsPlainAndKeepsNoToken: each language, each way of linking; the token is in no address.
func TestTheLinkPageIsPlainAndKeepsNoToken(t *testing.T) {
	t.Parallel()
	const origin = "https://app.example.com"
	for language, said := range map[string]struct{ scan, ready, over, lost string }{
		"es": {"Escanee el código", "El teléfono quedó vinculado", "El tiempo de esta página terminó.", "no dijo un origen permitido"},
		"en": {"Scan the code", "The phone is linked", "The time of this page is over.", "did not name an allowed origin"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(options *app.Options, _ *wasim.Server) {
				options.AllowedOrigins = []string{"https://*.example.com"}
			})
			phone := w.phone("+5491150000001")
			path, _, token := w.embedding(language, origin, "qr", "")
			p := w.tab(language)
			p.visit(path)
			p.see(said.scan)
			p.do("see the code", shown("img.code-picture"))
			p.checkPage("embed-qr")
			where := evaluate[string](p, `location.href + " " + performance.getEntriesByType("resource").map((entry) => entry.name).join(" ") + document.documentElement.outerHTML + document.cookie`)
			if strings.Contains(where, token) {
				t.Errorf("the token is kept in %s", where)
			}
			if links := evaluate[int](p, `document.querySelectorAll("a, form, nav").length`); links != 0 {
				t.Errorf("it leads to %d other places", links)
			}
			if err := phone.ScanQR(t.Context(), p.readQR()); err != nil {
				t.Fatal(err)
			}
			p.see(said.ready)
			p.checkPage("embed-ready")
			p.visit("/embed/link/ses_1?origin=" + origin + "&language=" + language)
			p.see(said.over)
			p.checkPage("embed-over")
			p.visit("/embed/link/ses_1?origin=https://evil.example&language=" + language)
			p.see(said.lost)
			p.checkPage("embed-no-origin")
			code, _, _ := w.embedding(language, origin, "code", "+5491150000001")
			p.visit(code)
			p.find("#pairing-code")
			p.checkPage("embed-code")
		})
	}
}
