package mongo

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Histories implements session.Histories.
type Histories struct {
	db        *DB
	histories *mongo.Collection
}

var _ session.Histories = (*Histories)(nil)

// Histories gives the store of what happened to sessions.
func (db *DB) Histories() *Histories {
	return &Histories{db: db, histories: db.sessions.Database().Collection("histories")}
}

// historyDocument is a session's history as the collection holds it.
type historyDocument struct {
	Session  string          `bson:"_id"`
	Revision int64           `bson:"revision"`
	Entries  []entryDocument `bson:"entries"`
}

type entryDocument struct {
	At      time.Time         `bson:"at"`
	Kind    session.EntryKind `bson:"kind"`
	Reason  session.Reason    `bson:"reason,omitempty"`
	Detail  string            `bson:"detail,omitempty"`
	Sent    int               `bson:"sent,omitempty"`
	SentNew int               `bson:"sent_new,omitempty"`
	Beside  int               `bson:"beside,omitempty"`
	Egress  string            `bson:"egress,omitempty"`
}

func (d historyDocument) record() session.History {
	found := session.History{Session: session.ID(d.Session), Revision: d.Revision}
	for _, entry := range d.Entries {
		found.Entries = append(found.Entries, session.HistoryEntry(entry))
	}
	return found
}

// Get implements session.Histories.
func (h *Histories) Get(ctx context.Context, id session.ID) (session.History, error) {
	found, err := readOne[historyDocument](ctx, h.histories, string(id))
	return found, h.db.explain(ctx, doing("get the history of session", string(id)), err)
}

// Put implements session.Histories.
func (h *Histories) Put(ctx context.Context, put session.History) error {
	written := historyDocument{Session: string(put.Session), Revision: put.Revision + 1, Entries: make([]entryDocument, 0, len(put.Entries))}
	for _, entry := range put.Entries {
		written.Entries = append(written.Entries, entryDocument(entry))
	}
	var err error
	if put.Revision == 0 {
		_, err = h.histories.InsertOne(ctx, written)
	} else {
		err = h.db.replace(ctx, h.histories, written.Session, put.Revision, written)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = store.ErrConflict
	}
	return h.db.explain(ctx, doing("store the history of session", string(put.Session)), err)
}

// forget removes the history of a session.
func (h *Histories) forget(ctx context.Context, id session.ID) error {
	err := remove(ctx, h.histories, string(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
