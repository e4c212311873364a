package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// migrations are the steps of the schema, named by the version that each leads to.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as ours (PRAGMA application_id): "BRCA" in ASCII.
const applicationID = 0x42524341

// migrate refuses a file that is not ours or is newer than this program, and brings an older one up to date, one transaction a step.
func (db *DB) migrate(ctx context.Context) error {
	steps, err := readSteps()
	if err != nil {
		return err
	}
	version, err := db.check(ctx, len(steps))
	if err != nil {
		return err
	}
	// The mode belongs to the file, so it is set once and not by each connection.
	if _, err := db.writer.db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return fmt.Errorf("turn on the write-ahead log: %w", err)
	}
	for ; version < len(steps); version++ {
		if err := db.step(ctx, steps[version], version+1); err != nil {
			return fmt.Errorf("migrate the schema to version %d: %w", version+1, err)
		}
	}
	return nil
}

// readSteps gives the migrations in their order; the first one leads to version 1.
func readSteps() ([]string, error) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	steps := make([]string, len(entries))
	for i, entry := range entries {
		text, err := fs.ReadFile(migrations, "migrations/"+entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		steps[i] = string(text)
	}
	return steps, nil
}

// check gives the version of the schema; zero for a new file.
func (db *DB) check(ctx context.Context, newest int) (version int, err error) {
	var application, objects int
	err = db.writer.db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id),
		(SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`).Scan(&application, &version, &objects)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the version of the schema: %w", err)
	case application != applicationID && (application != 0 || version != 0 || objects != 0):
		return 0, fault.New(fault.Internal, "foreign_database",
			"The file is a database of another program; choose another data folder or move the file away")
	case version > newest:
		return 0, fault.New(fault.Internal, "newer_schema", fmt.Sprintf("The database was written by a newer version of this program "+
			"(schema %d; this one knows up to %d); start the newer version, or restore a backup from before the upgrade", version, newest))
	}
	return version, nil
}

// step applies one migration, unless another process was faster.
func (db *DB) step(ctx context.Context, script string, version int) (err error) {
	tx, err := db.writer.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if rollback := tx.Rollback(); !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, rollback)
		}
	}()
	var present int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&present); err != nil || present >= version {
		return err
	}
	if _, err := tx.ExecContext(ctx, script); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	db.log.InfoContext(ctx, "database schema migrated", "version", version)
	return nil
}
