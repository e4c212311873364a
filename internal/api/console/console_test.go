package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
)

// newTestConsole makes a console in front of an API that answers every call in the same way.
func newTestConsole(t *testing.T) *Console {
	t.Helper()
	made, err := New(Options{Logins: everybody{}, API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

// everybody lets everybody in as an administrator, for tests that are not about who may do what.
type everybody struct{}

// Caller implements Logins.
func (everybody) Caller(*http.Request) access.Caller { return access.Caller{Role: access.Admin} }

// LogIn implements Logins.
func (everybody) LogIn(http.ResponseWriter, *http.Request, string) (access.Caller, error) {
	return access.Caller{Role: access.Admin}, nil
}

// LogOut implements Logins.
func (everybody) LogOut(http.ResponseWriter, *http.Request) error { return nil }

// fakeLogins knows one key for each role.
type fakeLogins struct{ t *testing.T }

func (f fakeLogins) Caller(r *http.Request) access.Caller {
	cookie, err := r.Cookie("login")
	if err != nil {
		return access.Caller{}
	}
	return access.Caller{Role: access.Role(cookie.Value), Name: "Clave de prueba"}
}

func (f fakeLogins) LogIn(w http.ResponseWriter, _ *http.Request, key string) (access.Caller, error) {
	role := access.Role(strings.TrimPrefix(key, "key of "))
	if !access.Admin.Includes(role) {
		return access.Caller{}, &client.Problem{Status: http.StatusUnauthorized, Class: "unauthorized"}
	}
	http.SetCookie(w, &http.Cookie{Name: "login", Value: string(role)})
	return access.Caller{Role: role}, nil
}

func (f fakeLogins) LogOut(w http.ResponseWriter, _ *http.Request) error {
	http.SetCookie(w, &http.Cookie{Name: "login", MaxAge: -1})
	return nil
}

func TestWhoIsNotLoggedInIsSentToTheLogin(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	c.options.Logins = fakeLogins{t}
	if answer := c.get(t, "/sessions?q=a"); answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != "/login?next=%2Fsessions%3Fq%3Da" {
		t.Errorf("%d to %q", answer.Code, answer.Header().Get("Location"))
	}
	if answer := c.get(t, "/sessions/new", "Cookie", "login=viewer"); answer.Code != http.StatusForbidden {
		t.Errorf("a viewer at a form: %d", answer.Code)
	}
	for role, want := range map[string]bool{"viewer": false, "operator": true, "admin": true} {
		answer := c.get(t, "/sessions", "Cookie", "login="+role)
		if got := strings.Contains(answer.Body.String(), `href="/sessions/new"`); answer.Code != http.StatusOK || got != want {
			t.Errorf("a %s is shown the button: %t, %d", role, got, answer.Code)
		}
	}
}

func (c *Console) post(t *testing.T, path string, values ...string) *httptest.ResponseRecorder {
	t.Helper()
	body := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		body.Add(values[i], values[i+1])
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	c.Handler().ServeHTTP(recorder, request)
	return recorder
}

func TestAKeyOpensAndIsNeverDrawn(t *testing.T) {
	t.Parallel()
	c := newTestConsole(t)
	c.options.Logins = fakeLogins{t}
	opened := c.post(t, "/login", "key", "key of viewer", "next", "/sessions?q=a")
	if opened.Code != http.StatusSeeOther || opened.Header().Get("Location") != "/sessions?q=a" || !strings.Contains(opened.Header().Get("Set-Cookie"), "viewer") {
		t.Errorf("%d to %q", opened.Code, opened.Header().Get("Location"))
	}
	refused := c.post(t, "/login", "key", "not-the-key", "next", "//evil.example")
	if refused.Code != http.StatusUnauthorized || !strings.Contains(refused.Body.String(), "Esta clave no entra") || strings.Contains(refused.Body.String(), "not-the-key") {
		t.Errorf("%d: %s", refused.Code, refused.Body)
	}
	left := c.post(t, "/logout")
	if left.Code != http.StatusSeeOther || left.Header().Get("Location") != "/login" {
		t.Errorf("%d to %q", left.Code, left.Header().Get("Location"))
	}
}
