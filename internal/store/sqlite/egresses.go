package sqlite

import (
	"context"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Egresses implements session.Egresses.
type Egresses struct{ db *DB }

var _ session.Egresses = (*Egresses)(nil)

// Egresses gives the store of the proxies of sessions.
func (db *DB) Egresses() *Egresses { return &Egresses{db: db} }

const egressColumns = `id, revision, session, name, shown, sealed, updated_at`

const (
	insertEgress = `INSERT INTO egresses (` + egressColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`
	updateEgress = `UPDATE egresses SET (` + egressColumns + `) = (?1, ?2, ?3, ?4, ?5, ?6, ?7) WHERE id = ?1 AND revision = ?2 - 1`
	selectEgress = `SELECT ` + egressColumns + ` FROM egresses WHERE id = ?`
	deleteEgress = `DELETE FROM egresses WHERE id = ?`
)

func egressKey(id session.ID, name string) string { return string(id) + "/" + name }

func scanEgress(from row) (e session.Egress, err error) {
	var key string
	err = from.Scan(&key, &e.Revision, &e.Session, &e.Name, &e.Shown, &e.Sealed, (*instant)(&e.UpdatedAt))
	return e, err
}

// Put implements session.Egresses.
func (e *Egresses) Put(ctx context.Context, put session.Egress) error {
	statement := updateEgress
	if put.Revision == 0 {
		statement = insertEgress
	}
	return e.db.write(ctx, "store the egress of session "+string(put.Session), func(tx *transaction) error {
		changed, err := exec(ctx, tx, statement, egressKey(put.Session, put.Name), put.Revision+1, put.Session, put.Name, put.Shown, put.Sealed,
			instant(put.UpdatedAt))
		if err == nil && changed == 0 {
			return store.ErrConflict
		}
		return err
	})
}

// Get implements session.Egresses.
func (e *Egresses) Get(ctx context.Context, id session.ID, name string) (session.Egress, error) {
	found, err := single(queryAll(ctx, e.db.reader, selectEgress, []any{egressKey(id, name)}, scanEgress))
	return found, e.db.explain(ctx, "get the egress of session "+string(id), err)
}

// Delete implements session.Egresses.
func (e *Egresses) Delete(ctx context.Context, id session.ID, name string) error {
	return e.db.write(ctx, "delete the egress of session "+string(id), func(tx *transaction) error {
		_, err := exec(ctx, tx, deleteEgress, egressKey(id, name))
		return err
	})
}

// List implements session.Egresses.
func (e *Egresses) List(ctx context.Context, page store.Page) (store.List[session.Egress], error) {
	list := listing[session.Egress]{table: "egresses", columns: egressColumns, scan: scanEgress, cursor: egressCursor,
		key: func(e session.Egress) string { return egressKey(e.Session, e.Name) }}
	return listPage(ctx, e.db, list, narrowed{}, page)
}
