package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Histories implements session.Histories.
type Histories struct{ db *DB }

var _ session.Histories = (*Histories)(nil)

// Histories gives the store of what happened to sessions.
func (db *DB) Histories() *Histories { return &Histories{db: db} }

const (
	insertHistory = `INSERT INTO histories (session, revision, entries) VALUES (?1, ?2, ?3)`
	updateHistory = `UPDATE histories SET revision = ?2, entries = ?3 WHERE session = ?1 AND revision = ?2 - 1`
	selectHistory = `SELECT session, revision, entries FROM histories WHERE session = ?`
)

// historyEntry is session.HistoryEntry as the table holds it.
type historyEntry struct {
	At      time.Time         `json:"at"`
	Kind    session.EntryKind `json:"kind"`
	Reason  session.Reason    `json:"reason,omitempty"`
	Detail  string            `json:"detail,omitempty"`
	Sent    int               `json:"sent,omitempty"`
	SentNew int               `json:"sent_new,omitempty"`
	Beside  int               `json:"beside,omitempty"`
	Egress  string            `json:"egress,omitempty"`
}

func scanHistory(from row) (h session.History, err error) {
	var encoded []byte
	if err := from.Scan(&h.Session, &h.Revision, &encoded); err != nil {
		return h, err
	}
	var entries []historyEntry
	if err := json.Unmarshal(encoded, &entries); err != nil {
		return h, fmt.Errorf("decode entries: %w", err)
	}
	for _, entry := range entries {
		h.Entries = append(h.Entries, session.HistoryEntry(entry))
	}
	return h, nil
}

// Get implements session.Histories.
func (h *Histories) Get(ctx context.Context, id session.ID) (session.History, error) {
	found, err := single(queryAll(ctx, h.db.reader, selectHistory, []any{id}, scanHistory))
	return found, h.db.explain(ctx, "get the history of session "+string(id), err)
}

// Put implements session.Histories.
func (h *Histories) Put(ctx context.Context, put session.History) error {
	entries := make([]historyEntry, 0, len(put.Entries))
	for _, entry := range put.Entries {
		entry.At = entry.At.UTC().Truncate(time.Millisecond) // as all times here
		entries = append(entries, historyEntry(entry))
	}
	encoded, err := json.Marshal(entries)
	if err != nil {
		return fmt.Errorf("encode entries: %w", err)
	}
	statement := updateHistory
	if put.Revision == 0 {
		statement = insertHistory
	}
	return h.db.write(ctx, "store the history of session "+string(put.Session), func(tx *transaction) error {
		changed, err := exec(ctx, tx, statement, put.Session, put.Revision+1, string(encoded))
		if err == nil && changed == 0 {
			return store.ErrConflict
		}
		return err
	})
}
