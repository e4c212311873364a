package console

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/session"
)

func sessionRoutes() []route {
	return []route{
		{"GET /sessions", access.Viewer, listSessions},
		{"GET /sessions/new", access.Operator, newSession},
		{"POST /sessions", access.Operator, createSession},
		{"GET /sessions/{id}", access.Viewer, showSession},
		{"POST /sessions/{id}/delete", access.Operator, deleteSession},
	}
}

const (
	// sessionsOnPage is how many sessions a page shows, and mostSessions where a list ends.
	sessionsOnPage = 50
	mostSessions   = 10_000
)

// sessionRow is a session as the pages show it.
type sessionRow struct {
	client.Session
	// Sentence says why it is in its state and what to do; empty when there is nothing to say.
	Sentence string
	// Attention says what somebody should do about the phone before it breaks; empty when nothing.
	Attention string
}

// Linkable tells whether a phone may be linked now.
func (r sessionRow) Linkable() bool {
	switch session.State(r.State) {
	case session.New, session.LoggedOut, session.Outdated:
		return true
	case session.Linking, session.Offline, session.Ready, session.Paused, session.Replaced, session.Removing, session.Removed:
		return false
	}
	return false
}

// Linking tells whether a phone is being linked.
func (r sessionRow) Linking() bool { return session.State(r.State) == session.Linking }

// toneOf says whether a state is good, wants somebody to look, or is broken; empty: neither.
func toneOf(state session.State) string {
	switch state {
	case session.Ready:
		return "good"
	case session.Paused, session.Offline:
		return "warn"
	case session.LoggedOut, session.Replaced, session.Outdated:
		return "bad"
	case session.New, session.Linking, session.Removing, session.Removed:
		return ""
	}
	return ""
}

// urgency orders a list: what somebody has to look at comes first.
func (r sessionRow) urgency() int {
	order := []session.State{session.LoggedOut, session.Outdated, session.Replaced, session.Paused, session.Linking, session.New, session.Offline,
		session.Ready, session.Removing}
	if r.Attention != "" {
		return slices.Index(order, session.Paused)
	}
	return slices.Index(order, session.State(r.State))
}

func (l *language) sessionRow(found client.Session) sessionRow {
	row := sessionRow{Session: found, Sentence: l.reason(found.Reason), Attention: l.note(found.Warning)}
	if row.Sentence == "" && l.has("sessions.advice."+found.State) {
		row.Sentence = l.text("sessions.advice." + found.State)
	}
	return row
}

// reason says a stable code of the session's language to a person.
func (l *language) reason(code string) string {
	return session.Reason(code).Sentence(session.Language(l.code))
}

// note says what the API says in two languages.
func (l *language) note(said *client.Note) string {
	switch {
	case said == nil:
		return ""
	case l.code == spanish:
		return said.Es
	}
	return said.En
}

// stateCount is how many sessions are in a state.
type stateCount struct {
	State string
	Count int
}

// sessionsPage is the list of sessions.
type sessionsPage struct {
	Search string
	State  string
	// States are those that can be asked for.
	States []string
	Rows   []sessionRow
	// Counts are over all sessions, whatever was searched for.
	Counts []stateCount
	Total  int
	Found  int
	Next   string
	First  string
}

func listSessions(v *visit) error {
	page := sessionsPage{Search: v.query("q"), State: v.query("state")}
	counts := map[string]int{}
	var rows []sessionRow
	for found, err := range v.api.AllSessions(v.context(), client.SessionFilter{}) {
		if err != nil {
			return err
		}
		counts[found.State]++
		page.Total++
		if page.Total > mostSessions {
			break
		}
		if (page.State == "" || found.State == page.State) && fits(found, page.Search) {
			rows = append(rows, v.language.sessionRow(found))
		}
	}
	for _, state := range session.States() {
		if state != session.Removed {
			page.States = append(page.States, string(state))
		}
		if counts[string(state)] > 0 {
			page.Counts = append(page.Counts, stateCount{string(state), counts[string(state)]})
		}
	}
	slices.SortStableFunc(rows, func(a, b sessionRow) int {
		return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
	page.Found = len(rows)
	from, _ := strconv.Atoi(v.query("from")) // what is no number is the first page
	from = min(max(0, from), len(rows))
	page.Rows = rows[from:min(from+sessionsOnPage, len(rows))]
	if from+sessionsOnPage < len(rows) {
		page.Next = addressOf("/sessions", "q", page.Search, "state", page.State, "from", strconv.Itoa(from+sessionsOnPage))
	}
	if from > 0 {
		page.First = addressOf("/sessions", "q", page.Search, "state", page.State)
	}
	return v.show("sessions/list", page)
}

// fits tells whether a session has a text in its name, user or what is shown of its number.
func fits(found client.Session, search string) bool {
	search = strings.ToLower(search)
	for _, text := range []string{found.Name, found.UserID, found.Phone, found.ID} {
		if strings.Contains(strings.ToLower(text), search) {
			return true
		}
	}
	return false
}

// newSessionPage asks whose a new session is.
type newSessionPage struct {
	form
	// User is the only user that the caller may make sessions for; empty: any.
	User string
}

func newSession(v *visit) error {
	return v.show("sessions/new", &newSessionPage{form: newForm("user_id", v.caller.User), User: v.caller.User})
}

func createSession(v *visit) error {
	filled, err := v.readForm()
	if err != nil {
		return err
	}
	created, err := v.api.CreateSession(v.context(), filled.Value("user_id"), filled.Value("name"))
	if err != nil {
		return v.again(err, "sessions/new", &newSessionPage{form: filled, User: v.caller.User})
	}
	return v.done(sessionPath(created.ID), "sessions.created", "Name", created.Name)
}

func sessionPath(id string) string { return "/sessions/" + id }

func deleteSession(v *visit) error {
	id := v.request.PathValue("id")
	if err := v.api.DeleteSession(v.context(), id); err != nil {
		return v.back(err, sessionPath(id))
	}
	return v.done("/sessions", "sessions.deleted")
}
