package browser_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/wasim"
)

// TestTheWholeStory is what a person does from the first login on, with nothing but the console: link a phone by the code on the screen, send a campaign from a
// spreadsheet with mistakes, watch it finish, read the report, and replay a job that failed.
func TestTheWholeStory(t *testing.T) {
	t.Parallel()
	for language, said := range map[string]struct {
		login   string
		link    linkTexts
		send    sendTexts
		failed  string
		replay  string
		again   string
		none    string
		history string
	}{
		"es": {
			login: "Ingrese con la clave",
			link: linkTexts{"Nueva sesión", "Recepción", "Crear sesión", "Mostrar el código QR", "Escanee el código", "El teléfono quedó vinculado", "Sesiones",
				"Se creó la sesión Recepción."},
			send: sendTexts{"Campañas", "Nueva campaña", "Continuar", "Se tomaron 5 filas", "1 fila rechazada", "Destinatario 1 de 4", "El texto nombra algo",
				"Termina cerca de", "1 persona pidió no recibir mensajes", "Se enviarán 3 mensajes", "Enviar", "Terminada", "Siguiente"},
			failed: "El otro sistema recibió el aviso y lo rechazó.", replay: "Repetir el trabajo", again: "El trabajo n.º 1 volvió a la cola.", none: "Ningún trabajo falló.",
			history: "repitió el trabajo fallido",
		},
		"en": {
			login: "Log in with the key",
			link: linkTexts{"New session", "Reception", "Create session", "Show the QR code", "Scan the code", "The phone is linked", "Sessions",
				"The session Reception was created."},
			send: sendTexts{"Campaigns", "New campaign", "Continue", "5 rows were taken", "1 refused row", "Recipient 1 of 4", "The text names something",
				"Ends at about", "1 person asked for no messages", "3 messages will be sent", "Send", "Completed", "Next"},
			failed: "The receiver answered 400", replay: "Replay the job", again: "Job no. 1 is back in the queue.", none: "No job failed.",
			history: "replayed the failed job",
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := start(t, toLoopback)
			p := w.tab(language)
			p.visit("/")
			p.see(said.login)
			p.logIn(w.key)
			p.linksAPhone(w.phone("+5491150000001"), said.link)
			p.sendsACampaign(said.send)
			web := w.failingJobs(1)
			p.visit("/failed-jobs")
			p.see(said.failed)
			p.do("open the job", clickOn("tbody th a"))
			p.see(said.failed)
			web.mended.Store(true)
			p.press(said.replay)
			p.see(said.again)
			p.see(said.none)
			w.awaitTold(web, 1)
			p.visit("/activity")
			p.see(said.history)
			p.checkPage("activity-end")
		})
	}
}

// linkTexts are what a person reads and presses to link a phone.
type linkTexts struct{ create, name, save, start, scan, ready, list, created string }

// linksAPhone creates a session in the list of sessions that is open, has a phone read the QR from the screen, and sees it linked without loading the page again.
func (p *page) linksAPhone(phone *wasim.Phone, said linkTexts) {
	p.t.Helper()
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
		p.t.Errorf("a new session is shown at %s", p.path())
	}
	p.checkPage("session-new-made")
	p.do("go to the link", clickOn(`main a[href$="/link"]`))
	p.see(said.start)
	p.checkPage("link-begin")
	p.press(said.start)
	p.see(said.scan)
	p.do("see the code", shown("img.code-picture"))
	p.checkPage("link-qr")
	if err := phone.ScanQR(p.t.Context(), p.readQR()); err != nil {
		p.t.Fatal(err)
	}
	p.see(said.ready)
	p.checkPage("link-ready")
	p.do("go to the session", clickOn(`main a.button[href^="/sessions/"]`))
	p.find("#history")
	p.checkPage("session")
	p.visit("/sessions")
	p.see(said.name)
	p.checkPage("sessions")
}

// sendTexts are what a person reads and presses to send a campaign.
type sendTexts struct {
	title, begin, goOn, taken, refused, position, unknown, ends, suppressed, confirm, send, completed, again string
}

// sendsACampaign goes from a spreadsheet with mistakes, a number that is there twice and somebody who opted out, to the report.
func (p *page) sendsACampaign(said sendTexts) {
	p.t.Helper()
	if err := p.world.api.Suppress(p.t.Context(), "test", "+5491150000013"); err != nil {
		p.t.Fatal(err)
	}
	p.visit("/campaigns")
	p.see(said.title)
	p.checkPage("campaigns-empty")
	p.press(said.begin)
	p.find("form[data-guess]")
	p.checkPage("campaign-people")
	p.choose("#people-file", workbook(p.t, []any{"Paciente", "Celular", "Turno"}, []any{"Ana", "+5491150000011", "domingo"},
		[]any{"Bruno", "+5491150000012", "martes"}, []any{"Carla", "+5491150000013", "jueves"}, []any{"Diego", "+5491150000014", "viernes"},
		[]any{"Ana", "11 5000 0011", "lunes"}, []any{"Nadie", "12", "domingo"}))
	p.find("#guessed-column")
	if column := evaluate[string](p, `document.querySelector("#guessed-column").value`); column != "Celular" {
		p.t.Errorf("the column of phone numbers is guessed as %q", column)
	}
	p.see(said.refused)
	p.checkPage("campaign-guess")
	for _, step := range []struct {
		name  string
		texts []string
	}{
		{"columns", []string{said.taken, said.refused}}, {"message", nil}, {"pace", []string{said.ends}}, {"check", []string{said.suppressed}},
		{"confirm", []string{said.confirm, "Hola Ana, su turno es el lunes."}},
	} {
		p.press(said.goOn)
		if step.name == "message" {
			p.find("textarea[name=text]")
			p.writeMessage(said.unknown, said.position, said.again)
		}
		for _, text := range step.texts {
			p.see(text)
		}
		p.checkPage("campaign-" + step.name)
	}
	p.press(said.send)
	p.find("#campaign-status")
	p.see(said.completed) // the page follows by itself
	p.do("wait for the receipts", until(`document.querySelector("[data-count=read]")?.textContent === "3"`))
	p.readsTheReport(said.completed)
}

// readsTheReport looks at the campaign that is open and has ended: its chart, its files, and what the phones have.
func (p *page) readsTheReport(completed string) {
	p.t.Helper()
	p.find("polyline")
	p.visit(p.path())
	p.find("svg.chart")
	p.checkPage("campaign")
	if file := p.followed(`a[href$="/deliveries.csv"]`); strings.Count(file, "read,") != 3 || !strings.Contains(file, "suppressed_blocked") {
		p.t.Errorf("the report says: %s", file)
	}
	var texts []string
	for _, message := range p.world.simulator.Contact("+5491150000011").Received() {
		texts = append(texts, message.Text)
	}
	if !slices.Equal(texts, []string{"Hola Ana, su turno es el lunes."}) {
		p.t.Errorf("Ana's phone has %q", texts)
	}
	p.visit("/campaigns")
	p.see(completed)
	p.checkPage("campaigns")
}
