// Package keys is the key store: everything that whatsmeow keeps of the linked devices, on top of the small key-value port store.Keys, sealed,
// and written by one owner at a time. It implements all of whatsmeow's store interfaces and behaves as its own sqlstore does (a test drives both).
//
// Nouns: Store (the key store of a process), Owner (one session's rows in the hands of the worker that holds its lease; the part that
// whatsmeow talks to; it states what is read from memory and when a write is on the disk), Ring (the keys that rows are sealed with), row (one entry: a
// Signal session, a prekey, the device's own keys), Tombstone (what stays of a device that was logged out: when, and why).
//
// The LID map is kept for each session. whatsmeow's own is shared by all devices; a shared one here would have many writers, and none of
// them could be fenced.
//
// Values are sealed (seal.go), and addresses of rows are not: some hold a phone number or a hidden id. Going back to an old copy of the
// database would turn the ratchets back, and contacts would wait for messages for ever: Attest refuses it as far as it can be seen.
//
// internal/wa gives owners to whatsmeow, and internal/app opens the store and rotates its keys. The package must never log or name in an error a key, an
// address or a value.
package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// Options are the parts of a Store. Keys and Ring are required.
type Options struct {
	Keys store.Keys
	Ring *Ring
	// CacheBytes bounds the rows that an owner keeps in memory; zero: DefaultCacheBytes.
	CacheBytes int
	// Witness notices a database that was put back to an older copy; nil: nobody does.
	Witness Witness
	Log     *slog.Logger
}

// DefaultCacheBytes holds the Signal sessions of some thousand contacts.
const DefaultCacheBytes = 8 << 20

// Store is the key store. Its methods may be called from any goroutine.
type Store struct {
	options Options
	rows    sealed
	cleared lastClearing
}

// Open checks that the ring holds the keys that the database was sealed with, and marks a database that is sealed with the first key from
// now on. A wrong or missing key is refused with a sentence for the operator, before anything is read or written with it.
func Open(ctx context.Context, options Options) (*Store, error) {
	if options.Keys == nil || options.Ring == nil {
		return nil, errors.New("keys: Keys and Ring are required")
	}
	if options.CacheBytes == 0 {
		options.CacheBytes = DefaultCacheBytes
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	quietSignal()
	s := &Store{options: options, rows: sealed{keys: options.Keys, ring: options.Ring}}
	if err := s.checkRing(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// The check rows: one for each key that rows may be sealed with, under a session that no session has.
const (
	checkSession = "~keystore"
	checkEpoch   = 1
	checkText    = "the key store can be read with this key"
)

// checkRing verifies the ring, and adds the check row of the first key.
func (s *Store) checkRing(ctx context.Context) error {
	used, err := s.verify(ctx)
	if err != nil {
		return err
	}
	sealing := s.options.Ring.sealing()
	if used[sealing] != nil {
		return nil
	}
	changes := []change{{address: address{kindCheck, sealing}, row: row{value: []byte(checkText)}}}
	if err := s.rows.write(ctx, writing{session: checkSession, epoch: checkEpoch, changes: changes}); err != nil {
		return fmt.Errorf("mark the key store as sealed: %w", err)
	}
	return nil
}

// Verify checks the ring as Open does, and writes nothing. It gives how many keys the rows are sealed with; none: the key store is empty.
func Verify(ctx context.Context, options Options) (used int, err error) {
	if options.Keys == nil || options.Ring == nil {
		return 0, errors.New("keys: Keys and Ring are required")
	}
	s := &Store{options: options}
	sealed, err := s.verify(ctx)
	return len(sealed), err
}

// verify opens every check row.
func (s *Store) verify(ctx context.Context) (used map[string][]byte, err error) {
	if used, err = s.usedKeys(ctx); err != nil {
		return nil, err
	}
	for id, envelope := range used {
		if !s.options.Ring.has(id) {
			return nil, fault.New(fault.Internal, "keystore_key_missing", fmt.Sprintf("The key store has rows that are sealed with the key %q, which is "+
				"not configured; add it to KEYSTORE_KEY behind the first one, or start with the key file that belongs to this database", id))
		}
		if _, err := s.options.Ring.open(checkSession, kindCheck, id, envelope); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "keystore_key_wrong", fmt.Sprintf("The key %q is not the one that the key store was sealed with; "+
				"configure the right one (KEYSTORE_KEY or the key file)", id))
		}
	}
	return used, nil
}

// usedKeys gives the check rows by the id of their key.
func (s *Store) usedKeys(ctx context.Context) (map[string][]byte, error) {
	used := map[string][]byte{}
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := s.options.Keys.Scan(ctx, checkSession, kindCheck, "", page)
		if err != nil {
			return nil, fmt.Errorf("read which keys the key store is sealed with: %w", err)
		}
		for _, found := range list.Items {
			used[found.Key] = found.Value
		}
		if page.After = list.Next; page.After == "" {
			return used, nil
		}
	}
}

// Tombstone is what stays of a device that was logged out or removed.
type Tombstone struct {
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

func (t Tombstone) encode() []byte {
	encoded, err := json.Marshal(t)
	if err != nil {
		panic(err) // a text and a time always have a form
	}
	return encoded
}
