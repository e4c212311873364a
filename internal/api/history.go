package api

import (
	"context"
	"errors"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// EntryView is one thing that happened to a session.
type EntryView struct {
	At      time.Time         `json:"at"`
	Kind    session.EntryKind `json:"kind" enum:"linked,connected,disconnected,stream_error,restricted,unrestricted,sends,ended" doc:"What happened."`
	Reason  session.Reason    `json:"reason,omitempty" doc:"A stable code for why."`
	Detail  string            `json:"detail,omitempty" doc:"WhatsApp's own code."`
	Sent    int               `json:"sent" doc:"Messages in the hour before; for sends, in the hour that began then."`
	SentNew int               `json:"sent_new" doc:"How many of them were the first to a number that had not written, as far as the worker knows that sent them."`
	Beside  int               `json:"beside,omitempty" doc:"Other sessions on the same egress; only for ended."`
	Egress  string            `json:"egress"`
}

func viewEntry(entry session.HistoryEntry) EntryView { return EntryView(entry) }

// HistoryView is what happened to a session lately.
type HistoryView struct {
	Entries []EntryView `json:"entries" doc:"At most 50, newest first."`
}

type historyOutput struct{ Body HistoryView }

func (a *API) getHistory(ctx context.Context, input *SessionInput) (*historyOutput, error) {
	_, history, err := a.historyOf(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get history", err)
	}
	output := &historyOutput{Body: HistoryView{Entries: []EntryView{}}}
	for i := range history.Entries {
		output.Body.Entries = append(output.Body.Entries, viewEntry(history.Entries[len(history.Entries)-1-i]))
	}
	return output, nil
}

// historyOf gives a session and what happened to it; an empty history when nothing did.
func (a *API) historyOf(ctx context.Context, id session.ID) (session.Session, session.History, error) {
	found, err := a.options.Sessions.Get(ctx, id)
	if err != nil {
		return found, session.History{}, err
	}
	history, err := a.options.Histories.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return found, history, err
}

// DiagnosisView says why a session ended.
type DiagnosisView struct {
	At       time.Time      `json:"at" doc:"When it ended."`
	Reason   session.Reason `json:"reason" doc:"What WhatsApp said."`
	Happened TextView       `json:"happened" doc:"The same for a person."`
	Cause    session.Cause  `json:"cause" enum:"replaced_by_another_connection,client_outdated,banned,phone_offline_too_long,restricted_after_new_contacts,several_sessions_on_one_address,unlinked_by_user,unknown" doc:"The likely cause."`
	Guess    bool           `json:"guess" doc:"The cause is concluded from what happened around the end; else WhatsApp said it."`
	Why      TextView       `json:"why" doc:"The cause for a person."`
	Next     TextView       `json:"next" doc:"What to do now."`
	Until    *time.Time     `json:"until,omitempty" doc:"When it may be linked again, while its egress rests."`
	Evidence []EntryView    `json:"evidence" doc:"What the cause was concluded from, oldest first."`
}

// TextView is a text in both languages.
type TextView struct {
	En string `json:"en"`
	Es string `json:"es"`
}

type diagnosisOutput struct{ Body DiagnosisView }

func (a *API) getDiagnosis(ctx context.Context, input *SessionInput) (*diagnosisOutput, error) {
	found, history, err := a.historyOf(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "diagnose session", err)
	}
	diagnosis, ended := session.Diagnose(found, history)
	if !ended {
		return nil, a.problem(ctx, "diagnose session", fault.New(fault.NotFound, "nothing_to_diagnose",
			"The session has not been logged out since it was last connected, so there is nothing to explain"))
	}
	view, err := a.viewDiagnosis(ctx, found, diagnosis)
	if err != nil {
		return nil, a.problem(ctx, "diagnose session", err)
	}
	return &diagnosisOutput{Body: view}, nil
}

func (a *API) viewDiagnosis(ctx context.Context, found session.Session, diagnosis session.Diagnosis) (DiagnosisView, error) {
	egress, err := a.options.Links.Egress(ctx, found.EgressName())
	if err != nil {
		return DiagnosisView{}, err
	}
	until, _ := egress.Rests(a.now())
	reason := diagnosis.Entry.Reason
	view := DiagnosisView{At: diagnosis.Entry.At, Reason: reason, Cause: diagnosis.Cause, Guess: diagnosis.Guess, Until: optionalTime(until),
		Happened: TextView{En: reason.Sentence(session.English), Es: reason.Sentence(session.Spanish)}}
	view.Why.En, view.Next.En = diagnosis.Cause.Explain(session.English)
	view.Why.Es, view.Next.Es = diagnosis.Cause.Explain(session.Spanish)
	for _, entry := range diagnosis.Evidence {
		view.Evidence = append(view.Evidence, viewEntry(entry))
	}
	return view, nil
}
