package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/internal/store"
)

// HistoryLength is how many entries a session's history keeps.
const HistoryLength = 50

// EntryKind says what happened to a session.
type EntryKind string

// What a history tells of.
const (
	// EntryLinked: a link was ready.
	EntryLinked EntryKind = "linked"
	// EntryConnected and EntryDisconnected: the connection came, and broke.
	EntryConnected    EntryKind = "connected"
	EntryDisconnected EntryKind = "disconnected"
	// EntryStreamError: WhatsApp reported an error that nothing explains; Detail is its code.
	EntryStreamError EntryKind = "stream_error"
	// EntryRestricted and EntryUnrestricted: WhatsApp forbade the account to write to new contacts, and allowed it again.
	EntryRestricted   EntryKind = "restricted"
	EntryUnrestricted EntryKind = "unrestricted"
	// EntrySends: messages were sent; one entry an hour.
	EntrySends EntryKind = "sends"
	// EntryEnded: WhatsApp ended the connection for good; Reason says how.
	EntryEnded EntryKind = "ended"
)

// EntryKinds lists every kind, in the order of their declaration.
func EntryKinds() []EntryKind {
	return []EntryKind{EntryLinked, EntryConnected, EntryDisconnected, EntryStreamError, EntryRestricted, EntryUnrestricted, EntrySends, EntryEnded}
}

// HistoryEntry is one thing that happened to a session. Nothing in it says who was written to.
type HistoryEntry struct {
	At     time.Time
	Kind   EntryKind
	Reason Reason
	// Detail is WhatsApp's own code, for operators.
	Detail string
	// Sent counts the messages of the hour before At, or, for EntrySends, of the hour that begins there. SentNew counts those among them that were the first
	// to a number which had not written: as far as the worker that sent them knows, since it took the session over.
	Sent, SentNew int
	// Beside counts the other sessions on the same egress; only for EntryEnded.
	Beside int
	// Egress is the way out of that time.
	Egress string
}

// History is what happened to a session's connection: what an operator, or Diagnose, reads after a logout.
type History struct {
	Session ID
	// Entries are at most HistoryLength, oldest first.
	Entries []HistoryEntry
	// Revision counts the writes; one with an old one is refused (store.ErrConflict). Zero: it was never written.
	Revision int64
}

// Histories persists histories. The adapters are in internal/store; a session that is deleted takes its history with it.
type Histories interface {
	// Get gives the history of a session; store.ErrNotFound when nothing ever happened.
	Get(ctx context.Context, id ID) (History, error)
	// Put stores a history, if the stored one has its Revision (zero: there is none), and raises that by one; else store.ErrConflict.
	Put(ctx context.Context, history History) error
}

// Remember adds an entry to a session's history.
func Remember(ctx context.Context, histories Histories, id ID, entry HistoryEntry) error {
	for {
		history, err := histories.Get(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			history, err = History{Session: id}, nil
		}
		if err == nil {
			err = histories.Put(ctx, history.With(entry))
		}
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, store.ErrConflict) || ctx.Err() != nil:
			return fmt.Errorf("remember what happened to session %s: %w", id, err)
		}
	}
}

// With gives the history with one entry more, in the order of time, without those that are too old to keep. Sends of one hour are one entry.
func (h History) With(entry HistoryEntry) History {
	entries := slices.Clone(h.Entries)
	if entry.Kind == EntrySends {
		entries = slices.DeleteFunc(entries, func(known HistoryEntry) bool { return known.Kind == EntrySends && known.At.Equal(entry.At) })
	}
	entries = append(entries, entry)
	slices.SortStableFunc(entries, func(a, b HistoryEntry) int { return a.At.Compare(b.At) })
	h.Entries = entries[max(0, len(entries)-HistoryLength):]
	return h
}
