package browser_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// receiversHere lets receivers of webhooks be in this machine.
func receiversHere(options *app.Options, _ *wasim.Server) {
	options.Webhooks.AllowPrivate = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

// TestAnAdministratorHasAProgramTold: a webhook is made with a secret that is shown once, tried, followed in its log, paused, changed and deleted.
func TestAnAdministratorHasAProgramTold(t *testing.T) {
	t.Parallel()
	for language, said := range map[string]struct {
		none, add, campaign, missing, bad, create, secret, back, test, came, refused, pause, paused, resume, change, save, saved,
		rotate, rotateNow, remove, removeNow, removed string
	}{
		"es": {"Todavía no se le avisa a nadie.", "Nuevo aviso web", "Una campaña cambió de estado", "Marque al menos una.", "La dirección no sirve.", "Crear y ver el secreto",
			"se muestra esta única vez", "Volver al aviso", "Enviar un aviso de prueba", "El aviso de prueba llegó.", "El aviso de prueba no llegó, y no se repite.", "Pausar",
			"El aviso quedó en pausa.", "Reanudar", "Cambiar el aviso", "Guardar", "Se guardó el aviso.", "Cambiar el secreto", "Hacer un secreto nuevo", "Eliminar",
			"Eliminar el aviso", "Se eliminó el aviso."},
		"en": {"Nobody is told yet.", "New webhook", "A campaign is in another state", "Tick at least one.", "The address cannot be used.", "Create it and see the secret",
			"it is shown this once", "Back to the webhook", "Send a test event", "The test event arrived.", "The test event did not arrive, and is not repeated.", "Pause",
			"The webhook is paused.", "Resume", "Change the webhook", "Save", "The webhook was saved.", "Change the secret", "Make a new secret", "Delete",
			"Delete the webhook", "The webhook was deleted."},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := start(t, receiversHere)
			var answer atomic.Int32
			answer.Store(http.StatusNoContent)
			type told struct {
				header http.Header
				body   []byte
			}
			received := make(chan told, 8)
			receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				received <- told{r.Header, body}
				rw.WriteHeader(int(answer.Load()))
			}))
			t.Cleanup(receiver.Close)
			p := w.open(language, "/webhooks")
			p.see(said.none)
			p.checkPage("webhooks-none")
			p.press(said.add)
			p.see(said.campaign)
			p.checkPage("webhook-new")
			p.fill("url", "https://user:word@receiver.example")
			p.press(said.create)
			p.see(said.missing)
			p.forget() // Chromium says that a form was refused
			p.checkPage("webhook-wrong")
			p.do("tick", clickOn(`[name=events][value=campaign_changed]`))
			p.press(said.create)
			p.see(said.bad)
			p.forget()
			p.fill("url", receiver.URL+"/hook")
			p.press(said.create)
			p.see(said.secret)
			p.checkPage("webhook-secret")
			secret := evaluate[string](p, `document.getElementById("webhook-secret").textContent`)
			p.press(said.back)
			p.see(said.campaign)
			if page := evaluate[string](p, "document.documentElement.outerHTML"); strings.Contains(page, secret) {
				t.Error("the secret is shown a second time")
			}
			p.press(said.test)
			p.see(said.came)
			p.checkPage("webhook-tested")
			verifier, err := standard.NewWebhook(secret)
			if err != nil {
				t.Fatalf("the secret that was shown is none: %v", err)
			}
			got, asked := <-received, evaluate[string](p, `new URLSearchParams(location.search).get("test")`)
			if err := verifier.Verify(got.body, got.header); err != nil || got.header.Get(standard.HeaderWebhookID) != asked {
				t.Errorf("the receiver was told %q, and not %q; %v", got.header, asked, err)
			}
			answer.Store(http.StatusNotFound)
			p.press(said.test)
			p.see(said.refused)
			p.do("see it in the log", until(`document.querySelectorAll("[data-fragment=log] tbody tr").length === 2`))
			p.checkPage("webhook-refused")
			p.press(said.pause)
			p.see(said.paused)
			p.checkPage("webhook-paused")
			p.press(said.resume)
			p.see(said.test)
			p.press(said.change)
			p.see(said.save)
			p.checkPage("webhook-edit")
			p.do("tick all", clickOn(`[name=events][value="*"]`))
			p.press(said.save)
			p.see(said.saved)
			p.press(said.rotate)
			p.press(said.rotateNow)
			p.see(said.secret)
			if again := evaluate[string](p, `document.getElementById("webhook-secret").textContent`); again == secret {
				t.Error("the secret is the same")
			}
			p.visit("/webhooks")
			p.see(receiver.URL)
			p.checkPage("webhooks")
			p.do("open it", clickOn(`main th a`))
			p.see(said.test)
			p.do("ask to delete", clickOn("#delete summary"))
			p.press(said.removeNow)
			p.see(said.removed)
			p.see(said.none)
		})
	}
}
