package console

import (
	"net/http"
	"slices"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/events"
)

func webhookRoutes() []route {
	return []route{
		{"GET /webhooks", access.Admin, listWebhooks},
		{"GET /webhooks/new", access.Admin, newWebhook},
		{"POST /webhooks", access.Admin, createWebhook},
		{"GET /webhooks/{id}", access.Admin, showWebhook},
		{"GET /webhooks/{id}/edit", access.Admin, editWebhook},
		{"POST /webhooks/{id}/edit", access.Admin, changeWebhook},
		{"POST /webhooks/{id}/pause", access.Admin, switchWebhook(false)},
		{"POST /webhooks/{id}/resume", access.Admin, switchWebhook(true)},
		{"POST /webhooks/{id}/test", access.Admin, testWebhook},
		{"GET /webhooks/{id}/secret", access.Admin, backToWebhook},
		{"POST /webhooks/{id}/secret", access.Admin, rotateWebhook},
		{"POST /webhooks/{id}/delete", access.Admin, deleteWebhook},
	}
}

// everyEvent, as an event, stands for all of them, also those to come.
const everyEvent = "*"

// mostWebhooks is where the list ends.
const mostWebhooks = 500

// webhookRow is a webhook as the pages show it.
type webhookRow struct{ client.Webhook }

// State is a word of webhooks.state.
func (r webhookRow) State() string {
	switch {
	case r.Enabled:
		return "on"
	case r.Reason != "":
		return r.Reason
	}
	return "paused"
}

// Tone is how a webhook's state is coloured.
func (r webhookRow) Tone() string {
	switch {
	case r.Enabled:
		return "good"
	case r.Reason != "":
		return "bad"
	}
	return "warn"
}

// Every tells whether it is told everything.
func (r webhookRow) Every() bool { return slices.Contains(r.Events, everyEvent) }

// webhooksPage is the list.
type webhooksPage struct {
	Rows []webhookRow
	More bool
}

func listWebhooks(v *visit) error {
	page := webhooksPage{}
	for found, err := range v.api.Webhooks(v.context()) {
		if err != nil {
			return err
		}
		if page.More = len(page.Rows) == mostWebhooks; page.More {
			break
		}
		page.Rows = append(page.Rows, webhookRow{found})
	}
	return v.show("webhooks/list", page)
}

// webhookForm says where a webhook goes and what it is told.
type webhookForm struct {
	form
	// ID is that of a webhook that is changed; empty: it is a new one.
	ID string
	// Kinds are the events that there are; User the only user that the caller may make webhooks for, empty: any.
	Kinds []string
	User  string
}

func (v *visit) webhookForm(id string, filled form) *webhookForm {
	return &webhookForm{form: filled, ID: id, Kinds: events.FactKinds(), User: v.caller.User}
}

// wanted are the events that were ticked. Whoever wants all of them needs none by its name.
func (p *webhookForm) wanted() []string {
	if p.Has("events", everyEvent) {
		return []string{everyEvent}
	}
	return p.All("events")
}

func newWebhook(v *visit) error {
	return v.show("webhooks/edit", v.webhookForm("", newSecretForm("user_id", v.caller.User)))
}

// shownSecret is the secret of a webhook, which is shown this once.
type shownSecret struct {
	webhookRow
	// Rotated says that there was another secret before, which signs beside this one for a while.
	Rotated bool
}

func createWebhook(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	page := v.webhookForm("", filled)
	var made client.Webhook
	if err = page.check(v.language); err == nil {
		made, err = v.api.Operations().CreateWebhook(v.context(), client.NewWebhook{URL: page.Value("url"), Events: page.wanted(), UserID: page.Value("user_id")},
			client.Once(page.Value("once")))
	}
	if err != nil {
		return v.again(err, "webhooks/edit", page)
	}
	return v.show("webhooks/secret", shownSecret{webhookRow: webhookRow{made}})
}

// check says what is missing before the API is asked.
func (p *webhookForm) check(l *language) error {
	if len(p.wanted()) > 0 {
		return nil
	}
	p.Wrong["events"] = l.text("webhooks.wrong_events")
	return notFilledIn()
}

func webhookPath(id string) string { return "/webhooks/" + id }

func editWebhook(v *visit) error {
	found, err := v.api.Webhook(v.context(), v.request.PathValue("id"))
	if err != nil {
		return err
	}
	filled := newForm("url", found.URL, "user_id", found.UserID)
	filled.Values["events"] = found.Events
	return v.show("webhooks/edit", v.webhookForm(found.ID, filled))
}

func changeWebhook(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	page := v.webhookForm(v.request.PathValue("id"), filled)
	address := page.Value("url")
	if err = page.check(v.language); err == nil {
		_, err = v.api.ChangeWebhook(v.context(), page.ID, client.WebhookChange{URL: &address, Events: page.wanted()})
	}
	if err != nil {
		return v.again(err, "webhooks/edit", page)
	}
	return v.done(webhookPath(page.ID), "webhooks.changed")
}

// switchWebhook pauses a webhook or lets it go on.
func switchWebhook(on bool) func(*visit) error {
	said := "webhooks.paused"
	if on {
		said = "webhooks.resumed"
	}
	return func(v *visit) error {
		path := webhookPath(v.request.PathValue("id"))
		if _, err := v.api.ChangeWebhook(v.context(), v.request.PathValue("id"), client.WebhookChange{Enabled: &on}); err != nil {
			return v.back(err, path)
		}
		return v.done(path, said)
	}
}

// testWebhook sends the test event; the page of the webhook shows what comes of it.
func testWebhook(v *visit) error {
	path := webhookPath(v.request.PathValue("id"))
	delivery, err := v.api.TestWebhook(v.context(), v.request.PathValue("id"))
	if err != nil {
		return v.back(err, path)
	}
	return v.done(addressOf(path, "test", delivery), "")
}

// rotateWebhook answers with the new secret at once, as createKey does.
func rotateWebhook(v *visit) error {
	changed, err := v.api.RotateWebhook(v.context(), v.request.PathValue("id"))
	if err != nil {
		return v.back(err, webhookPath(v.request.PathValue("id")))
	}
	return v.show("webhooks/secret", shownSecret{webhookRow: webhookRow{changed}, Rotated: true})
}

// backToWebhook is for who asks for the address of a secret again: it was shown once.
func backToWebhook(v *visit) error {
	http.Redirect(v.writer, v.request, ownPath(webhookPath(v.request.PathValue("id"))), http.StatusSeeOther) //nolint:gosec // ownPath leads to this console only
	return nil
}

func deleteWebhook(v *visit) error {
	id := v.request.PathValue("id")
	if err := v.api.DeleteWebhook(v.context(), id); err != nil {
		return v.back(err, webhookPath(id))
	}
	return v.done("/webhooks", "webhooks.deleted")
}
