package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/client"
)

// consoleOn makes a console in front of an API with some sessions.
func consoleOn(t *testing.T, sessions []client.Session) *Console {
	t.Helper()
	made, err := New(Options{Logins: everybody{}, API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(map[string]any{"items": sessions}); err != nil {
			t.Error(err)
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

var nameInList = regexp.MustCompile(`<a href="/sessions/ses_[0-9]+">([^<]+)</a>`)

// namesAt gives the names of the sessions on a page of the list, in their order.
func (c *Console) namesAt(t *testing.T, path string) (names []string, body string) {
	t.Helper()
	answer := c.get(t, path)
	if answer.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, answer.Code)
	}
	for _, found := range nameInList.FindAllStringSubmatch(answer.Body.String(), -1) {
		names = append(names, found[1])
	}
	return names, answer.Body.String()
}

func TestWhatNeedsSomebodyIsListedFirst(t *testing.T) {
	t.Parallel()
	c := consoleOn(t, []client.Session{
		{ID: "ses_1", Name: "b lista", State: "ready"}, {ID: "ses_2", Name: "A lista", State: "ready"}, {ID: "ses_3", Name: "nueva", State: "new"},
		{ID: "ses_4", Name: "cerrada", State: "logged_out"}, {ID: "ses_5", Name: "en pausa", State: "paused"},
		{ID: "ses_6", Name: "apagado", State: "ready", Warning: &client.Note{Es: "Encienda el teléfono.", En: "Turn the phone on."}},
	})
	names, body := c.namesAt(t, "/sessions")
	if want := []string{"cerrada", "apagado", "en pausa", "nueva", "A lista", "b lista"}; !slices.Equal(names, want) {
		t.Errorf("listed as %q, not %q", names, want)
	}
	if !strings.Contains(body, "6 sesiones en total") || !strings.Contains(body, "Encienda el teléfono.") {
		t.Error("they are not counted, or a warning is missing")
	}
	if names, _ = c.namesAt(t, "/sessions?q=LISTA"); !slices.Equal(names, []string{"A lista", "b lista"}) {
		t.Errorf("a search found %q", names)
	}
	if names, _ = c.namesAt(t, "/sessions?state=paused"); !slices.Equal(names, []string{"en pausa"}) {
		t.Errorf("a state has %q", names)
	}
	if _, body = c.namesAt(t, "/sessions?q=nadie"); !strings.Contains(body, "Ninguna sesión coincide") {
		t.Error("nothing is said of a search that finds nothing")
	}
	fragment := c.get(t, "/sessions?fragment=list").Body.String()
	if strings.Contains(fragment, "<html") || !strings.Contains(fragment, "cerrada") {
		t.Errorf("a fragment is %.80q", fragment)
	}
	if answer := c.get(t, "/sessions?fragment=nothing"); answer.Code != http.StatusNotFound {
		t.Errorf("a fragment that there is not: %d", answer.Code)
	}
}

var nextPage = regexp.MustCompile(`href="([^"]+)" rel="next"`)

func TestEverySessionIsOnOnePageOfTheList(t *testing.T) {
	t.Parallel()
	const total = 2*sessionsOnPage + 1
	var sessions []client.Session
	for i := range total {
		sessions = append(sessions, client.Session{ID: fmt.Sprintf("ses_%d", i), Name: fmt.Sprintf("name %03d", i), State: "ready"})
	}
	c := consoleOn(t, append(sessions, client.Session{ID: "ses_999", Name: "other", State: "new"}))
	seen := map[string]int{}
	path := "/sessions?q=name"
	pages := 0
	for path != "" {
		names, body := c.namesAt(t, path)
		for _, name := range names {
			seen[name]++
		}
		pages, path = pages+1, ""
		if next := nextPage.FindStringSubmatch(body); next != nil {
			path = strings.ReplaceAll(next[1], "&amp;", "&")
			if parsed, err := url.Parse(path); err != nil || parsed.Query().Get("q") != "name" {
				t.Fatalf("the next page is at %q", path)
			}
		}
	}
	if pages != 3 || len(seen) != total {
		t.Errorf("%d sessions on %d pages", len(seen), pages)
	}
	for name, times := range seen {
		if times != 1 {
			t.Errorf("%s is listed %d times", name, times)
		}
	}
}
