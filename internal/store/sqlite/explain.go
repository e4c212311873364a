package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// explain is the one way out for errors: it says what was being done and gives the failure its class. An error of the domain, which has
// one already, and that of an ended context pass through.
func (db *DB) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, db.classify(ctx, err))
}

func (db *DB) classify(ctx context.Context, err error) error {
	var known *fault.Error
	var failure *sqlite.Error
	switch {
	case errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		// What the driver says of a statement that the context interrupted differs with the moment.
		return ctx.Err()
	case db.closed.Load():
		return fault.Wrap(err, fault.RetryLater, "store_closed", "The service is stopping; try again when it is back").WithAfter(5 * time.Second)
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case errors.As(err, &failure):
		return classifyFailure(failure)
	}
	return err
}

// classifyFailure gives SQLite's own failures their class; see https://sqlite.org/rescode.html. The low byte is the primary code.
func classifyFailure(failure *sqlite.Error) error {
	switch failure.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return fmt.Errorf("%w: %w", store.ErrConflict, failure)
	}
	switch failure.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return fault.Wrap(failure, fault.RetryLater, "store_busy",
			"Another program holds the database; end it (a backup, a shell) or try again in a moment").WithAfter(time.Second)
	case sqlite3.SQLITE_FULL:
		return fault.Wrap(failure, fault.RetryLater, "store_full",
			"The disk is full; free space beside the database, nothing that was accepted is lost").WithAfter(30 * time.Second)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM:
		return fault.Wrap(failure, fault.RetryLater, "store_unreachable",
			"The database file cannot be used; check the disk, its space and the limit of open files").WithAfter(10 * time.Second)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fault.Wrap(failure, fault.Internal, "store_read_only",
			"The database cannot be written; check that the disk is mounted for writing and that the files belong to this user")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fault.Wrap(failure, fault.Internal, "store_damaged",
			"The database file is damaged or is no database; stop the service and restore a backup")
	}
	return failure
}
