package keys_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/dannsalud/broadcaster/internal/store"
)

// watched is a database whose calls are counted, and whose writes can be made to wait or to fail.
type watched struct {
	store.Keys

	mu     sync.Mutex
	writes []store.KeyBatch
	reads  int
	// fail is what the next writes give; before is called in each of them. read is called behind each read, and resealing before each rotation of rows.
	fail            error
	before          func()
	read, resealing func()
}

var errDisk = errors.New("the disk is full")

func (w *watched) Write(ctx context.Context, batch store.KeyBatch) error {
	w.mu.Lock()
	fail, before := w.fail, w.before
	w.mu.Unlock()
	if before != nil {
		before()
	}
	if fail != nil {
		return fail
	}
	if err := w.Keys.Write(ctx, batch); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, batch)
	return nil
}

func (w *watched) Get(ctx context.Context, session, kind string, keys []string) ([]store.KeyRow, error) {
	w.mu.Lock()
	w.reads++
	read := w.read
	w.mu.Unlock()
	rows, err := w.Keys.Get(ctx, session, kind, keys)
	if read != nil {
		read()
	}
	return rows, err
}

func (w *watched) Reseal(ctx context.Context, session string, rows []store.KeyReseal) (int, error) {
	if w.resealing != nil {
		w.resealing()
	}
	return w.Keys.Reseal(ctx, session, rows)
}

func (w *watched) set(fail error, before func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail, w.before = fail, before
}

// count gives the number of writes and reads since the last time.
func (w *watched) count() (writes, reads int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	writes, reads = len(w.writes), w.reads
	w.writes, w.reads = nil, 0
	return writes, reads
}

// kindsOfRows lists every kind of row that a test may leave.
var kindsOfRows = []string{"device", "tombstone", "identity", "session", "prekey", "prekey_last", "sender_key", "app_state_key", "app_state_version",
	"app_state_mac", "contact", "chat", "message_secret", "privacy_token", "nct_salt", "event_buffer", "outgoing", "lid", "lid_phone"}

// rowsOf gives all rows of a session as they are in the database.
func rowsOf(t testing.TB, database store.Keys, session string) (rows []store.KeyRow) {
	t.Helper()
	for _, kind := range kindsOfRows {
		page := store.Page{Size: store.MaxPageSize}
		for {
			list, err := database.Scan(context.Background(), session, kind, "", page)
			must(t, err)
			rows = append(rows, list.Items...)
			if page.After = list.Next; page.After == "" {
				break
			}
		}
	}
	return rows
}

// addresses gives "kind key" of rows.
func addresses(rows []store.KeyRow) []string {
	all := make([]string, len(rows))
	for i, row := range rows {
		all[i] = row.Kind + " " + row.Key
	}
	return all
}
