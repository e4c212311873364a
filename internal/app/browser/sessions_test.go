package browser_test

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/wasim"
)

// openLink creates a session by the API and opens the page of its link.
func (w *world) openLink(language string) (*page, string) {
	w.t.Helper()
	created, err := w.api.CreateSession(w.t.Context(), "ana", "Recepción")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.open(language, "/sessions/"+created.ID+"/link"), created.ID
}

// TestAPersonTypesACodeOnThePhone: the way without a camera.
func TestAPersonTypesACodeOnThePhone(t *testing.T) {
	t.Parallel()
	for language, said := range map[string]struct{ ask, ready string }{
		"es": {"Pedir el código", "El teléfono quedó vinculado"}, "en": {"Ask for the code", "The phone is linked"},
	} {
		w := start(t)
		phone := w.phone("+5491150000001")
		p, _ := w.openLink(language)
		p.fill("phone", "+54 9 11 5000 0001")
		p.press(said.ask)
		p.find("#pairing-code")
		p.checkPage("link-code")
		if err := phone.EnterCode(t.Context(), evaluate[string](p, `document.getElementById("pairing-code").textContent`)); err != nil {
			t.Fatal(err)
		}
		p.see(said.ready)
	}
}

// question finds WhatsApp's question in the script that a person is given.
var question = regexp.MustCompile(`(?s)parseRequestOptionsFromJSON\((.*)\) \}\)\)\.toJSON`)

// TestAPersonAnswersForAPasskey: the script of the page holds the question, what a browser answers is pasted, and the codes are compared.
func TestAPersonAnswersForAPasskey(t *testing.T) {
	t.Parallel()
	for language, said := range map[string]struct{ start, send, wrong, same, ready string }{
		"es": {"Mostrar el código QR", "Enviar la respuesta", "no es la respuesta completa", "Sí, es el mismo", "El teléfono quedó vinculado"},
		"en": {"Show the QR code", "Send the answer", "not the browser's whole answer", "Yes, it is the same", "The phone is linked"},
	} {
		w := start(t)
		phone := w.phone("+5491150000001")
		passkey, err := phone.AskPasskey()
		if err != nil {
			t.Fatal(err)
		}
		p, _ := w.openLink(language)
		p.press(said.start)
		p.do("see the code", shown("img.code-picture"))
		scanned := make(chan error, 1)
		qr := p.readQR()
		go func() { scanned <- phone.ScanQR(t.Context(), qr) }()
		p.find("#passkey-script")
		p.checkPage("link-passkey")
		asked := question.FindStringSubmatch(evaluate[string](p, `document.getElementById("passkey-script").textContent`))
		if asked == nil {
			t.Fatal("the script holds no question")
		}
		p.fill("answer", "{half")
		p.press(said.send)
		p.see(said.wrong)
		p.forget() // Chromium says that a form was refused
		p.checkPage("link-passkey-wrong")
		response, err := passkey.Respond([]byte(asked[1]))
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		p.fill("answer", string(encoded))
		p.press(said.send)
		p.do("see the code or the end", until(`document.querySelector('form[action$="/confirm"]') || document.querySelector(".notice.done + p")`))
		if evaluate[bool](p, `!!document.querySelector('form[action$="/confirm"]')`) {
			p.see(phone.PasskeyCode())
			p.checkPage("link-confirm")
			p.press(said.same)
		}
		p.see(said.ready)
		if err := <-scanned; err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheSecondInLineSeesItsPlace, and a cancelled link can be asked for again.
func TestTheSecondInLineSeesItsPlace(t *testing.T) {
	t.Parallel()
	w := start(t)
	first, _ := w.openLink("es")
	first.press("Mostrar el código QR")
	first.do("see the code", shown("img.code-picture"))
	second, _ := w.openLink("en")
	second.press("Show the QR code")
	second.see("Place in line")
	second.checkPage("link-queue")
	first.press("Cancelar la vinculación")
	first.see("La vinculación fue cancelada.")
	first.checkPage("link-cancelled")
	second.do("the turn comes by itself", shown("img.code-picture"))
}

// TestACodeIsRenewedUntilItExpires: the next code appears by itself, and when the last one is over the page says so and offers another link.
func TestACodeIsRenewedUntilItExpires(t *testing.T) {
	t.Parallel()
	w := start(t, func(options *app.Options, _ *wasim.Server) {
		options.Links.FirstQR, options.Links.NextQR = 2*time.Second, time.Second
	})
	p, _ := w.openLink("es")
	p.press("Mostrar el código QR")
	p.do("see the first code", shown(`img.code-picture[src$="n=1"]`))
	p.do("see the second code", shown(`img.code-picture[src$="n=2"]`))
	p.see("Nadie escaneó el código a tiempo.")
	p.see("Mostrar el código QR")
	p.checkPage("link-expired")
}

// TestALogoutIsExplained: the page of a session says by itself that the phone unlinked it, why probably, and what to do; linking at once is refused with
// the time from which it may be tried.
func TestALogoutIsExplained(t *testing.T) {
	t.Parallel()
	for language, said := range map[string]struct{ why, next, start, from string }{
		"es": {"Por qué se cerró la sesión", "Qué hacer:", "Mostrar el código QR", "Se puede intentar de nuevo a partir del"},
		"en": {"Why the session was logged out", "What to do:", "Show the QR code", "It can be tried again from"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			rules := pace.DefaultRules()
			w := start(t, func(options *app.Options, _ *wasim.Server) { options.Logouts = &rules })
			id, phone := w.linked("+5491150000001")
			p := w.open(language, "/sessions/"+id)
			p.find("#history")
			if err := phone.Unlink(phone.Devices()[0].ID); err != nil {
				t.Fatal(err)
			}
			p.see(said.why)
			p.see(said.next)
			p.checkPage("session-logged-out")
			p.visit("/sessions/" + id + "/link")
			p.press(said.start)
			p.see(said.from)
			p.forget() // Chromium says that a form was refused
			p.checkPage("link-too-early")
		})
	}
}

// TestANumberThatIsLinkedAlreadyIsRefused, and the page leads to the session that has it.
func TestANumberThatIsLinkedAlreadyIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	holder, phone := w.linked("+5491150000001")
	p, _ := w.openLink("es")
	p.press("Mostrar el código QR")
	p.do("see the code", shown("img.code-picture"))
	if err := phone.ScanQR(t.Context(), p.readQR()); err == nil {
		t.Error("the phone linked twice")
	}
	p.see("Este número ya está vinculado a otra sesión.")
	p.checkPage("link-duplicate")
	p.do("go to the session that has it", clickOn(`main .notice a`))
	p.find("#history")
	if p.path() != "/sessions/"+holder {
		t.Errorf("led to %s, not to %s", p.path(), holder)
	}
}

