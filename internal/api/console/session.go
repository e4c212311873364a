package console

import (
	"slices"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/session"
)

// sessionPage is one session with all that is known of it.
type sessionPage struct {
	sessionRow
	Diagnosis *diagnosisView
	Entries   []entryView
	Egress    egressView
	Limits    []limitField
}

// Linked tells whether the session has a device that stays connected.
func (p sessionPage) Linked() bool { return session.State(p.State).Linked() }

// Unlimited tells whether nothing slows the session down.
func (p sessionPage) Unlimited() bool {
	return !slices.ContainsFunc(p.Limits, func(field limitField) bool { return field.Holds != "" })
}

// diagnosisView is why a session was logged out, in one language.
type diagnosisView struct {
	client.Diagnosis
	Happened, Why, Next string
	Evidence            []entryView
}

// entryView is an entry of a session's history.
type entryView struct {
	client.Entry
	Sentence string
}

func showSession(v *visit) error {
	found, err := v.api.Session(v.context(), v.request.PathValue("id"))
	if err != nil {
		return err
	}
	page := sessionPage{sessionRow: v.language.sessionRow(found)}
	entries, err := v.api.History(v.context(), found.ID)
	if err != nil {
		return err
	}
	page.Entries = v.language.entries(entries)
	if page.Diagnosis, err = v.diagnosis(found.ID); err != nil {
		return err
	}
	if page.Egress, err = v.egress(found.ID); err != nil {
		return err
	}
	limits, err := v.api.SessionLimits(v.context(), found.ID)
	if err != nil {
		return err
	}
	page.Limits = v.language.limitFields(limits.Effective)
	return v.show("sessions/session", page)
}

// diagnosis explains a logout; nil when there is nothing to explain.
func (v *visit) diagnosis(id string) (*diagnosisView, error) {
	found, err := v.api.Diagnosis(v.context(), id)
	if client.IsCode(err, "nothing_to_diagnose") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l := v.language
	return &diagnosisView{Diagnosis: found, Happened: l.choose(found.Happened), Why: l.choose(found.Why), Next: l.choose(found.Next),
		Evidence: l.entries(found.Evidence)}, nil
}

// choose gives the language's side of a text in both.
func (l *language) choose(text client.Text) string {
	if l.code == spanish {
		return text.Es
	}
	return text.En
}

func (l *language) entries(found []client.Entry) []entryView {
	views := make([]entryView, 0, len(found))
	for _, entry := range found {
		views = append(views, entryView{Entry: entry, Sentence: l.reason(entry.Reason)})
	}
	return views
}
