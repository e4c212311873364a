package console

import (
	"net"
	"net/http"
	"net/url"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/session"
)

func egressRoutes() []route {
	return []route{
		{"GET /sessions/{id}/egress", access.Viewer, showEgress},
		{"POST /sessions/{id}/egress", access.Operator, setEgress},
		{"POST /sessions/{id}/egress/delete", access.Operator, deleteEgress},
		{"POST /sessions/{id}/egress/check", access.Operator, checkEgress},
	}
}

// egressView is the network way out of a session. It never has the password of a proxy.
type egressView struct {
	client.Egress
	// Missing says that this service keeps no proxies.
	Missing bool
}

func (v *visit) egress(id string) (egressView, error) {
	found, err := v.api.Egress(v.context(), id)
	if client.IsCode(err, "egress_not_configured") {
		return egressView{Missing: true}, nil
	}
	return egressView{Egress: found}, err
}

// egressPage is the proxy of a session: what it is, whether it works, and another one. The password that somebody types is sent on, and never drawn.
type egressPage struct {
	form
	Session sessionRow
	Egress  egressView
	// Schemes are the kinds of proxies.
	Schemes []string
	// Checked is what a try found; absent when nobody tried.
	Checked *client.EgressCheck
	// CheckSentence says what is wrong and what to do.
	CheckSentence string
}

// Linked tells whether the session is linked, so that a change of its way out is a risk.
func (p *egressPage) Linked() bool { return session.State(p.Session.State).Linked() }

func (v *visit) egressPage(filled form) (*egressPage, error) {
	found, err := v.api.Session(v.context(), v.request.PathValue("id"))
	if err != nil {
		return nil, err
	}
	page := &egressPage{form: filled, Session: v.language.sessionRow(found), Schemes: []string{"socks5", "http", "https"}}
	page.Egress, err = v.egress(found.ID)
	return page, err
}

func egressPath(id string) string { return sessionPath(id) + "/egress" }

func showEgress(v *visit) error {
	page, err := v.egressPage(newForm("scheme", "socks5"))
	if err != nil {
		return err
	}
	return v.show("sessions/egress", page)
}

func setEgress(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	id := v.request.PathValue("id")
	proxy := url.URL{Scheme: filled.Value("scheme"), Host: net.JoinHostPort(filled.Value("host"), filled.Value("port"))}
	if user := filled.Value("user"); user != "" {
		proxy.User = url.UserPassword(user, filled.Values.Get("password"))
	}
	if _, err = v.api.SetEgress(v.context(), id, proxy.String(), filled.Is("move", "yes")); err == nil {
		return v.done(egressPath(id), "egress.saved")
	}
	page, pageErr := v.egressPage(filled)
	if pageErr != nil {
		return pageErr
	}
	return v.again(err, "sessions/egress", page)
}

func deleteEgress(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	id := v.request.PathValue("id")
	if _, err := v.api.DeleteEgress(v.context(), id, filled.Is("move", "yes")); err != nil {
		return v.back(err, egressPath(id))
	}
	return v.done(egressPath(id), "egress.deleted")
}

// checkEgress tries the way out and shows what came of it. Nothing is changed, so the page is the answer itself.
func checkEgress(v *visit) error {
	checked, err := v.api.CheckEgress(v.context(), v.request.PathValue("id"))
	if err != nil {
		return v.back(err, egressPath(v.request.PathValue("id")))
	}
	page, err := v.egressPage(newForm("scheme", "socks5"))
	if err != nil {
		return err
	}
	page.Checked = &checked
	page.CheckSentence = v.language.choose(client.Text{En: checked.Message, Es: checked.MessageSpanish})
	return v.write(http.StatusOK, "sessions/egress", "layout", v.view(page))
}
