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

// logIn trades a key for a login. A key that is not right is said beside the field, and never drawn again.
func logIn(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	if _, err := v.console.options.Logins.LogIn(v.writer, v.request, filled.Value("key")); err != nil {
		if problem, ok := asProblem(err); ok && problem.Status == http.StatusUnauthorized {
			filled.Wrong["key"] = v.language.text("account.wrong_key")
		}
		return v.again(err, "account/login", &loginPage{form: filled})
	}
	return v.done(ownPath(filled.Value("next")), "")
}

func logOut(v *visit) error {
	if err := v.console.options.Logins.LogOut(v.writer, v.request); err != nil {
		return err
	}
	return v.done("/login", "account.logged_out")
}
