package browser_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
)

// TestAPersonLogsInAndOut: a page asks for a key first and is shown then; a wrong key is said; after the logout the page asks again.
func TestAPersonLogsInAndOut(t *testing.T) {
	t.Parallel()
	w := start(t)
	for language, said := range map[string]struct{ asked, wrong, inside, leave, left string }{
		"es": {"Ingrese con la clave", "Esta clave no entra.", "Buscar", "Salir", "Salió de la consola."},
		"en": {"Log in with the key", "This key does not open.", "Search", "Log out", "You have logged out."},
	} {
		p := w.tab(language)
		p.visit("/sessions?state=ready")
		p.see(said.asked)
		p.checkPage("login")
		p.logIn("bcr_not_a_key")
		p.see(said.wrong)
		p.forget() // Chromium says that a form was refused
		p.checkPage("login-wrong")
		p.logIn(w.key)
		p.see(said.inside)
		if search := evaluate[string](p, "location.pathname + location.search"); search != "/sessions?state=ready" {
			t.Errorf("the login led to %s", search)
		}
		if script := evaluate[string](p, "document.cookie"); script != "" {
			t.Errorf("scripts can read the cookies %q", script)
		}
		p.press(said.leave)
		p.see(said.left)
		p.visit("/sessions")
		p.see(said.asked)
	}
}

// keyOf makes a key of a role; for a user, or for everybody's things when it is empty.
func (w *world) keyOf(role, user string) string {
	w.t.Helper()
	body, err := json.Marshal(map[string]string{"name": "Clave de " + role, "role": role, "user_id": user})
	if err != nil {
		w.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.product.URL()+"/v1/keys", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+w.key)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var made struct {
		Key string `json:"key"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || made.Key == "" {
		w.t.Fatalf("no key: %d, %v", answer.StatusCode, err)
	}
	return made.Key
}

// TestAViewerSeesAndTouchesNothing: no page offers what the key may not do, and the pages for it are closed.
func TestAViewerSeesAndTouchesNothing(t *testing.T) {
	t.Parallel()
	w := start(t, toLoopback)
	w.failingJobs(1)
	id, _ := w.linked("+5491150000001")
	p := w.openAs(w.keyOf("viewer", ""), "es", "/sessions")
	p.see("Recepción")
	p.see("Clave: Clave de viewer")
	for name, path := range map[string]string{"sessions": "/sessions", "session": "/sessions/" + id, "egress": "/sessions/" + id + "/egress",
		"limits": "/sessions/" + id + "/limits", "failed": "/failed-jobs", "failed-job": "/failed-jobs/1", "activity": "/activity"} {
		p.visit(path)
		p.find("h1")
		p.checkPage(name + "-viewer")
		if forms := evaluate[int](p, `document.querySelectorAll("main form[method=post], main details form").length`); forms != 0 {
			t.Errorf("%s offers %d forms", path, forms)
		}
	}
	p.visit("/sessions/" + id + "/link")
	p.see("Su clave no permite hacer esto.")
}

// TestAKeyOfOneUserShowsThatUsersSessionsOnly: another session is not there for it.
func TestAKeyOfOneUserShowsThatUsersSessionsOnly(t *testing.T) {
	t.Parallel()
	w := start(t)
	if _, err := w.api.CreateSession(t.Context(), "ana", "De Ana"); err != nil {
		t.Fatal(err)
	}
	other, err := w.api.CreateSession(t.Context(), "eva", "De Eva")
	if err != nil {
		t.Fatal(err)
	}
	p := w.openAs(w.keyOf("operator", "ana"), "es", "/sessions")
	p.see("De Ana")
	p.see("1 sesión en total")
	if open := evaluate[int](p, `document.querySelectorAll('nav a[href="/activity"], nav a[href="/opt-outs"]').length`); open != 0 {
		t.Errorf("%d places are offered that are closed to this key", open)
	}
	if evaluate[int](p, `document.querySelectorAll('nav a[href="/failed-jobs"]').length`) != 1 {
		t.Error("the failed jobs are not offered")
	}
	p.visit("/sessions/" + other.ID)
	p.see("No existe, o ya no está.")
	p.visit("/sessions/new")
	p.find("#field-user_id")
	if user := evaluate[string](p, `document.getElementById("field-user_id").value`); user != "ana" {
		t.Errorf("a new session is for %q", user)
	}
}
