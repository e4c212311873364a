package console

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/session"
)

// The steps of a new campaign. Nothing of it is kept in this process between two steps: the people are a saved list of the API since the first one, and
// everything else goes from step to step in the form itself.
const (
	stepAudience = "audience"
	stepColumns  = "columns"
	stepMessage  = "message"
	stepPace     = "pace"
	stepCheck    = "check"
	stepConfirm  = "confirm"
)

func wizardSteps() []string {
	return []string{stepAudience, stepColumns, stepMessage, stepPace, stepCheck, stepConfirm}
}

func wizardRoutes() []route {
	made := []route{
		{"GET /campaigns/new", access.Operator, beginCampaign},
		{"POST /campaigns/new/people", access.Operator, takePeople},
		{"POST /campaigns/new/guess", access.Operator, guessColumns},
		{"POST /campaigns/new/bubble", access.Operator, showBubble},
		{"POST /campaigns/new/end", access.Operator, showEnd},
		{"POST /campaigns/new/rejected", access.Operator, downloadRejected},
	}
	for _, step := range wizardSteps() {
		// An address that somebody loads again has no form any more.
		made = append(made, route{"GET /campaigns/new/" + step, access.Operator, restartCampaign},
			route{"POST /campaigns/new/" + step, access.Operator, wizardStep(step)})
	}
	return append(made, route{"GET /campaigns/new/people", access.Operator, restartCampaign})
}

func restartCampaign(v *visit) error { return v.done("/campaigns/new", "") }

// wizard is a new campaign at one of its steps.
type wizard struct {
	form
	zones
	Step     string
	Sessions []client.Session
	Lists    []client.List
	List     client.List
	// Report is what reading the people came to, People the first of them.
	Report  report
	People  []client.Contact
	Unknown []unmapped
	Bubble  bubble
	// Preview is what the campaign would be; Warnings are what a person should know before they go on.
	Preview   client.Preview
	Duplicate int
	Warnings  []string
	Refused   []rejectionView
	End       endView
}

// keptAt is where the form is shown once more: a change of the language must not throw it away.
func (w *wizard) keptAt() string {
	if len(w.Sessions) == 0 {
		return "" // there is no form
	}
	return "/campaigns/new/" + w.Step
}

// fieldsOf are the fields that a step shows; all others it carries along unseen.
func fieldsOf(step string) []string {
	switch step {
	case stepAudience:
		return []string{"name", "session_id", "people", "list_id", "tags", "numbers", "phone_column", "default_region"}
	case stepMessage:
		return slices.Concat(messageFields(), []string{"recipient"})
	case stepPace:
		return slices.Concat(paceFields(), []string{"session_id"})
	}
	return nil
}

// notCarried are values of a form that mean its own step only.
func notCarried() []string {
	return []string{"more", "recipient", "numbers", "people", "phone_column", "default_region", "draft", "report", "file", "language"}
}

// hidden is a field that a form carries along.
type hidden struct{ Name, Value string }

// Carried are the fields that the step does not show.
func (w *wizard) Carried() (carried []hidden) {
	shown := fieldsOf(w.Step)
	for _, name := range sortedKeys(w.Values) {
		if slices.Contains(shown, name) || slices.Contains(notCarried(), name) || (w.Step == stepMessage && isMapping(name)) {
			continue
		}
		for _, value := range w.Values[name] {
			if value != "" {
				carried = append(carried, hidden{name, value})
			}
		}
	}
	return carried
}

// stepView is a step in the line above the form.
type stepView struct {
	Name          string
	Number        int
	Current, Done bool
}

// Steps are the steps as people count them: reading the people and looking at them are one.
func (w *wizard) Steps() (views []stepView) {
	at := w.Step
	if at == stepColumns {
		at = stepAudience
	}
	done := true
	for i, step := range []string{stepAudience, stepMessage, stepPace, stepCheck, stepConfirm} {
		current := step == at
		done = done && !current
		views = append(views, stepView{Name: step, Number: i + 1, Current: current, Done: done})
	}
	return views
}

// beginCampaign starts at the first step; list names a saved list to write to.
func beginCampaign(v *visit) error {
	zone := v.console.options.Zone.String()
	filled := newForm("key", rand.Text(), "people", "file", "when", "now", "zone", zone, "hours", "service", "list_id", v.query("list"))
	if v.query("list") != "" {
		filled.Values.Set("people", "list")
	}
	page, err := v.wizard(stepAudience, filled)
	if err != nil {
		return err
	}
	return v.show("campaigns/"+stepAudience, page)
}

