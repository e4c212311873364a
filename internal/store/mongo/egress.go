package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Egresses implements session.Egresses.
type Egresses struct {
	db       *DB
	egresses *mongo.Collection
}

var _ session.Egresses = (*Egresses)(nil)

// Egresses gives the store of the proxies of sessions.
func (db *DB) Egresses() *Egresses {
	return &Egresses{db: db, egresses: db.sessions.Database().Collection("egresses")}
}

// egressDocument is a proxy as the collection holds it; its id is session and name with a slash between them.
type egressDocument struct {
	Key       string    `bson:"_id"`
	Revision  int64     `bson:"revision"`
	Session   string    `bson:"session"`
	Name      string    `bson:"name"`
	Shown     string    `bson:"shown"`
	Sealed    []byte    `bson:"sealed"`
	UpdatedAt time.Time `bson:"updated_at,omitempty"`
}

func (d egressDocument) record() session.Egress {
	return session.Egress{Session: session.ID(d.Session), Name: d.Name, Shown: d.Shown, Sealed: d.Sealed, UpdatedAt: d.UpdatedAt, Revision: d.Revision}
}

func egressKey(id session.ID, name string) string { return string(id) + "/" + name }

// Put implements session.Egresses.
func (e *Egresses) Put(ctx context.Context, put session.Egress) error {
	written := egressDocument{Key: egressKey(put.Session, put.Name), Revision: put.Revision + 1, Session: string(put.Session), Name: put.Name,
		Shown: put.Shown, Sealed: put.Sealed, UpdatedAt: put.UpdatedAt}
	var err error
	if put.Revision == 0 {
		_, err = e.egresses.InsertOne(ctx, written)
	} else {
		err = e.db.replace(ctx, e.egresses, written.Key, put.Revision, written)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = store.ErrConflict
	}
	return e.db.explain(ctx, doing("store the egress of session", string(put.Session)), err)
}

// Get implements session.Egresses.
func (e *Egresses) Get(ctx context.Context, id session.ID, name string) (session.Egress, error) {
	found, err := readOne[egressDocument](ctx, e.egresses, egressKey(id, name))
	return found, e.db.explain(ctx, doing("get the egress of session", string(id)), err)
}

// Delete implements session.Egresses.
func (e *Egresses) Delete(ctx context.Context, id session.ID, name string) error {
	err := remove(ctx, e.egresses, egressKey(id, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return e.db.explain(ctx, doing("delete the egress of session", string(id)), err)
}

// forget removes every proxy of a session.
func (e *Egresses) forget(ctx context.Context, id session.ID) error {
	_, err := e.egresses.DeleteMany(ctx, bson.D{field("session", string(id))})
	return err
}

// List implements session.Egresses.
func (e *Egresses) List(ctx context.Context, page store.Page) (store.List[session.Egress], error) {
	list := listing[session.Egress]{collection: e.egresses, cursor: egressCursor,
		key: func(e session.Egress) string { return egressKey(e.Session, e.Name) }}
	found, err := listPage[egressDocument](ctx, list, bson.D{}, page)
	return found, e.db.explain(ctx, "list the egresses", err)
}
