package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// prepared gives statements to run: the reader pool for reads, a transaction for writes.
type prepared interface {
	statement(ctx context.Context, text string) (*sql.Stmt, error)
}

// transaction is a write in progress.
type transaction struct {
	tx   *sql.Tx
	pool *pool
}

// statement gives a statement that was prepared when the database was opened.
func (t *transaction) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	known := t.pool.known(text)
	if known == nil {
		return nil, errors.New("a write statement is missing from writeStatements: " + text)
	}
	return t.tx.StmtContext(ctx, known), nil
}

// writeStatements lists every statement that a transaction runs.
func writeStatements() []string {
	return []string{
		insertSession, updateSession, sessionExists, deleteSession,
		insertCampaign, updateCampaign, campaignExists, campaignNumber,
		insertDelivery, claimLeftover, claimPending, recordOutcome, reopenDelivery, settlePending, insertRejection,
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
	tx, err := db.writer.db.BeginTx(ctx, nil)
	if err != nil {
		return db.explain(ctx, doing, err)
	}
	if err := work(&transaction{tx: tx, pool: db.writer}); err != nil {
		_ = tx.Rollback() // the error of the work says more than that of taking it back
		return db.explain(ctx, doing, err)
	}
	return db.explain(ctx, doing, tx.Commit())
}

// exec runs a statement and gives the number of rows that it changed.
func exec(ctx context.Context, p prepared, text string, args ...any) (int, error) {
	statement, err := p.statement(ctx, text)
	if err != nil {
		return 0, err
	}
	result, err := statement.ExecContext(ctx, args...)
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
	return statement.QueryRowContext(ctx, args...).Scan(into...)
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
	rows, err := statement.QueryContext(ctx, args...)
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
