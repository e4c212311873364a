package console

import (
	"net/http"

	"github.com/dannsalud/broadcaster/internal/access"
)

func accountRoutes() []route {
	return []route{
		{"GET /{$}", access.Viewer, firstPage},
		{"GET /login", "", showLogin},
		{"POST /login", "", logIn},
		{"POST /logout", "", logOut},
		{"POST /language", "", chooseLanguage},
	}
}

func firstPage(v *visit) error {
	http.Redirect(v.writer, v.request, "/sessions", http.StatusSeeOther)
	return nil
}

// loginPage asks for a key.
type loginPage struct{ form }

func showLogin(v *visit) error {
	if v.caller.Role != "" {
		return v.done(ownPath(v.query("next")), "")
	}
	return v.show("account/login", &loginPage{form: newForm("next", ownPath(v.query("next")))})
}

// logIn hands the key to the API, and its cookie to the browser.
func logIn(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	return v.done(ownPath(filled.Value("next")), "")
}

func logOut(v *visit) error { return v.done("/login", "account.logged_out") }
