package browser_test

import (
	"net"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/wa/proxytest"
)

// TestAKeyboardIsEnough to create a session and to see its code; the focus is always seen.
func TestAKeyboardIsEnough(t *testing.T) {
	t.Parallel()
	w := start(t)
	p := w.open("en", "/sessions")
	p.see("There are no sessions yet.")
	p.focusOn("a.skip")
	p.keys(kb.Enter)
	p.focusOn(`main a[href="/sessions/new"]`)
	p.keys(kb.Enter)
	p.find("#field-user_id")
	p.focusOn("#field-user_id")
	p.keys("a", "n", "a")
	p.focusOn("main button[type=submit]")
	p.keys(kb.Enter)
	p.see("The session ana was created.")
	p.focusOn(`main a[href$="/link"]`)
	p.keys(kb.Enter)
	p.see("With a QR code")
	p.focusOn("main button[type=submit]")
	p.keys(kb.Enter)
	p.do("see the code", shown("img.code-picture"))
	p.focusOn("main button.danger")
	p.keys(kb.Enter)
	p.see("The link was cancelled.")
}

// TestAPageWorksWithoutScripts: every step is a page or a form.
func TestAPageWorksWithoutScripts(t *testing.T) {
	t.Parallel()
	w := start(t)
	phone := w.phone("+5491150000001")
	p := w.open("es", "/sessions")
	p.scripts(false)
	p.visit("/sessions/new")
	p.fill("user_id", "ana")
	p.press("Crear sesión")
	p.see("Se creó la sesión ana.")
	p.do("go to the link", clickOn(`main a[href$="/link"]`))
	p.press("Mostrar el código QR")
	p.find("main .badge")
	p.lookAgainUntil(`document.querySelector("img.code-picture")`)
	p.do("see the code", shown("img.code-picture"))
	if err := phone.ScanQR(t.Context(), p.readQR()); err != nil {
		t.Fatal(err)
	}
	p.lookAgainUntil(`document.body.innerText.includes("El teléfono quedó vinculado")`)
}

// scripts turns the scripts of the pages that come on or off.
func (p *page) scripts(on bool) {
	p.t.Helper()
	p.do("turn scripts on or off", call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}))
}

// lookAgainUntil loads the page again until an expression of JavaScript is true.
func (p *page) lookAgainUntil(expression string) {
	p.t.Helper()
	const mostLooks = 200
	for range mostLooks {
		if evaluate[bool](p, "!!("+expression+")") {
			return
		}
		p.visit(p.path())
	}
	p.t.Fatalf("never saw %s; the page says:\n%s", expression, p.said())
}

// TestASessionGetsAProxy: what a person types is tried and kept, and its password is on no page.
func TestASessionGetsAProxy(t *testing.T) {
	t.Parallel()
	for language, said := range map[string]struct{ save, saved, try, works, bad, remove, removeNow, removed string }{
		"es": {"Guardar el proxy", "Se guardó el proxy.", "Probar la salida", "WhatsApp respondió en", "La dirección del proxy no sirve.", "Quitar el proxy",
			"Quitar y salir directo", "Se quitó el proxy"},
		"en": {"Save the proxy", "The proxy was saved.", "Try the way out", "WhatsApp answered in", "The proxy's address cannot be used.", "Take the proxy away",
			"Take it away and go straight", "The proxy was taken away"},
	} {
		w := start(t, onPort(t))
		proxy := proxytest.Start(t, session.ProxySOCKS5)
		created, err := w.api.CreateSession(t.Context(), "ana", "Recepción")
		if err != nil {
			t.Fatal(err)
		}
		p := w.open(language, "/sessions/"+created.ID+"/egress")
		p.see(said.try)
		p.checkPage("egress")
		host, port, err := net.SplitHostPort(proxy.Listening())
		if err != nil {
			t.Fatal(err)
		}
		typeProxy := func(host, port string) {
			p.fill("host", host)
			p.fill("port", port)
			p.fill("user", proxytest.User)
			p.fill("password", proxytest.Password)
			p.press(said.save)
		}
		typeProxy("no host", "0")
		p.see(said.bad)
		p.forget() // Chromium says that a form was refused
		p.checkPage("egress-wrong")
		p.wantNoPassword()
		typeProxy(host, port)
		p.see(said.saved)
		p.press(said.try)
		p.see(said.works)
		p.checkPage("egress-tried")
		p.wantNoPassword()
		p.press(said.remove)
		p.press(said.removeNow)
		p.see(said.removed)
	}
}

func (p *page) wantNoPassword() {
	p.t.Helper()
	if page := evaluate[string](p, "document.documentElement.outerHTML"); strings.Contains(page, "hunter2") {
		p.t.Error("the page has the proxy's password")
	}
}

// TestASessionGetsItsPace: what is no number is refused beside its field, and what is one holds.
func TestASessionGetsItsPace(t *testing.T) {
	t.Parallel()
	w := start(t)
	created, err := w.api.CreateSession(t.Context(), "ana", "Recepción")
	if err != nil {
		t.Fatal(err)
	}
	p := w.open("es", "/sessions/"+created.ID+"/limits")
	p.see("Mensajes por hora")
	p.checkPage("limits")
	p.fill("hourly", "muchos")
	p.press("Guardar el ritmo")
	p.see("Escriba un número")
	p.do("see the focus on the mistake", until(`document.activeElement.name === "hourly"`))
	p.forget() // Chromium says that a form was refused
	p.checkPage("limits-wrong")
	p.fill("hourly", "12")
	p.press("Guardar el ritmo")
	p.see("Se guardó el ritmo de envío.")
	limits, err := w.api.SessionLimits(t.Context(), created.ID)
	if err != nil || limits.Effective.Hourly != 12 {
		t.Errorf("the limits are %+v, %v", limits, err)
	}
}

// TestAPageThatIsNotThere says so in the person's language, and leads on.
func TestAPageThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := start(t)
	for language, said := range map[string]string{"es": "Esta página no existe", "en": "There is no such page"} {
		p := w.open(language, "/nowhere")
		p.see(said)
		p.forget() // Chromium says that the page is not there
		p.checkPage("not-found")
	}
}

// TestTheLanguageIsRemembered: what somebody chose counts more than what the browser asks for, on every page from then on.
func TestTheLanguageIsRemembered(t *testing.T) {
	t.Parallel()
	w := start(t)
	p := w.open("es", "/sessions?state=ready")
	p.see("Todavía no hay sesiones.")
	p.press("English")
	p.see("There are no sessions yet.")
	if search := evaluate[string](p, "location.search"); search != "?state=ready" {
		t.Errorf("the choice led to %q", search)
	}
	p.visit("/sessions/new")
	p.see("Create session")
}
