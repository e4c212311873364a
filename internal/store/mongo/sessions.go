package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Sessions implements session.Store.
type Sessions struct{ db *DB }

// sessionDocument is a session as the collection holds it. Times that have not come are left out.
type sessionDocument struct {
	ID        string         `bson:"_id"`
	Revision  int64          `bson:"revision"`
	UserID    string         `bson:"user_id"`
	Name      string         `bson:"name"`
	State     session.State  `bson:"state"`
	Reason    session.Reason `bson:"reason"`
	Until     time.Time      `bson:"until,omitempty"`
	Device    deviceDocument `bson:"device"`
	Link      linkDocument   `bson:"link"`
	Egress    string         `bson:"egress"`
	CreatedAt time.Time      `bson:"created_at,omitempty"`
	UpdatedAt time.Time      `bson:"updated_at,omitempty"`
	LinkedAt  time.Time      `bson:"linked_at,omitempty"`

	PhoneSeenAt time.Time `bson:"phone_seen_at,omitempty"`
}

type deviceDocument struct {
	JID   string `bson:"jid"`
	LID   string `bson:"lid"`
	Phone string `bson:"phone"`
}

type linkDocument struct {
	ID        string            `bson:"id"`
	Method    session.Method    `bson:"method"`
	Phone     string            `bson:"phone"`
	State     session.LinkState `bson:"state"`
	Reason    session.Reason    `bson:"reason"`
	Holder    session.ID        `bson:"holder,omitempty"`
	QRIndex   int               `bson:"qr_index"`
	Deadline  time.Time         `bson:"deadline,omitempty"`
	QueuedAt  time.Time         `bson:"queued_at,omitempty"`
	StartedAt time.Time         `bson:"started_at,omitempty"`
	EndedAt   time.Time         `bson:"ended_at,omitempty"`
}

// sessionDocumentOf is a session for a write that leads to the given revision.
func sessionDocumentOf(s session.Session, revision int64) sessionDocument {
	return sessionDocument{ID: string(s.ID), Revision: revision, UserID: s.UserID, Name: s.Name, State: s.State, Reason: s.Reason,
		Until: s.Until, Device: deviceDocument(s.Device), Link: linkDocument(s.Link), Egress: s.Egress,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, LinkedAt: s.LinkedAt, PhoneSeenAt: s.PhoneSeenAt}
}

func (d sessionDocument) record() session.Session {
	return session.Session{ID: session.ID(d.ID), Revision: d.Revision, UserID: d.UserID, Name: d.Name, State: d.State, Reason: d.Reason,
		Until: d.Until, Device: session.Device(d.Device), Link: session.Link(d.Link), Egress: d.Egress,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, LinkedAt: d.LinkedAt, PhoneSeenAt: d.PhoneSeenAt}
}

// Create implements session.Store.
func (s *Sessions) Create(ctx context.Context, created session.Session) error {
	_, err := s.db.sessions.InsertOne(ctx, sessionDocumentOf(created, 1))
	return s.db.explain(ctx, doing("create session", string(created.ID)), err)
}

// Get implements session.Store.
func (s *Sessions) Get(ctx context.Context, id session.ID) (session.Session, error) {
	found, err := readOne[sessionDocument](ctx, s.db.sessions, string(id))
	return found, s.db.explain(ctx, doing("get session", string(id)), err)
}

// List implements session.Store.
func (s *Sessions) List(ctx context.Context, filter session.Filter, page store.Page) (store.List[session.Session], error) {
	wanted, possible := inStates(equal(bson.D{}, "user_id", filter.UserID), filter.States, session.States())
	list := listing[session.Session]{collection: s.db.sessions, cursor: sessionCursor, key: func(s session.Session) string { return string(s.ID) }}
	if !possible {
		return store.List[session.Session]{}, nil
	}
	found, err := listPage[sessionDocument](ctx, list, wanted, page)
	return found, s.db.explain(ctx, "list sessions", err)
}

// Update implements session.Store.
func (s *Sessions) Update(ctx context.Context, changed session.Session) error {
	err := s.db.replace(ctx, s.db.sessions, string(changed.ID), changed.Revision, sessionDocumentOf(changed, changed.Revision+1))
	return s.db.explain(ctx, doing("update session", string(changed.ID)), err)
}

// Delete implements session.Store. What belongs to it goes first: what fails half-way leaves a session to delete again, and no password without one.
func (s *Sessions) Delete(ctx context.Context, id session.ID) error {
	err := s.db.Egresses().forget(ctx, id)
	if err == nil {
		err = s.db.Histories().forget(ctx, id)
	}
	if err == nil {
		err = remove(ctx, s.db.sessions, string(id))
	}
	return s.db.explain(ctx, doing("delete session", string(id)), err)
}
