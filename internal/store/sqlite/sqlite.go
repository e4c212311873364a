// Package sqlite keeps the books in one SQLite file: sessions, campaigns and their deliveries, suppressions, and the answers to idempotent
// requests. It is the embedded default, durable on one machine; modernc.org/sqlite needs no C compiler.
//
// Nouns: DB (the file, opened by Open), and one store for each port: Sessions, Campaigns, Deliveries, Suppressions and Idempotency. The
// ports, with what they promise, stand beside the types that they persist; storetest proves that these stores keep the promises.
//
// One connection writes and a few read (connect.go). A write is one transaction, and it is on the disk when the call returns. Every
// statement is prepared once and served by an index (a test asks the planner). The schema is a list of migrations (migrate.go).
//
// Callers: internal/app opens it and hands the stores to the verbs. It must never decide policy: it stores what the domain says and reports
// failures by the classes of internal/fault. Neither errors nor logs hold a value of a record.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"

	"github.com/prometheus/client_golang/prometheus"
)

// Options say which database to open.
type Options struct {
	// Path is the database file; it is made, readable by its owner only, when it does not exist. Its folder must exist. Beside it lie
	// "-wal" and "-shm" files while it is open: a copy of the file alone is no backup.
	Path string
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
	// Log takes what happens to the schema; nil: it is dropped.
	Log *slog.Logger
}

// DB is an open database. Its methods and those of its stores may be called from any goroutine.
type DB struct {
	log    *slog.Logger
	writer *pool
	reader *pool
	writes *prometheus.HistogramVec
	states states
	closed atomic.Bool
}

// The stores implement the ports.
var (
	_ session.Store         = (*Sessions)(nil)
	_ campaign.Store        = (*Campaigns)(nil)
	_ campaign.Deliveries   = (*Deliveries)(nil)
	_ campaign.Suppressions = (*Suppressions)(nil)
	_ store.Idempotency     = (*Idempotency)(nil)
)

// Open opens the database, making it or bringing its schema up to date first. A file that is not ours, or one that a newer version of
// this program wrote, is refused and left as it is.
func Open(ctx context.Context, options Options) (*DB, error) {
	if options.Path == "" {
		return nil, errors.New("sqlite: Path is required")
	}
	path, err := filepath.Abs(options.Path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	writes, err := newWrites(options.Registerer)
	if err != nil {
		return nil, err
	}
	db := &DB{log: options.Log, writes: writes}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if err := db.open(ctx, path); err != nil {
		return nil, errors.Join(db.explain(ctx, "open database "+path, err), db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, path string) (err error) {
	if err := createPrivate(path); err != nil {
		return err
	}
	if db.writer, err = newPool(path, 1, writerSettings()); err != nil {
		return err
	}
	if err := db.migrate(ctx); err != nil {
		return err
	}
	if err := db.writer.prepare(ctx, writeStatements()); err != nil {
		return err
	}
	db.reader, err = newPool(path, readers, readerSettings())
	return err
}

// Close waits for calls in progress and closes the file. Calls that come later fail with a class that lets the work be tried elsewhere.
func (db *DB) Close() error {
	db.closed.Store(true)
	// The writer goes last, because the last connection folds the log back into the database file, and a reader may not.
	if err := errors.Join(db.reader.close(), db.writer.close()); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// Sessions gives the store of sessions.
func (db *DB) Sessions() *Sessions { return &Sessions{db: db} }

// Campaigns gives the store of campaigns.
func (db *DB) Campaigns() *Campaigns { return &Campaigns{db: db} }

// Deliveries gives the store of deliveries and rejections.
func (db *DB) Deliveries() *Deliveries { return &Deliveries{db: db} }

// Suppressions gives the store of suppressions.
func (db *DB) Suppressions() *Suppressions { return &Suppressions{db: db} }

// Idempotency gives the store of answers to idempotent requests.
func (db *DB) Idempotency() *Idempotency { return &Idempotency{db: db} }
