package api

import (
	"context"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// The books as the caller of a request sees them: what belongs to another user does not exist, and lists are asked for with the caller's user. Handlers have
// no other ones, so that a new route cannot forget it. The service's own counting over all sessions (admission, places in line) uses API.everySession.

// errOtherUser is for who would make something for somebody else.
var errOtherUser = fault.New(fault.Forbidden, "other_user", "This key is for one user; nothing can be made for another one with it")

// userOf gives whose a new thing is to be: what was asked for, or the user of a key that is for one.
func userOf(ctx context.Context, wanted string) (string, error) {
	caller := access.From(ctx)
	if wanted == "" {
		wanted = caller.User
	}
	if !caller.Sees(wanted) {
		return "", errOtherUser
	}
	return wanted, nil
}

// narrow gives the user whose things a list has: those of the caller's own user, whatever it asks for. nothing: it asks for those of another one.
func narrow(ctx context.Context, wanted string) (user string, nothing bool) {
	caller := access.From(ctx)
	switch {
	case !caller.Known():
		return "", true
	case caller.User == "":
		return wanted, false
	}
	return caller.User, wanted != "" && wanted != caller.User
}

// ownSessions are the sessions that the caller may see.
type ownSessions struct{ session.Store }

// Create implements session.Store.
func (o ownSessions) Create(ctx context.Context, created session.Session) error {
	if !access.From(ctx).Sees(created.UserID) {
		return errOtherUser
	}
	return o.Store.Create(ctx, created)
}

// Get implements session.Store.
func (o ownSessions) Get(ctx context.Context, id session.ID) (session.Session, error) {
	found, err := o.Store.Get(ctx, id)
	if err == nil && !access.From(ctx).Sees(found.UserID) {
		return session.Session{}, store.ErrNotFound
	}
	return found, err
}

// List implements session.Store.
func (o ownSessions) List(ctx context.Context, filter session.Filter, page store.Page) (store.List[session.Session], error) {
	user, nothing := narrow(ctx, filter.UserID)
	if nothing {
		return store.List[session.Session]{}, nil
	}
	filter.UserID = user
	return o.Store.List(ctx, filter, page)
}

// Update implements session.Store.
func (o ownSessions) Update(ctx context.Context, changed session.Session) error {
	if !access.From(ctx).Sees(changed.UserID) {
		return store.ErrNotFound
	}
	return o.Store.Update(ctx, changed)
}

// Delete implements session.Store.
func (o ownSessions) Delete(ctx context.Context, id session.ID) error {
	if _, err := o.Get(ctx, id); err != nil {
		return err
	}
	return o.Store.Delete(ctx, id)
}

// ownCampaigns are the campaigns and messages that the caller may see.
type ownCampaigns struct{ campaign.Store }

// Create implements campaign.Store.
func (o ownCampaigns) Create(ctx context.Context, created campaign.Campaign) error {
	if !access.From(ctx).Sees(created.UserID) {
		return errOtherUser
	}
	return o.Store.Create(ctx, created)
}

// Get implements campaign.Store.
func (o ownCampaigns) Get(ctx context.Context, id campaign.ID) (campaign.Campaign, error) {
	found, err := o.Store.Get(ctx, id)
	if err == nil && !access.From(ctx).Sees(found.UserID) {
		return campaign.Campaign{}, store.ErrNotFound
	}
	return found, err
}

// State implements campaign.Store.
func (o ownCampaigns) State(ctx context.Context, id campaign.ID) (campaign.State, error) {
	if !access.From(ctx).Scoped() {
		return o.Store.State(ctx, id)
	}
	found, err := o.Get(ctx, id)
	return found.State, err
}

// List implements campaign.Store.
func (o ownCampaigns) List(ctx context.Context, filter campaign.Filter, page store.Page) (store.List[campaign.Campaign], error) {
	user, nothing := narrow(ctx, filter.UserID)
	if nothing {
		return store.List[campaign.Campaign]{}, nil
	}
	filter.UserID = user
	return o.Store.List(ctx, filter, page)
}

// Update implements campaign.Store.
func (o ownCampaigns) Update(ctx context.Context, changed campaign.Campaign) error {
	if !access.From(ctx).Sees(changed.UserID) {
		return store.ErrNotFound
	}
	return o.Store.Update(ctx, changed)
}

// Delete implements campaign.Store.
func (o ownCampaigns) Delete(ctx context.Context, id campaign.ID) error {
	if _, err := o.Get(ctx, id); err != nil {
		return err
	}
	return o.Store.Delete(ctx, id)
}
