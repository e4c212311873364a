package session

import (
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// LinkRequest is a person's wish to link a session.
type LinkRequest struct {
	// ID names the new attempt.
	ID     string
	Method Method
	// Phone is the number to pair by code; empty for QR.
	Phone string
	At    time.Time
}

// RequestLink gives the session with a queued link. A session that is linked is never touched by it (fault.Conflict); one whose link is
// in progress is given as it is, with created false.
func RequestLink(s Session, request LinkRequest) (changed Session, created bool, err error) {
	switch {
	case s.Link.State.InProgress():
		return s, false, nil
	case s.State.Linked() || s.State == Outdated:
		return s, false, fault.New(fault.Conflict, "session_linked", "The session is linked already; unlink it first to link another phone")
	case s.State == Removing:
		return s, false, fault.New(fault.Conflict, "session_removing", "The session is being removed; create another one")
	}
	method := request.Method
	switch {
	case method == "" || method == MethodQR:
		method = MethodQR
	case method != MethodCode:
		return s, false, fault.New(fault.Invalid, "method_unknown", fmt.Sprintf("There is no link method %q; use %s or %s", method, MethodQR, MethodCode))
	case request.Phone == "":
		return s, false, fault.New(fault.Invalid, "phone_missing", "Linking by code needs the phone's own number")
	}
	s.Link = Link{ID: request.ID, Method: method, Phone: request.Phone, State: LinkQueued, Reason: ReasonQueued, QueuedAt: request.At}
	s.State, s.Reason, s.UpdatedAt = Linking, ReasonNone, request.At
	return s, true, nil
}

// CancelLink gives the session with its link cancelled. A link that has ended stays as it ended.
func CancelLink(s Session, at time.Time) (Session, error) {
	link, changed := Step(s.Link, LinkEvent{Kind: EventCancel, Reason: ReasonCancelled}, at)
	if !changed {
		return s, nil
	}
	s.Link = link
	return s.AfterLink(at), nil
}

// AfterLink gives the session with the state that follows from its link's end; a link in progress leaves it Linking. A device that was paired and
// never logged in is forgotten: nobody could host it.
func (s Session) AfterLink(at time.Time) Session {
	s.UpdatedAt = at
	switch {
	case s.State != Linking || s.Link.State.InProgress():
		return s
	case s.Link.State == LinkReady:
		s.State, s.Reason, s.LinkedAt = Offline, ReasonNone, at
	case s.LinkedAt.IsZero():
		s.State, s.Reason, s.Device = New, s.Link.Reason, Device{}
	default:
		s.State, s.Reason, s.Device = LoggedOut, s.Link.Reason, Device{}
	}
	return s
}