// wizard makes the page of a step with what all of them need.
func (v *visit) wizard(step string, filled form) (*wizard, error) {
	page := &wizard{form: filled, Step: step, zones: v.zones()}
	for found, err := range v.api.AllSessions(v.context(), client.SessionFilter{}) {
		if err != nil {
			return nil, err
		}
		if session.State(found.State).Linked() {
			page.Sessions = append(page.Sessions, found)
		}
		if len(page.Sessions) >= mostSessions {
			break
		}
	}
	if step == stepAudience {
		for found, err := range v.api.Lists(v.context()) {
			if err != nil {
				return nil, err
			}
			page.Lists = append(page.Lists, found)
		}
		return page, nil
	}
	var err error
	page.List, err = v.api.List(v.context(), page.Value("list_id"))
	return page, err
}

// wizardStep makes the handler that shows a step with what the steps before it said. Where that does not hold, the step that has to be mended is shown.
func wizardStep(step string) func(*visit) error {
	return func(v *visit) error {
		filled, err := v.readUpload(v.takeMedia)
		if err != nil {
			return v.wrongStep(err, stepMessage, filled)
		}
		return v.step(step, filled)
	}
}

func (v *visit) step(step string, filled form) error {
	page, err := v.wizard(step, filled)
	if client.IsCode(err, "not_found") { // somebody deleted the list meanwhile
		return v.wrongStep(err, stepAudience, filled)
	}
	if err != nil {
		return err
	}
	switch step {
	case stepAudience:
		if page.Value("list_id") != "" && page.Value("people") == "" { // it was made at this step before
			page.Values.Set("people", "list")
		}
	case stepColumns:
		if read, known := filled.report(); known {
			page.Report = v.language.report(read)
		}
		page.People, err = v.people(page.List.ID, nil, 5)
	case stepMessage:
		if filled.Is("more", "variant") {
			page.Values.Add("variant", "")
		}
		page.Bubble, err = v.bubble(page)
	case stepPace:
		if err = v.checkMessage(page); err != nil {
			return v.wrongStep(err, stepMessage, filled)
		}
		page.End, err = v.end(page)
	case stepCheck, stepConfirm:
		if err = v.check(page); err != nil {
			return v.wrongStep(err, stepOf(err), page.form)
		}
	}
	if err != nil {
		return err
	}
	return v.show("campaigns/"+step, page)
}

// wrongStep shows a step once more, with what is wrong in it.
func (v *visit) wrongStep(cause error, step string, filled form) error {
	if _, ok := asProblem(cause); !ok {
		return cause
	}
	page, err := v.wizard(step, filled)
	if client.IsCode(err, "not_found") {
		page, err = v.wizard(stepAudience, filled)
	}
	if err != nil {
		return errors.Join(cause, err)
	}
	if page.Step == stepMessage {
		if page.Bubble, err = v.bubble(page); err != nil {
			return err
		}
	}
	return v.wrongForm(cause, "campaigns/"+page.Step, page)
}

// wrongForm is again with the values that the API found wrong.
func (v *visit) wrongForm(err error, name string, page interface{ filled() *form }) error {
	problem, ok := asProblem(err)
	if !ok || problem.Status == http.StatusUnauthorized {
		return err
	}
	said := v.language.notice(problem)
	for _, detail := range problem.Errors {
		if text, is := detail.Value.(string); is && text != "" && len(said.More) < mostValues {
			said.More = append(said.More, v.language.text("campaigns.wrong_value", "Value", text))
		}
	}
	return v.write(problem.Status, name, "layout", v.view(page, said))
}

// mostValues is how many wrong values a notice names.
const mostValues = 5

// notFilledIn is the problem of a form in which a field is wrong; the field says what.
func notFilledIn() error {
	return &client.Problem{Status: http.StatusUnprocessableEntity, Class: "invalid"}
}

// stepOf finds the step in which a problem is mended.
func stepOf(err error) string {
	problem, ok := asProblem(err)
	if !ok {
		return stepCheck
	}
	switch problem.Code {
	case "bad_gap", "bad_limit", "bad_hours", "bad_weekday", "unknown_time_zone", "bad_schedule", "scheduled_too_late", "no_session", "session_not_linked", "":
		return stepPace
	case "audience_empty", "no_recipients", "not_found":
		return stepAudience
	}
	return stepMessage
}

// createCampaign makes the campaign that the steps described. A form that is sent twice makes one.
func createCampaign(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	wanted := v.campaignOf(&filled)
	wanted.Draft = filled.Is("draft", "yes")
	if len(filled.Wrong) > 0 {
		return v.wrongStep(notFilledIn(), stepPace, filled)
	}
	created, err := v.api.CreateCampaign(v.context(), wanted)
	if err != nil {
		return v.wrongStep(err, stepOf(err), filled)
	}
	said := "campaigns.done.create"
	if wanted.Draft {
		said = "campaigns.done.draft"
	}
	return v.done(campaignPath(created.ID), said)
}

// atoi reads a number that the form carried, which is one unless somebody wrote into it.
func atoi(text string) int {
	number, _ := strconv.Atoi(text)
	return number
}
