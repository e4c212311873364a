package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

// Keys implements store.Keys in a file of its own, apart from the books: what is written there at every message must not wait for a plan of
// ten thousand deliveries, and the two must not be restored together (an old key store turns the Signal ratchets back).
type Keys struct{ db *DB }

var _ store.Keys = (*Keys)(nil)

const (
	// readKeyFence and raiseKeyFence are run in the transaction of every write, which makes the fence a part of it.
	readKeyFence  = `SELECT epoch FROM key_fences WHERE session = ?`
	raiseKeyFence = `INSERT INTO key_fences (session, epoch) VALUES (?, ?) ON CONFLICT (session) DO UPDATE SET epoch = excluded.epoch`

	putKeyRow = `INSERT INTO key_rows (session, kind, key, value, expires_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (session, kind, key) DO UPDATE SET (value, expires_at) = (excluded.value, excluded.expires_at)`
	deleteKeyRow  = `DELETE FROM key_rows WHERE session = ? AND kind = ? AND key = ?`
	clearKeyRows  = `DELETE FROM key_rows WHERE session = ?`
	resealKeyRow  = `UPDATE key_rows SET value = ?5 WHERE session = ?1 AND kind = ?2 AND key = ?3 AND value = ?4`
	expireKeyRows = `DELETE FROM key_rows WHERE expires_at < ?`

	keyRowColumns = `kind, key, value, expires_at`
	getKeyRows    = `SELECT ` + keyRowColumns + ` FROM key_rows WHERE session = ? AND kind = ? AND key IN (SELECT value FROM json_each(?))`
	// No text holds the byte 0xff, so it ends the range of a prefix.
	scanKeyRows = `SELECT ` + keyRowColumns + ` FROM key_rows
		WHERE session = ? AND kind = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`
	scanKeyRowsAfter = `SELECT ` + keyRowColumns + ` FROM key_rows
		WHERE session = ? AND kind = ? AND key > ? AND key < ? ORDER BY key LIMIT ?`
	// Every session with rows has a fence, because every write reads and sets it.
	keySessions = `SELECT session FROM key_fences AS f WHERE session > ?
		AND EXISTS (SELECT 1 FROM key_rows WHERE session = f.session AND kind = ?) ORDER BY session LIMIT ?`
)

func keyWriteStatements() []string {
	return []string{readKeyFence, raiseKeyFence, putKeyRow, deleteKeyRow, clearKeyRows, resealKeyRow, expireKeyRows}
}

// OpenKeys opens the key store's file, making it first when it does not exist. A file that is not a key store is refused and left as it is.
func OpenKeys(ctx context.Context, options Options) (*Keys, error) {
	if options.Path == "" {
		return nil, errors.New("sqlite: Path is required")
	}
	path, err := filepath.Abs(options.Path)
	if err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	db := &DB{log: options.Log}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if err := openKeyFile(ctx, db, path); err != nil {
		return nil, errors.Join(db.explain(ctx, "open key store "+path, err), db.Close())
	}
	return &Keys{db: db}, nil
}

// openKeyFile opens the pools. The writer's log is on the disk when a commit returns (synchronous FULL): a message leaves only after the ratchet
// that encrypted it is safe, also from a loss of power.
func openKeyFile(ctx context.Context, db *DB, path string) (err error) {
	if err := createPrivate(path); err != nil {
		return err
	}
	if db.writer, err = newPool(path, 1, writerSettings()); err != nil {
		return err
	}
	if err := migrateKeys(ctx, db); err != nil {
		return err
	}
	if err := db.writer.prepare(ctx, keyWriteStatements()); err != nil {
		return err
	}
	db.reader, err = newPool(path, readers, readerSettings())
	return err
}

// Close waits for calls in progress and closes the file.
func (k *Keys) Close() error { return k.db.Close() }

// Fence implements store.Keys.
func (k *Keys) Fence(ctx context.Context, session string, epoch uint64) error {
	if err := store.CheckKeyEpoch(session, epoch); err != nil {
		return err
	}
	return k.db.write(ctx, "fence a session's keys", func(tx *transaction) error { return raiseFence(ctx, tx, session, epoch) })
}

// raiseFence refuses a former owner, and remembers a new one.
func raiseFence(ctx context.Context, tx *transaction, session string, epoch uint64) error {
	var fenced uint64
	err := queryOne(ctx, tx, readKeyFence, []any{session}, &fenced)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	case err == nil && epoch < fenced:
		return store.ErrFenced
	case err == nil && epoch == fenced:
		return nil
	}
	_, err = exec(ctx, tx, raiseKeyFence, session, int64(epoch)) // CheckKeyEpoch bounds it
	return err
}

