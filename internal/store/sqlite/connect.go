package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"modernc.org/sqlite"
)

// readers is the size of the reader pool. Reads are short, so a few serve everybody; each costs up to 2 MB of page cache.
const readers = 4

// pool is a set of connections to the file and the statements prepared on them.
//
// There are two. SQLite lets one connection write at a time, so the writers of this process queue for the one connection of the writer
// pool, where waiting is fair, ends with the caller's context and costs nothing; with several they would collide in SQLite and wait by
// polling. In WAL mode readers neither wait for the writer nor hold it up, and each statement sees the last commit, so they have a pool of their own.
type pool struct {
	db         *sql.DB
	mu         sync.RWMutex
	statements map[string]*sql.Stmt
}

// commonSettings hold for every connection: another process at the file (a backup, a shell) is waited for up to five seconds; "text"
// in double quotes is never taken for a string; SQL cannot damage the file.
func commonSettings() url.Values {
	return url.Values{"_busy_timeout": {"5000"}, "_foreign_keys": {"1"}, "_dqs": {"0"}, "_defensive": {"1"}}
}

// writerSettings are those of the connection that writes. It takes the write lock at the start of a transaction, so that none fails
// half-way. Its log file is cut back to 64 MB after a burst.
//
// synchronous is FULL: a commit is on the disk when the call returns, so that neither an accepted campaign nor an opt-out is lost when
// the power goes. NORMAL would lose the last commits, and is for claims alone (writeUnflushed). The price is one fsync per commit, paid per batch and not per row: on a virtual disk with an
// fsync of 0.2 ms a batch of 500 rows takes 2.0 ms instead of 1.5, a single row 0.25 ms instead of 0.04. fdatasync gained nothing there.
func writerSettings() url.Values {
	settings := commonSettings()
	settings.Set("_txlock", "immediate")
	settings.Set("_synchronous", "FULL")
	settings.Add("_pragma", "journal_size_limit(67108864)")
	settings.Add("_pragma", "cache_size(-16000)")
	return settings
}

// readerSettings are those of the connections that read; a write through them by mistake is refused.
func readerSettings() url.Values {
	settings := commonSettings()
	settings.Set("_query_only", "1")
	return settings
}

// newPool opens no connection yet.
func newPool(path string, size int, settings url.Values) (*pool, error) {
	connector, err := sqlite.NewConnector(dsn(path, settings))
	if err != nil {
		return nil, fmt.Errorf("describe the connection: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return &pool{db: db, statements: map[string]*sql.Stmt{}}, nil
}

// dsn gives the URI of a file, whatever characters are in its absolute path.
func dsn(path string, settings url.Values) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") { // a Windows drive
		slashed = "/" + slashed
	}
	return (&url.URL{Scheme: "file", Path: slashed, RawQuery: settings.Encode()}).String()
}

// createPrivate makes the file, readable by its owner only: it holds phone numbers. SQLite gives its other files the same mode. A file
// that exists is not touched: closing a second handle would release the locks that this process holds on it.
func createPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's own setting
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the file: %w", err)
	}
	return file.Close()
}

// prepare prepares statements ahead. The writer needs them all before the first transaction, which occupies its only connection.
func (p *pool) prepare(ctx context.Context, texts []string) error {
	for _, text := range texts {
		if _, err := p.statement(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// statement gives a prepared statement, preparing it when it is asked for the first time.
func (p *pool) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if known := p.known(text); known != nil {
		return known, nil
	}
	fresh, err := p.db.PrepareContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("prepare statement: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.statements[text]; known != nil { // another goroutine was faster
		return known, fresh.Close()
	}
	p.statements[text] = fresh
	return fresh, nil
}

func (p *pool) known(text string) *sql.Stmt {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.statements[text]
}

// close ends the connections, and with them their statements. A pool that was never made is closed already.
func (p *pool) close() error {
	if p == nil {
		return nil
	}
	return p.db.Close()
}
