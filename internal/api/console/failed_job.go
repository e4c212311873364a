package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dannsalud/broadcaster/client"
)

// failedJobPage is one failed job with all that is known of it; its form is the payload, while it is edited.
type failedJobPage struct {
	form
	failedRow
	// First says why its first attempt failed, when that was something else.
	First string
	// Payload is the job itself for a person to read, Edited what somebody put in its place.
	Payload, Edited string
	Headers         []hidden
	// Editable tells whether the payload may be edited by this caller, Insist whether a replay has to be asked for twice.
	Editable, Insist bool
}

// entry gives the failed job that the address names. What is no number is none.
func (v *visit) entry() (uint64, error) {
	entry, err := strconv.ParseUint(v.request.PathValue("entry"), 10, 64)
	if err != nil {
		return 0, &client.Problem{Status: http.StatusNotFound, Class: "not_found", Code: "no_failed_job"}
	}
	return entry, nil
}

func (v *visit) failedJobPage() (*failedJobPage, error) {
	entry, err := v.entry()
	if err != nil {
		return nil, err
	}
	found, err := v.api.FailedJob(v.context(), entry)
	if err != nil {
		return nil, err
	}
	page := &failedJobPage{form: newForm(), failedRow: failedRow{found, v.language.failure(found.LastError), found.SessionID}, Payload: readable(found.Payload, found.PayloadBase64)}
	page.Insist = !found.Replay.Safe
	if found.FirstError.Code != found.LastError.Code {
		page.First = v.language.failure(found.FirstError)
	}
	if found.Edit != nil {
		page.Edited = readable(found.Edit.Payload, nil)
	}
	// A command can be mended; a fact is what happened. A payload may name the sessions of anybody, so that a key of one user edits none.
	page.Editable = strings.HasPrefix(found.Subject, "commands.") && v.caller.User == ""
	for _, name := range slices.Sorted(maps.Keys(found.Headers)) {
		page.Headers = append(page.Headers, hidden{name, found.Headers[name]})
	}
	if found.SessionID != "" {
		if owner, err := v.api.Session(v.context(), found.SessionID); err == nil {
			page.Session = owner.Name
		} // a session that is gone is shown by its id
	}
	return page, nil
}

// readable writes a payload for a person: JSON a field a line, text as it is, and anything else by its bytes.
func readable(payload json.RawMessage, other []byte) string {
	var lines bytes.Buffer
	if len(payload) > 0 && json.Indent(&lines, payload, "", "  ") == nil {
		return lines.String()
	}
	if utf8.Valid(other) {
		return string(other)
	}
	return strconv.QuoteToASCII(string(other))
}

func showFailed(v *visit) error {
	page, err := v.failedJobPage()
	if err != nil {
		return err
	}
	return v.show("failed/job", page)
}

func editFailed(v *visit) error {
	page, err := v.failedJobPage()
	if err != nil {
		return err
	}
	page.Values.Set("payload", page.Payload)
	if page.Edited != "" {
		page.Values.Set("payload", page.Edited)
	}
	return v.show("failed/edit", page)
}

func saveFailed(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	page, err := v.failedJobPage()
	if err != nil {
		return err
	}
	page.form = filled
	var payload json.RawMessage
	if err = json.Unmarshal([]byte(filled.Value("payload")), &payload); err != nil {
		page.Wrong["payload"] = v.language.notJSON(err, filled.Value("payload"))
		return v.wrongForm(notFilledIn(), "failed/edit", page)
	}
	if _, err := v.api.EditJob(v.context(), page.Entry, payload); err != nil {
		if problem, ok := asProblem(err); ok && len(problem.Errors) > 0 {
			page.Wrong["payload"] = v.language.text("failed.wrong.payload", "Reason", problem.Errors[0].Message)
		}
		return v.wrongForm(err, "failed/edit", page)
	}
	return v.done(failedJobPath(page.Entry), "failed.edited")
}

// notJSON says where a text stops being JSON.
func (l *language) notJSON(err error, text string) string {
	line := 1 + strings.Count(text, "\n")
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line = 1 + strings.Count(text[:min(int(syntax.Offset), len(text))], "\n")
	}
	return l.text("failed.wrong.json", "Line", l.number(line))
}

func replayFailed(v *visit) error {
	return v.repair("failed.replayed", func(entry uint64, filled *form) error {
		_, err := v.api.ReplayJob(v.context(), entry, filled.Is("force", "yes"))
		return err
	})
}

func discardFailed(v *visit) error {
	return v.repair("failed.discarded", func(entry uint64, filled *form) error {
		return v.api.DiscardJob(v.context(), entry, filled.Value("reason"))
	})
}

// repair does something to the failed job of the address and goes back to the list; what is refused is said on the job's page.
func (v *visit) repair(done string, act func(entry uint64, filled *form) error) error {
	entry, err := v.entry()
	if err != nil {
		return err
	}
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	if err = act(entry, &filled); err == nil {
		return v.done(failedPath, done, "Entry", entry)
	}
	page, pageErr := v.failedJobPage()
	if pageErr != nil {
		return pageErr
	}
	page.form, page.Insist = filled, page.Insist || client.IsCode(err, "replay_interrupted")
	return v.again(err, "failed/job", page)
}
