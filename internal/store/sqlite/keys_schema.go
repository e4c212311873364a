package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// keyApplicationID marks the file as a key store (PRAGMA application_id): "BRCK" in ASCII. keySchemaVersion is the version of its schema.
const (
	keyApplicationID = 0x4252434b
	keySchemaVersion = 1
)

// keySchema makes the tables. Rows are in an ordinary table behind the index of their address: a Signal session is larger than an index
// should hold. A fence says which epoch may write a session's rows; it stays when the rows are cleared.
const keySchema = `
	CREATE TABLE key_fences (
		session TEXT PRIMARY KEY,
		epoch   INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE TABLE key_rows (
		session    TEXT NOT NULL,
		kind       TEXT NOT NULL,
		key        TEXT NOT NULL,
		value      BLOB NOT NULL,
		expires_at INTEGER,
		PRIMARY KEY (session, kind, key)
	) STRICT;
	CREATE INDEX key_rows_expiry ON key_rows (expires_at) WHERE expires_at IS NOT NULL;
`

// migrateKeys makes the tables of a new file, and refuses one that is no key store or is newer than this program.
func migrateKeys(ctx context.Context, db *DB) (err error) {
	if _, err := db.writer.db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return fmt.Errorf("turn on the write-ahead log: %w", err)
	}
	tx, err := db.writer.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if rollback := tx.Rollback(); !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, rollback)
		}
	}()
	fresh, err := checkKeyFile(ctx, tx)
	if err != nil || !fresh {
		return err
	}
	marks := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", keyApplicationID, keySchemaVersion)
	if _, err := tx.ExecContext(ctx, keySchema+marks); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	return tx.Commit()
}

// checkKeyFile tells whether the file is new.
func checkKeyFile(ctx context.Context, tx *sql.Tx) (fresh bool, err error) {
	var application, version, objects int
	err = tx.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&application, &version, &objects)
	switch {
	case err != nil:
		return false, fmt.Errorf("read the version of the schema: %w", err)
	case application == 0 && version == 0 && objects == 0:
		return true, nil
	case application != keyApplicationID:
		return false, fault.New(fault.Internal, "foreign_database",
			"The file is no key store; choose another data folder or move the file away")
	case version > keySchemaVersion:
		return false, fault.New(fault.Internal, "newer_schema", fmt.Sprintf("The key store was written by a newer version of this program "+
			"(schema %d; this one knows %d); start the newer version", version, keySchemaVersion))
	}
	return false, nil
}