// Write implements store.Keys.
func (k *Keys) Write(ctx context.Context, batch store.KeyBatch) error {
	if err := store.CheckKeyBatch(batch); err != nil {
		return err
	}
	return k.db.write(ctx, "write keys", func(tx *transaction) error {
		if err := raiseFence(ctx, tx, batch.Session, batch.Epoch); err != nil {
			return err
		}
		if batch.Clear {
			if _, err := exec(ctx, tx, clearKeyRows, batch.Session); err != nil {
				return err
			}
		}
		for _, change := range batch.Changes {
			if err := applyKeyChange(ctx, tx, batch.Session, change); err != nil {
				return err
			}
		}
		return nil
	})
}

func applyKeyChange(ctx context.Context, tx *transaction, session string, change store.KeyChange) (err error) {
	if len(change.Value) == 0 {
		_, err = exec(ctx, tx, deleteKeyRow, session, change.Kind, change.Key)
	} else {
		_, err = exec(ctx, tx, putKeyRow, session, change.Kind, change.Key, change.Value, instant(change.Expires))
	}
	return err
}

// Reseal implements store.Keys.
func (k *Keys) Reseal(ctx context.Context, session string, rows []store.KeyReseal) (resealed int, err error) {
	if err := store.CheckKeyReseal(session, rows); err != nil {
		return 0, err
	}
	err = k.db.write(ctx, "seal keys anew", func(tx *transaction) error {
		resealed = 0
		for _, row := range rows {
			changed, err := exec(ctx, tx, resealKeyRow, session, row.Kind, row.Key, row.Old, row.New)
			if err != nil {
				return err
			}
			resealed += changed
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return resealed, nil
}

func scanKeyRow(session string) func(row) (store.KeyRow, error) {
	return func(from row) (store.KeyRow, error) {
		found := store.KeyRow{Session: session}
		err := from.Scan(&found.Kind, &found.Key, &found.Value, (*instant)(&found.Expires))
		return found, err
	}
}

// Get implements store.Keys.
func (k *Keys) Get(ctx context.Context, session, kind string, keys []string) ([]store.KeyRow, error) {
	if err := store.CheckKeyNames(session, kind, keys); err != nil || len(keys) == 0 {
		return nil, err
	}
	names, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("name keys: %w", err)
	}
	rows, err := queryAll(ctx, k.db.reader, getKeyRows, []any{session, kind, string(names)}, scanKeyRow(session))
	return rows, k.db.explain(ctx, "read keys", err)
}

// Scan implements store.Keys.
func (k *Keys) Scan(ctx context.Context, session, kind, prefix string, page store.Page) (store.List[store.KeyRow], error) {
	if err := store.CheckKeyNames(session, kind, []string{prefix}); err != nil {
		return store.List[store.KeyRow]{}, err
	}
	after, err := keyCursor.text(page, "")
	if err != nil {
		return store.List[store.KeyRow]{}, err
	}
	text, from := scanKeyRows, prefix
	if after != "" {
		text, from = scanKeyRowsAfter, after[1:]
	}
	rows, err := queryAll(ctx, k.db.reader, text, []any{session, kind, from, prefix + "\xff", page.Limit() + 1}, scanKeyRow(session))
	if err != nil {
		return store.List[store.KeyRow]{}, k.db.explain(ctx, "list keys", err)
	}
	return listOf(rows, page, keyCursor, func(row store.KeyRow) string { return "=" + row.Key }), nil
}

// Sessions implements store.Keys.
func (k *Keys) Sessions(ctx context.Context, kind string, page store.Page) (store.List[string], error) {
	after, err := keySessionCursor.text(page, "")
	if err != nil {
		return store.List[string]{}, err
	}
	sessions, err := queryAll(ctx, k.db.reader, keySessions, []any{after, kind, page.Limit() + 1}, func(from row) (id string, err error) {
		return id, from.Scan(&id)
	})
	if err != nil {
		return store.List[string]{}, k.db.explain(ctx, "list sessions with keys", err)
	}
	return listOf(sessions, page, keySessionCursor, func(id string) string { return id }), nil
}

// DeleteExpired implements store.Keys.
func (k *Keys) DeleteExpired(ctx context.Context, now time.Time) (deleted int, err error) {
	err = k.db.write(ctx, "delete expired keys", func(tx *transaction) error {
		deleted, err = exec(ctx, tx, expireKeyRows, instant(now))
		return err
	})
	return deleted, err
}

// The cursors of the key store. A key may be empty, so it stands behind a sign.
const (
	keyCursor        cursor = "k1:"
	keySessionCursor cursor = "ks1:"
)
