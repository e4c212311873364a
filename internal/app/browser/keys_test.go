package browser_test

import (
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/client"
)

// TestAnAdministratorMakesAndRevokesAKey: it is shown once and can be copied, it opens, it is on no other page, and revoked it opens no more.
func TestAnAdministratorMakesAndRevokesAKey(t *testing.T) {
	t.Parallel()
	for language, said := range map[string]struct{ title, name, create, made, copied, back, revoke, now, revoked, state, gone, past string }{
		"es": {"Claves", "Agenda web", "Hacer la clave", "La clave Agenda web está hecha", "Copiado.", "Todas las claves", "Anular", "Anular ahora",
			"Se anuló la clave Agenda web.", "Anulada", "Esta clave no entra.", "La clave no se puede hacer así."},
		"en": {"Keys", "Web calendar", "Make the key", "The key Web calendar is made", "Copied.", "All keys", "Revoke", "Revoke it now",
			"The key Web calendar was revoked.", "Revoked", "This key does not open.", "The key cannot be made like this."},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			p := w.open(language, "/keys")
			p.see(said.title)
			p.checkPage("keys")
			p.fill("name", said.name)
			p.fill("expires_at", "2020-01-31")
			p.press(said.create)
			p.see(said.past)
			p.forget() // Chromium says that a form was refused
			p.checkPage("keys-wrong")
			p.fill("expires_at", "")
			p.press(said.create)
			p.see(said.made)
			p.checkPage("key-made")
			key := evaluate[string](p, `document.getElementById("made-key").textContent`)
			if _, err := w.api.WithKey(key).Operations().GetCaller(t.Context()); err != nil {
				t.Errorf("the key does not open: %v", err)
			}
			p.do("copy", clickOn("[data-copy]"))
			p.see(said.copied)
			if address := evaluate[string](p, "location.href"); strings.Contains(address, key) {
				t.Errorf("the key is in the address %s", address)
			}
			p.press(said.back)
			p.see(said.name)
			if page := evaluate[string](p, "document.documentElement.outerHTML"); strings.Contains(page, key) {
				t.Error("the key is in the list")
			}
			row := `tr:has(details[id="revoke-` + w.keyNamed(said.name).ID + `"])`
			p.do("open the question", clickOn(row+" summary"))
			p.checkPage("key-revoke")
			p.do("revoke", clickOn(row+" button.danger"))
			p.see(said.revoked)
			p.see(said.state)
			p.checkPage("keys-revoked")
			stranger := w.tab(language)
			stranger.visit("/login")
			stranger.logIn(key)
			stranger.see(said.gone)
		})
	}
}

// keyNamed gives what is known of the key with a name.
func (w *world) keyNamed(name string) client.Key {
	w.t.Helper()
	listed, err := w.api.Operations().ListKeys(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, key := range listed.Items {
		if key.Name == name {
			return key
		}
	}
	w.t.Fatalf("there is no key %q", name)
	return client.Key{}
}

// TestOnlyAnAdministratorSeesTheKeys: the others are not offered the page, and it is closed to them.
func TestOnlyAnAdministratorSeesTheKeys(t *testing.T) {
	t.Parallel()
	w := start(t)
	p := w.openAs(w.keyOf("operator", ""), "es", "/sessions")
	p.see("Todavía no hay sesiones.")
	if offers := evaluate[int](p, `document.querySelectorAll('a[href="/keys"], a[href="/webhooks"]').length`); offers != 0 {
		t.Error("an operator is offered the keys")
	}
	for _, path := range []string{"/keys", "/webhooks"} {
		p.visit(path)
		p.see("Su clave no permite hacer esto.")
	}
}
