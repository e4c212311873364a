package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/session"
)

// The kinds of notices, which are also their classes in the style.
const (
	kindDone    = "done"
	kindWarning = "warning"
	kindProblem = "problem"
)

// notice is a sentence to a person about what happened and what to do.
type notice struct {
	Kind string `json:"k"`
	Text string `json:"t"`
	// More are details, a line each.
	More []string `json:"m,omitempty"`
	// Code names the problem to who is asked for help; empty for what is none.
	Code string `json:"c,omitempty"`
}

// asProblem gives the problem of the API that an error is. One that came by a call in this process, and not over HTTP, is of the API's own type; its JSON is
// the same.
func asProblem(err error) (*client.Problem, bool) {
	var problem *client.Problem
	if errors.As(err, &problem) {
		return problem, true
	}
	var status interface {
		error
		GetStatus() int
	}
	if !errors.As(err, &status) {
		return nil, false
	}
	problem = &client.Problem{}
	encoded, failed := json.Marshal(status)
	if failed == nil {
		failed = json.Unmarshal(encoded, problem)
	}
	return problem, failed == nil
}

// notice says a problem of the API in this language: by its code, or else by its class, or by its status.
func (l *language) notice(problem *client.Problem) notice {
	said := notice{Kind: kindProblem, Code: problem.Code}
	switch sentence := session.Reason(problem.Code).Sentence(session.Language(l.code)); {
	case sentence != "":
		said.Text = sentence
	case l.has("problem." + problem.Code):
		said.Text = l.text("problem." + problem.Code)
	case l.code == english && problem.Detail != "":
		said.Text = problem.Detail // the API speaks English
	case l.has("problem.class." + problem.Class):
		said.Text = l.text("problem.class." + problem.Class)
	case l.has("problem.status." + strconv.Itoa(problem.Status)):
		said.Text = l.text("problem.status." + strconv.Itoa(problem.Status))
	default:
		said.Text = l.text("problem.class.internal")
	}
	if !problem.RetryAt.IsZero() {
		said.More = append(said.More, l.text("problem.retry_at", "At", l.clock(problem.RetryAt)))
	}
	return said
}

// wrongPlace says what is wrong with one field.
func (l *language) wrongPlace(detail client.ProblemDetail) string {
	if l.code == english && detail.Message != "" {
		return detail.Message
	}
	return l.text("problem.field")
}

// fail answers for an error of a handler.
func (v *visit) fail(err error) {
	problem, ok := asProblem(err)
	switch {
	case ok && problem.Status == http.StatusUnauthorized:
		v.toLogin()
	case ok:
		v.failWith(problem.Status, v.language.notice(problem))
	default:
		if !errors.Is(err, context.Canceled) {
			v.console.options.Log.ErrorContext(v.context(), "page failed", "path", v.request.URL.Path, "error", err)
		}
		v.failWith(http.StatusInternalServerError, notice{Kind: kindProblem, Text: v.language.text("problem.class.internal")})
	}
}

// failWith answers with the page of a problem.
func (v *visit) failWith(status int, said notice) {
	if err := v.write(status, "problem", "layout", v.view(nil, said)); err != nil {
		v.console.options.Log.ErrorContext(v.context(), "page failed", "path", v.request.URL.Path, "error", err)
		http.Error(v.writer, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}