// TestASessionIsDeleted after a question.
func TestASessionIsDeleted(t *testing.T) {
	t.Parallel()
	w := start(t)
	id, _ := w.linked("+5491150000001")
	p := w.open("es", "/sessions/"+id)
	p.press("Eliminar esta sesión")
	p.answerQuestions()
	p.do("delete", clickOn(`form[action$="/delete"] button`))
	p.see("La sesión se elimina.")
	p.see("Todavía no hay sesiones.")
	if _, err := w.api.Session(t.Context(), id); err == nil {
		t.Error("the session is still there")
	}
}

// TestTheListFollowsWhatHappens by the stream of events, in far less time than it would look again without one.
func TestTheListFollowsWhatHappens(t *testing.T) {
	t.Parallel()
	w := start(t)
	p := w.open("es", "/sessions")
	p.see("Todavía no hay sesiones.")
	p.do("hear the stream", until(`performance.getEntriesByType("resource").some((entry) => entry.name.includes("fragment=list"))`))
	w.linked("+5491150000001")
	linked := time.Now()
	p.see("Recepción")
	p.do("see it ready", until(`document.querySelector("tbody .badge.good")`))
	const lookAgain = 10 * time.Second
	if took := time.Since(linked); took >= lookAgain {
		t.Errorf("it was seen after %v", took)
	}
	if loads := evaluate[int](p, `performance.getEntriesByType("navigation").length`); loads != 1 {
		t.Errorf("the page was loaded %d times", loads)
	}
}
