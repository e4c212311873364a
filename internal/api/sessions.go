package api

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// SessionView is a session as the API shows it.
type SessionView struct {
	ID        session.ID     `json:"id" doc:"Names the session for life." example:"ses_0197a1b2-0000-7000-8000-000000000000"`
	UserID    string         `json:"user_id" doc:"The web app's user that the session belongs to."`
	Name      string         `json:"name" doc:"What people call it."`
	State     session.State  `json:"state" enum:"new,linking,offline,ready,paused,logged_out,replaced,outdated,removing" doc:"What it is doing now."`
	Reason    session.Reason `json:"reason,omitempty" doc:"A stable code for why it is in this state."`
	Until     *time.Time     `json:"until,omitempty" doc:"When it may send again, while it is paused and WhatsApp said so."`
	Phone     string         `json:"phone,omitempty" doc:"The linked account's number with its middle digits hidden."`
	Egress    string         `json:"egress" doc:"The network way out: direct, or the name of a proxy. Sessions with the same one share its limits."`
	Link      *LinkView      `json:"link,omitempty" doc:"The last link of this session, without what is to be scanned."`
	CreatedAt time.Time      `json:"created_at"`
	LinkedAt  *time.Time     `json:"linked_at,omitempty" doc:"When its last link was ready."`
	// PhoneSeenAt and Warning speak of the phone, not of the device.
	PhoneSeenAt *time.Time `json:"phone_seen_at,omitempty" doc:"When the phone itself last gave a sign of life, within a few hours."`
	Warning     *NoteView  `json:"warning,omitempty" doc:"What somebody should do something about before it breaks."`
}

func (a *API) viewSession(s session.Session) SessionView {
	view := SessionView{
		ID: s.ID, UserID: s.UserID, Name: s.Name, State: s.State, Reason: s.Reason, Until: optionalTime(s.Until),
		Phone: maskPhone(s.Device.Phone), Egress: s.Egress, CreatedAt: s.CreatedAt, LinkedAt: optionalTime(s.LinkedAt),
		PhoneSeenAt: optionalTime(s.PhoneSeenAt),
	}
	if s.PhoneAttention(a.now()) != session.AttentionNone {
		view.Warning = viewNote(session.ReasonPhoneOffline)
	}
	if s.Link.State != session.LinkNone {
		link := viewLink(s)
		view.Link = &link
	}
	return view
}

type createSessionInput struct {
	Body struct {
		UserID string `json:"user_id" minLength:"1" maxLength:"200" doc:"The web app's user that the session belongs to."`
		Name   string `json:"name,omitempty" maxLength:"200" doc:"What people call it; the user id when it is left out."`
	}
}

type sessionOutput struct{ Body SessionView }

func (a *API) createSession(ctx context.Context, input *createSessionInput) (*sessionOutput, error) {
	now := a.now().UTC()
	created := session.Session{
		ID: session.NewID(), UserID: input.Body.UserID, Name: strings.TrimSpace(input.Body.Name), State: session.New,
		Egress: session.EgressDirect, CreatedAt: now, UpdatedAt: now, Revision: 1,
	}
	if created.Name == "" {
		created.Name = created.UserID
	}
	if err := a.giveDefaultEgress(ctx, &created); err != nil {
		return nil, a.problem(ctx, "give a session its user's proxy", err)
	}
	if err := a.options.Sessions.Create(ctx, created); err != nil {
		return nil, a.problem(ctx, "create session", err)
	}
	return &sessionOutput{Body: a.viewSession(created)}, nil
}

// SessionInput names a session in the path. It is exported because huma reads embedded structs only then.
type SessionInput struct {
	ID session.ID `path:"id" maxLength:"100" pattern:"^[!-~]+$" patternDescription:"visible ASCII" doc:"The session's id."`
}

func (a *API) getSession(ctx context.Context, input *SessionInput) (*sessionOutput, error) {
	found, err := a.options.Sessions.Get(ctx, input.ID)
	if err != nil {
		return nil, a.problem(ctx, "get session", err)
	}
	return &sessionOutput{Body: a.viewSession(found)}, nil
}

