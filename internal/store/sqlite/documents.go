package sqlite

import (
	"context"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Documents implements store.Documents.
type Documents struct{ db *DB }

var _ store.Documents = (*Documents)(nil)

// Documents gives the store of documents.
func (db *DB) Documents() *Documents { return &Documents{db: db} }

const (
	insertDocument = `INSERT INTO documents (folder, id, expires_at, data) VALUES (?1, ?2, ?3, ?4)`
	putDocument    = insertDocument + ` ON CONFLICT (folder, id) DO UPDATE SET expires_at = excluded.expires_at, data = excluded.data`
	deleteDocument = `DELETE FROM documents WHERE folder = ? AND id = ?`
	// dropExpired makes room for a document in the place of one that has expired.
	dropExpired      = deleteDocument + ` AND expires_at <= ?`
	clearDocuments   = `DELETE FROM documents WHERE rowid IN (SELECT rowid FROM documents WHERE folder = ? LIMIT ?)`
	purgeDocuments   = `DELETE FROM documents WHERE rowid IN (SELECT rowid FROM documents WHERE expires_at <= ? LIMIT 20)`
	unexpired        = ` AND (expires_at IS NULL OR expires_at > ?)`
	selectDocuments  = `SELECT id, expires_at, data FROM documents WHERE folder = ?`
	amongDocuments   = selectDocuments + ` AND id IN (SELECT value FROM json_each(?))` + unexpired + ` ORDER BY id`
	listDocuments    = selectDocuments + ` AND id > ?` + unexpired + ` ORDER BY id LIMIT ?`
	clearChunk       = 2000
	documentsDeleted = "delete documents"
)

func scanDocument(from row) (d store.Document, err error) {
	err = from.Scan(&d.ID, (*instant)(&d.ExpiresAt), &d.Data)
	return d, err
}

// inBytes is the data of a document as the column takes it: NULL is no data.
func inBytes(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// Create implements store.Documents.
func (d *Documents) Create(ctx context.Context, folder string, created store.Document) error {
	if err := store.CheckDocuments(folder, []store.Document{created}); err != nil {
		return err
	}
	return d.db.write(ctx, "create document", func(tx *transaction) error {
		if _, err := exec(ctx, tx, dropExpired, folder, created.ID, instant(time.Now())); err != nil {
			return err
		}
		_, err := exec(ctx, tx, insertDocument, folder, created.ID, instant(created.ExpiresAt), inBytes(created.Data))
		return err
	})
}

// Put implements store.Documents. It clears away a few expired ones each time, so that they never pile up.
func (d *Documents) Put(ctx context.Context, folder string, batch []store.Document) error {
	if err := store.CheckDocuments(folder, batch); err != nil {
		return err
	}
	return d.db.write(ctx, "put documents", func(tx *transaction) error {
		for _, put := range batch {
			if _, err := exec(ctx, tx, putDocument, folder, put.ID, instant(put.ExpiresAt), inBytes(put.Data)); err != nil {
				return err
			}
		}
		_, err := exec(ctx, tx, purgeDocuments, instant(time.Now()))
		return err
	})
}

// Among implements store.Documents.
func (d *Documents) Among(ctx context.Context, folder string, ids []string) ([]store.Document, error) {
	if err := store.CheckDocumentIDs(folder, ids); err != nil {
		return nil, err
	}
	found, err := queryAll(ctx, d.db.reader, amongDocuments, []any{folder, inJSON(&ids), instant(time.Now())}, scanDocument)
	return found, d.db.explain(ctx, "read documents", err)
}

// List implements store.Documents.
func (d *Documents) List(ctx context.Context, folder string, page store.Page) (store.List[store.Document], error) {
	after, err := documentCursor.text(page, "")
	if err != nil {
		return store.List[store.Document]{}, err
	}
	found, err := queryAll(ctx, d.db.reader, listDocuments, []any{folder, after, instant(time.Now()), page.Limit() + 1}, scanDocument)
	if err != nil {
		return store.List[store.Document]{}, d.db.explain(ctx, "list documents", err)
	}
	return listOf(found, page, documentCursor, func(d store.Document) string { return d.ID }), nil
}

// Remove implements store.Documents.
func (d *Documents) Remove(ctx context.Context, folder string, ids []string) (removed int, err error) {
	if err := store.CheckDocumentIDs(folder, ids); err != nil {
		return 0, err
	}
	err = d.db.write(ctx, documentsDeleted, func(tx *transaction) error {
		removed = 0
		for _, id := range ids {
			changed, err := exec(ctx, tx, deleteDocument, folder, id)
			if err != nil {
				return err
			}
			removed += changed
		}
		return nil
	})
	return removed, err
}

// Clear implements store.Documents. It deletes a chunk at a time, so that other writers come between.
func (d *Documents) Clear(ctx context.Context, folder string) error {
	return d.db.inChunks(ctx, documentsDeleted, clearDocuments, folder)
}

// inChunks runs a statement whose last parameter bounds how much it changes, until it changes less.
func (db *DB) inChunks(ctx context.Context, doing, statement string, args ...any) error {
	for {
		var changed int
		err := db.write(ctx, doing, func(tx *transaction) (err error) {
			changed, err = exec(ctx, tx, statement, append(args[:len(args):len(args)], clearChunk)...)
			return err
		})
		if err != nil || changed < clearChunk {
			return err
		}
	}
}
