package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
)

// prepared gives statements to run: the reader pool for reads, a transaction for writes.
type prepared interface {
	statement(ctx context.Context, text string) (*sql.Stmt, error)
	// runContext gives the context to run a statement with.
	runContext(ctx context.Context) context.Context
}

// transaction is a write in progress.
type transaction struct {
	tx   *sql.Tx
	pool *pool
	// bound are the statements that it has run, by their texts.
	bound map[string]*sql.Stmt
}

// statement gives a statement that was prepared when the database was opened.
func (t *transaction) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if bound := t.bound[text]; bound != nil {
		return bound, nil
	}
	known := t.pool.known(text)
	if known == nil {
		return nil, errors.New("a write statement is missing from writeStatements: " + text)
	}
	bound := t.tx.StmtContext(ctx, known)
	t.bound[text] = bound
	return bound, nil
}

// runContext is without an end. The statements of a write are short, and each that can be interrupted has a goroutine of the driver that waits for the
// interruption, which takes half as long as to change a row. What ends is the wait for the transaction (write).
func (t *transaction) runContext(ctx context.Context) context.Context {
	return context.WithoutCancel(ctx)
}

// runContext is the caller's.
func (p *pool) runContext(ctx context.Context) context.Context { return ctx }

// writeStatements lists every statement that a transaction runs.
func writeStatements() []string {
	return []string{
		insertSession, updateSession, sessionExists, deleteSession,
		insertCampaign, updateCampaign, campaignExists, campaignNumber,
		insertDelivery, claimLeftover, selectPending, claimPending, recordOutcome, reopenDelivery, settlePending, insertRejection,
		insertSuppression, deleteSuppression,
		insertEgress, updateEgress, deleteEgress,
		insertHistory, updateHistory,
		insertDocument, putDocument, deleteDocument, dropExpired, clearDocuments, purgeDocuments,
		clearDeliveries, clearRejections, clearCounts, deleteCampaign,
		selectRequest, replaceRequest, finishRequest, requestExists, releaseRequest, purgeRequests,
	}
}

// write runs work in one transaction: all of it is on the disk when write returns nil, and nothing of it otherwise.
func (db *DB) write(ctx context.Context, doing string, work func(*transaction) error) (err error) {
	defer func(begun time.Time) { db.timed(begun, err) }(time.Now())
	return db.explain(ctx, doing, transact(ctx, db.writer.db, db.writer, work))
}

// writeUnflushed is write without the wait for the disk. A process that dies loses nothing of it; a machine that loses its power does, unless a later write
// has come through. It is for what such a machine would do again with the same result.
func (db *DB) writeUnflushed(ctx context.Context, doing string, work func(*transaction) error) (err error) {
	defer func(begun time.Time) { db.timed(begun, err) }(time.Now())
	conn, err := db.writer.db.Conn(ctx)
	if err != nil {
		return db.explain(ctx, doing, err)
	}
	defer func() { _ = conn.Close() }() // it fails only for one that is closed
	if err = flushing(ctx, conn, "NORMAL"); err == nil {
		err = errors.Join(transact(ctx, conn, db.writer, work), flushing(ctx, conn, "FULL"))
	}
	return db.explain(ctx, doing, err)
}

// flushing sets whether commits of a connection wait for the disk. One that does not take it is closed; the next is opened with the settings of all.
func flushing(ctx context.Context, conn *sql.Conn, level string) error {
	_, err := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA synchronous = "+level)
	if err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}

// beginner begins transactions: a pool, or one connection.
type beginner interface {
	BeginTx(ctx context.Context, options *sql.TxOptions) (*sql.Tx, error)
}

func transact(ctx context.Context, on beginner, statements *pool, work func(*transaction) error) error {
	tx, err := on.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(&transaction{tx: tx, pool: statements, bound: map[string]*sql.Stmt{}}); err != nil {
		_ = tx.Rollback() // the error of the work says more than that of taking it back
		return err
	}
	return tx.Commit()
}

// exec runs a statement and gives the number of rows that it changed.
func exec(ctx context.Context, p prepared, text string, args ...any) (int, error) {
	statement, err := p.statement(ctx, text)
	if err != nil {
		return 0, err
	}
	result, err := statement.ExecContext(p.runContext(ctx), args...)
	if err != nil {
		return 0, err
	}
	changed, err := result.RowsAffected()
	return int(changed), err
}

// queryOne reads a single row; sql.ErrNoRows when there is none.
func queryOne(ctx context.Context, p prepared, text string, args []any, into ...any) error {
	statement, err := p.statement(ctx, text)
	if err != nil {
		return err
	}
	return statement.QueryRowContext(p.runContext(ctx), args...).Scan(into...)
}

// row is what a scan function reads from.
type row interface {
	Scan(into ...any) error
}

// queryAll reads every row.
func queryAll[T any](ctx context.Context, p prepared, text string, args []any, scan func(row) (T, error)) (items []T, err error) {
	statement, err := p.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := statement.QueryContext(p.runContext(ctx), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read row: %w", err)
		}
		items = append(items, item)
	}
	return items, rows.Err()
}
