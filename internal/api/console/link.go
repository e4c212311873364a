package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/session"
)

func linkRoutes() []route {
	return []route{
		{"GET /sessions/{id}/link", access.Operator, showLink},
		{"POST /sessions/{id}/link", access.Operator, startLink},
		{"POST /sessions/{id}/link/cancel", access.Operator, cancelLink},
		{"POST /sessions/{id}/link/passkey", access.Operator, answerPasskey},
		{"POST /sessions/{id}/link/confirm", access.Operator, confirmPasskey},
	}
}

// linkPage is the link of a session, step by step.
type linkPage struct {
	form
	Session sessionRow
	// Link is absent before the first link; Ended says that it is over, and another one may be asked for.
	Link  *client.Link
	Ended bool
	// Sentence says what happened and what to do; Waits what a link in line waits for.
	Sentence string
	Waits    string
	// Seconds are what is left of the code that is shown, or of the step.
	Seconds int
	// Picture is where the browser finds the code to scan.
	Picture template.URL
	// Script asks a browser WhatsApp's question for a passkey, on WhatsApp's own page.
	Script string
}

func (v *visit) linkPage(filled form) (*linkPage, error) {
	id := v.request.PathValue("id")
	link, err := v.api.Link(v.context(), id)
	none := client.IsCode(err, "no_link")
	if err != nil && !none {
		return nil, err
	}
	// The session is read behind its link: when the link is ready, the session has its phone, or has lost it since.
	found, err := v.api.Session(v.context(), id)
	if err != nil {
		return nil, err
	}
	page := &linkPage{form: filled, Session: v.language.sessionRow(found), Ended: true}
	if none || session.LinkState(link.State) == session.LinkReady && !page.Linked() {
		return page, nil
	}
	v.fillLink(page, link)
	if link.Prompt != nil { // the address changes with the code, so that the browser does not show the one before
		page.Picture = template.URL(fmt.Sprintf("/v1/sessions/%s/link/qr.svg?n=%d", url.PathEscape(id), link.Prompt.Index)) //nolint:gosec // a path of our own
	}
	return page, nil
}

// fillLink says on a page how far a link is.
func (v *visit) fillLink(page *linkPage, link client.Link) {
	page.Link, page.Ended, page.Sentence = &link, link.Ended(), v.language.reason(link.Reason)
	if link.Queue != nil {
		page.Waits = v.language.reason(link.Queue.WaitsFor)
	}
	deadline := link.Deadline
	if link.Prompt != nil {
		deadline = link.Prompt.Deadline
		page.Script = passkeyScript(link.Prompt.Passkey)
	}
	if !deadline.IsZero() {
		page.Seconds = max(0, int(math.Ceil(deadline.Sub(v.console.now()).Seconds())))
	}
}

// passkeyScript is what a person runs on web.whatsapp.com: browsers answer for WhatsApp's passkey on WhatsApp's own pages only (WebAuthn binds a
// passkey to its relying party, whatsapp.com). It shows the answer for a person to copy.
func passkeyScript(question json.RawMessage) string {
	var pretty bytes.Buffer
	if len(question) == 0 || json.Indent(&pretty, question, "", "  ") != nil {
		return ""
	}
	return "console.log(JSON.stringify((await navigator.credentials.get({ publicKey:\n  PublicKeyCredential.parseRequestOptionsFromJSON(" +
		pretty.String() + ") })).toJSON()))"
}

// Step is which part of the page the state needs.
func (p *linkPage) Step() string {
	if p.Link == nil {
		return "begin"
	}
	switch session.LinkState(p.Link.State) {
	case session.LinkQueued, session.LinkCoolingDown:
		return "queue"
	case session.LinkQR:
		return "qr"
	case session.LinkCode:
		return "code"
	case session.LinkPasskeyRequired:
		return "passkey"
	case session.LinkPasskeyConfirm:
		return "confirm"
	case session.LinkReady:
		return "ready"
	case session.LinkConnecting, session.LinkPaired, session.LinkRestarting:
		return "wait"
	case session.LinkNone, session.LinkExpired, session.LinkDuplicate, session.LinkRefused, session.LinkCancelled, session.LinkFailed:
		return "begin"
	}
	return "begin"
}

// Linked tells whether the session has its phone, so that no link is offered.
func (p *linkPage) Linked() bool { return session.State(p.Session.State).Linked() }

func showLink(v *visit) error {
	page, err := v.linkPage(newForm("method", "qr"))
	if err != nil {
		return err
	}
	return v.show("sessions/link", page)
}

func linkPath(id string) string { return sessionPath(id) + "/link" }

func startLink(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	id, phone := v.request.PathValue("id"), ""
	if filled.Is("method", string(session.MethodCode)) {
		phone = filled.Value("phone")
	}
	link, err := v.api.StartLink(v.context(), id, filled.Value("method"), phone)
	if warning := v.language.note(link.Warning); warning != "" {
		v.flashNotice(notice{Kind: kindWarning, Text: warning})
	}
	return v.afterLink(err, filled, "")
}

// afterLink shows the link again: with what is wrong, or as it is now.
func (v *visit) afterLink(err error, filled form, said string) error {
	id := v.request.PathValue("id")
	if err == nil {
		return v.done(linkPath(id), said)
	}
	page, pageErr := v.linkPage(filled)
	if pageErr != nil {
		return pageErr
	}
	return v.again(err, "sessions/link", page)
}

func cancelLink(v *visit) error {
	_, err := v.api.CancelLink(v.context(), v.request.PathValue("id"))
	return v.afterLink(err, newForm("method", "qr"), "")
}

// answerPasskey takes what a browser gave on WhatsApp's own page, as text.
func answerPasskey(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	answer := filled.Value("answer")
	if !json.Valid([]byte(answer)) {
		filled.Wrong["answer"] = v.language.text("link.passkey.not_json")
		return v.afterLink(&client.Problem{Status: http.StatusUnprocessableEntity, Class: "invalid"}, filled, "")
	}
	_, err = v.api.AnswerPasskey(v.context(), v.request.PathValue("id"), json.RawMessage(answer))
	return v.afterLink(err, filled, "link.passkey.given")
}

func confirmPasskey(v *visit) error {
	_, err := v.api.ConfirmPasskey(v.context(), v.request.PathValue("id"))
	return v.afterLink(err, newForm(), "")
}
