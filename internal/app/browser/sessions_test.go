package browser_test

import (
	"strings"
	"testing"
)

// TestAPersonLinksAPhone: a session is created, the phone reads the QR from the screen, and the page says so without being loaded again.
func TestAPersonLinksAPhone(t *testing.T) {
	t.Parallel()
	rows := map[string]struct{ create, name, save, start, scan, ready, list, created string }{
		"es": {"Nueva sesión", "Recepción", "Crear sesión", "Mostrar el código QR", "Escanee el código", "Lista", "Sesiones", "Se creó la sesión Recepción."},
		"en": {"New session", "Reception", "Create session", "Show the QR code", "Scan the code", "Ready", "Sessions", "The session Reception was created."},
	}
	for language, said := range rows {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			phone := w.phone("+5491150000001")
			p := w.open(language, "/")
			p.see(said.list)
			p.checkPage("sessions-empty")
			p.press(said.create)
			p.see(said.save)
			p.checkPage("session-new")
			p.fill("user_id", "ana")
			p.fill("name", said.name)
			p.press(said.save)
			p.see(said.created)
			if !strings.HasPrefix(p.path(), "/sessions/ses_") {
				t.Errorf("a new session is shown at %s", p.path())
			}
			p.checkPage("session")
			p.do("go to the link", clickOn(`main a[href$="/link"]`))
			p.press(said.start)
			p.see(said.scan)
			p.find("img.code-picture")
			p.do("see the code", shown("img.code-picture"))
			p.checkPage("link-qr")
			if err := phone.ScanQR(t.Context(), p.readQR()); err != nil {
				t.Fatal(err)
			}
			p.see(said.ready)
			p.visit("/sessions")
			p.see(said.name)
			p.checkPage("sessions")
		})
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