// PageInput asks for a page of a list. It is exported because huma reads embedded structs only then.
type PageInput struct {
	After string `query:"after" maxLength:"500" doc:"The cursor that the previous page gave as next; empty: the first page."`
	Size  int    `query:"size" minimum:"1" maximum:"500" default:"50" doc:"The most items wanted."`
}

func (p PageInput) page() store.Page { return store.Page{After: p.After, Size: p.Size} }

// listBody is the body of every list.
type listBody[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page; absent on the last one."`
}

func viewList[T, V any](list store.List[T], view func(T) V) listBody[V] {
	items := make([]V, 0, len(list.Items))
	for _, item := range list.Items {
		items = append(items, view(item))
	}
	return listBody[V]{Items: items, Next: list.Next}
}

type listSessionsInput struct {
	PageInput
	UserID string          `query:"user_id" doc:"Only the sessions of this user."`
	State  []session.State `query:"state" enum:"new,linking,offline,ready,paused,logged_out,replaced,outdated,removing" doc:"Only sessions in one of these states."`
}

type listSessionsOutput struct{ Body listBody[SessionView] }

func (a *API) listSessions(ctx context.Context, input *listSessionsInput) (*listSessionsOutput, error) {
	list, err := a.options.Sessions.List(ctx, session.Filter{UserID: input.UserID, States: input.State}, input.page())
	if err != nil {
		return nil, a.problem(ctx, "list sessions", err)
	}
	return &listSessionsOutput{Body: viewList(list, a.viewSession)}, nil
}

// deleteSession removes a session without a device at once. One with a device is only marked: its host logs the device out, so that it
// disappears from the phone's list too, and then removes the record.
func (a *API) deleteSession(ctx context.Context, input *SessionInput) (*struct{}, error) {
	if err := a.refuseWhileSending(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "delete session", err)
	}
	now := a.now().UTC()
	marked, err := session.Modify(ctx, a.options.Sessions, input.ID, func(s *session.Session) error {
		if s.Link.State.InProgress() {
			return fault.New(fault.Conflict, "link_in_progress", "The session is being linked; cancel the link first")
		}
		if s.State == session.Removing {
			return session.ErrUnchanged
		}
		s.State, s.Reason, s.UpdatedAt = session.Removing, session.ReasonUnlinked, now
		return nil
	})
	if err != nil {
		return nil, a.problem(ctx, "delete session", err)
	}
	fact := events.SessionChanged{Version: events.FactVersion, SessionID: marked.ID, UserID: marked.UserID,
		State: session.Removing, Reason: marked.Reason, At: now}
	if marked.Device.IsZero() {
		if err := a.options.Sessions.Delete(ctx, marked.ID); err != nil {
			return nil, a.problem(ctx, "delete session", err)
		}
		fact.State = session.Removed
	}
	if err := a.options.Queue.PublishFact(ctx, fact); err != nil {
		return nil, a.problem(ctx, "publish that a session is removed", err)
	}
	return nil, nil
}

func (a *API) refuseWhileSending(ctx context.Context, id session.ID) error {
	active, err := a.options.Campaigns.List(ctx, campaign.Filter{SessionID: id,
		States: []campaign.State{campaign.Scheduled, campaign.Queued, campaign.Running, campaign.Paused}}, store.Page{Size: 1})
	if err != nil {
		return err
	}
	if len(active.Items) > 0 {
		return fault.New(fault.Conflict, "session_has_campaigns",
			"A campaign of this session has not ended; cancel it or wait until it ends, then delete the session")
	}
	return nil
}

// maskPhone keeps the country and the last two digits: enough for its owner to recognise, not enough to write to.
func maskPhone(phone string) string {
	const keepStart, keepEnd = 4, 2
	if len(phone) <= keepStart+keepEnd {
		return strings.Repeat("•", len(phone))
	}
	return phone[:keepStart] + strings.Repeat("•", len(phone)-keepStart-keepEnd) + phone[len(phone)-keepEnd:]
}

func optionalTime(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

var _ huma.StatusError = (*Problem)(nil)
