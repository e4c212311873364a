package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// newTestConsole makes a console in front of an API that answers every call in the same way.
func newTestConsole(t *testing.T) *Console {
	t.Helper()
	made, err := New(Options{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"items":[]}`))
	})})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (c *Console) get(t *testing.T, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	c.Handler().ServeHTTP(recorder, request)
	return recorder
}

func TestTheLanguageIsTheBrowsersOrTheChosenOne(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	for _, row := range []struct{ wishes, cookie, want string }{
		{"", "", "es"}, {"en-GB,en;q=0.9", "", "en"}, {"pt-BR", "", "es"}, {"de, en;q=0.5", "", "en"}, {"es-AR", "", "es"},
		{"es", "en", "en"}, {"en", "es", "es"}, {"en", "tlh", "en"}, {"nonsense;;q=x", "", "es"},
	} {
		headers := []string{"Accept-Language", row.wishes}
		if row.cookie != "" {
			headers = append(headers, "Cookie", languageCookie+"="+row.cookie)
		}
		answer := c.get(t, "/sessions", headers...)
		if got := answer.Header().Get("Content-Language"); got != row.want {
			t.Errorf("%+v is answered in %q", row, got)
		}
	}
}

func TestAFormComesBackToThisConsoleOnly(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/sessions?q=a": "/sessions?q=a", "": "/", "https://evil.example": "/", "//evil.example": "/", "/\\evil.example": "/", "/a\nb": "/",
	} {
		if got := ownPath(path); got != want {
			t.Errorf("%q leads to %q", path, got)
		}
	}
}

func TestFormsOfOtherPagesAreRefused(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	for site, want := range map[string]int{"cross-site": http.StatusForbidden, "same-site": http.StatusForbidden, "same-origin": http.StatusSeeOther} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/language", strings.NewReader("language=en&back=/sessions"))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Site", site)
		recorder := httptest.NewRecorder()
		c.Handler().ServeHTTP(recorder, request)
		if recorder.Code != want {
			t.Errorf("a form from %s is answered with %d", site, recorder.Code)
		}
	}
}

func TestPagesMayLoadTheirOwnThingsOnly(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	for _, path := range []string{"/sessions", "/nowhere", c.mustAsset(t, "main.js")} {
		header := c.get(t, path).Header()
		if got := header.Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s has the policy %q", path, got)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", path)
		}
	}
}

func (c *Console) mustAsset(t *testing.T, name string) string {
	t.Helper()
	path, err := c.assets.path(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAssetsAreKeptForEver(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	path := c.mustAsset(t, "main.js")
	answer := c.get(t, path)
	if answer.Code != http.StatusOK || !strings.Contains(answer.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%s: %d, %q", path, answer.Code, answer.Header().Get("Cache-Control"))
	}
	if again := c.get(t, path, "If-None-Match", answer.Header().Get("Etag")); again.Code != http.StatusNotModified {
		t.Errorf("the same again: %d", again.Code)
	}
	if packed := c.get(t, path, "Accept-Encoding", "gzip"); packed.Header().Get("Content-Encoding") != "gzip" {
		t.Error("it is not compressed")
	}
	if none := c.get(t, "/assets/main.js"); none.Code != http.StatusNotFound {
		t.Errorf("a name without its hash: %d", none.Code)
	}
	live := strings.TrimPrefix(c.mustAsset(t, "live.js"), "/assets/")
	if main := string(c.assets.byName[strings.TrimPrefix(path, "/assets/")].plain); !strings.Contains(main, `"./`+live+`"`) {
		t.Error("a script does not load the other by its hashed name")
	}
}

func TestAPageThatIsNotThere(t *testing.T) {
	t.Parallel()
	if answer := newTestConsole(t).get(t, "/nowhere"); answer.Code != http.StatusNotFound || answer.Header().Get("Content-Language") == "" {
		t.Errorf("%d", answer.Code)
	}
}
