// Package access says who calls, and what they may do.
//
// Nouns: Role (viewer, operator, admin: each may what the one before may), Caller (who a request is from: a role, and the one user whose sessions,
// campaigns, events and exports are all that there is for it, unless it is for everybody), Key (an API key: a hash, never the key), Book
// (the keys, the logins of the console, and the tokens for a page with a QR).
//
// Callers: internal/api puts the Caller into each request's context, and its handlers and the console read it there; internal/app and
// cmd/broadcaster make the first key. It knows neither HTTP nor a database: keys are kept in store.Documents.
package access

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
)

// Role is how much a caller may do.
type Role string

// The roles, from the least to the most.
const (
	// Viewer reads.
	Viewer Role = "viewer"
	// Operator links phones, sends campaigns and mends jobs.
	Operator Role = "operator"
	// Admin makes keys, webhooks and whatever else lets others in or lets data out.
	Admin Role = "admin"
)

// rank orders the roles; a role that is not known may nothing.
func (r Role) rank() int {
	switch r {
	case Viewer:
		return 1
	case Operator:
		return 2
	case Admin:
		return 3
	}
	return 0
}

// Includes tells whether whoever has the role may do what needs the other one.
func (r Role) Includes(needed Role) bool { return needed.rank() > 0 && r.rank() >= needed.rank() }

// Caller is who a request is from. The zero value may nothing.
type Caller struct {
	// Key is the id of the key, which is not secret; it says in the audit who did something.
	Key string
	// Name is what people call the key.
	Name string
	Role Role
	// User is the only user whose things the caller sees and touches; empty: everybody's.
	User string
	// Link is the only session whose link the caller may look at, of a token that is for a page with a QR; empty: the role decides.
	Link session.ID

	// until is when a login or a link token ends by itself; login names the login, which may be ended before.
	until time.Time
	login string
}

// May tells whether the caller may do what needs a role.
func (c Caller) May(needed Role) bool { return c.Link == "" && c.Role.Includes(needed) }

// Sees tells whether the things of a user are there for the caller.
func (c Caller) Sees(user string) bool { return c.Known() && (c.User == "" || c.User == user) }

// Known tells whether somebody said who the caller is.
func (c Caller) Known() bool { return c.Role.rank() > 0 || c.Link != "" }

// Scoped tells whether the caller sees the things of one user only; one that is not known sees none.
func (c Caller) Scoped() bool { return c.User != "" || !c.Known() }

type callerKey struct{}

// With gives a context whose request is from the caller.
func With(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// From gives who a request is from; one of which nobody said it may nothing.
func From(ctx context.Context) Caller {
	caller, _ := ctx.Value(callerKey{}).(Caller)
	return caller
}
