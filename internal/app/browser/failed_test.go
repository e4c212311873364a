package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// receiver is the web app of somebody, which refuses what it is told until it is mended.
type receiver struct {
	*httptest.Server
	mended atomic.Bool
	// told is how often it took something.
	told atomic.Int32
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !r.mended.Load() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.told.Add(1)
	}))
	t.Cleanup(r.Close)
	return r
}

// toLoopback lets webhooks go to receivers of this machine.
func toLoopback(options *app.Options, _ *wasim.Server) {
	options.Webhooks.AllowPrivate = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

// failingJobs has a receiver refuse some test events, and waits until their jobs are given up.
func (w *world) failingJobs(count int) *receiver {
	w.t.Helper()
	web := startReceiver(w.t)
	hook, err := w.api.CreateWebhook(w.t.Context(), client.NewWebhook{URL: web.URL, Events: []string{"session_stable"}, UserID: "ana"})
	if err != nil {
		w.t.Fatal(err)
	}
	for range count {
		if _, err := w.api.TestWebhook(w.t.Context(), hook.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	w.awaitFailed(count)
	return web
}

// awaitFailed waits until there are so many failed jobs.
func (w *world) awaitFailed(count int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		total := 0
		for _, err := range w.api.FailedJobs(ctx, client.FailedFilter{}) {
			if err != nil {
				w.t.Fatalf("wait for %d failed jobs: %v", count, err)
			}
			total++
		}
		if total == count {
			return
		}
		<-again.C
	}
}

// TestFailedJobsAreMended: one is read, edited and replayed, one discarded with its reason, and the others replayed at once after a count.
func TestFailedJobsAreMended(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		none, count, why, edit, save, notJSON, refused, edited, replay, replayed, discard, discarded, all, counted, allNow, done string
	}{
		"es": {"Ningún trabajo falló.", "5 trabajos fallidos", "El otro sistema recibió el aviso y lo rechazó.", "Corregir el contenido", "Guardar",
			"revise la línea 2", "El servicio dice:", "El contenido se guardó.", "Repetir el trabajo", "volvió a la cola.", "Descartar", "se descartó.",
			"Repetir todos los de la lista", "Se repetirán 3 trabajos.", "Repetir todos", "3 trabajos volvieron a la cola."},
		"en": {"No job failed.", "5 failed jobs", "The receiver answered 400", "Edit the payload", "Save",
			"look at line 2", "The service says:", "The payload was saved.", "Replay the job", "is back in the queue.", "Discard", "was discarded.",
			"Replay all of the list", "3 jobs will be replayed.", "Replay all", "3 jobs are back in the queue."},
	}
	for language, said := range rows {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := start(t, toLoopback)
			p := w.open(language, "/failed-jobs")
			p.see(said.none)
			p.checkPage("failed-empty")
			web := w.failingJobs(5)
			p.see(said.count) // the page follows by itself
			p.see(said.why)
			p.checkPage("failed")
			p.do("open the first job", clickOn("tbody th a"))
			p.see(said.why)
			p.checkPage("failed-job")
			p.press(said.edit)
			p.find("textarea[name=payload]")
			p.checkPage("failed-edit")
			payload := evaluate[string](p, `document.querySelector("textarea[name=payload]").value`)
			p.fill("payload", "{\n\"version\": one\n}")
			p.press(said.save)
			p.see(said.notJSON)
			p.fill("payload", strings.Replace(payload, `"fact_id"`, `"fact_idea"`, 1))
			p.press(said.save)
			p.see(said.refused)
			p.forget() // Chromium says that a form was refused
			p.checkPage("failed-edit-wrong")
			p.fill("payload", payload)
			p.press(said.save)
			p.see(said.edited)
			p.checkPage("failed-edited")
			web.mended.Store(true)
			p.press(said.replay)
			p.see(said.replayed)
			p.do("open the first job", clickOn("tbody th a"))
			p.fill("reason", "ya no hace falta")
			p.press(said.discard)
			p.see(said.discarded)
			p.press(said.all)
			p.see(said.counted)
			p.checkPage("failed-replay-all")
			p.press(said.allNow)
			p.see(said.done)
			p.see(said.none)
			w.awaitFailed(0)
			w.awaitTold(web, 4)
		})
	}
}

// awaitTold waits until a receiver took so many events.
func (w *world) awaitTold(web *receiver, count int32) {
	w.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	given := time.After(patience)
	for web.told.Load() != count {
		select {
		case <-again.C:
		case <-given:
			w.t.Fatalf("the receiver took %d events, not %d", web.told.Load(), count)
		}
	}
}

// TestManyFailedJobsAreDiscardedInSteps, with a script and without one: what a step leaves is done by the next.
func TestManyFailedJobsAreDiscardedInSteps(t *testing.T) {
	t.Parallel()
	const total = 101 // one more than a step does
	w := start(t, toLoopback)
	for scripts := range 2 {
		w.failingJobs(total)
		p := w.open("es", "/failed-jobs/discard?kind=deliver_webhook")
		p.see(fmt.Sprintf("Se descartarán %d trabajos.", total))
		if scripts == 0 {
			p.checkPage("failed-discard-all")
			p.scripts(false)
		}
		p.fill("reason", "fue una prueba")
		p.press("Descartar todos")
		if scripts == 0 {
			p.see("Descartados: 100 de 101.")
			p.scripts(true) // for what looks at the page; its own have not begun
			p.checkPage("failed-discard-step")
			p.scripts(false)
			p.press("Seguir")
		}
		p.see("Se descartaron 101 trabajos.")
		w.awaitFailed(0)
	}
}
