package keys

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/store"
)

// An envelope is what the database keeps of a value: the version of this form, the length of the key's id, the id, a random nonce, and the
// value encrypted with AES-256-GCM. What it encrypts is bound to its place: session, kind and key of the row are additional data, so that a row that
// was moved or swapped does not open.
const (
	envelopeVersion = 1
	nonceSize       = 12
	tagSize         = 16
)

// seal gives the envelope of a value.
func (r *Ring) seal(session, kind, key string, value []byte) ([]byte, error) {
	aead, err := r.cipher(r.first, session)
	if err != nil {
		return nil, err
	}
	envelope := make([]byte, 0, 2+len(r.first)+nonceSize+len(value)+tagSize)
	envelope = append(envelope, envelopeVersion, byte(len(r.first)))
	envelope = append(envelope, r.first...)
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails: crypto/rand ends the process instead
	return aead.Seal(append(envelope, nonce...), nonce, value, place(session, kind, key)), nil
}

// open gives the value in an envelope. That it does not open is an error of class Internal that names the kind of the row and nothing else.
func (r *Ring) open(session, kind, key string, envelope []byte) ([]byte, error) {
	id, rest, valid := split(envelope)
	if !valid || len(rest) < nonceSize+tagSize {
		return nil, damaged(kind)
	}
	if !r.has(id) {
		return nil, fault.New(fault.Internal, "keystore_key_missing", fmt.Sprintf("A row of the key store (%s) is sealed with the key %q, which is not "+
			"configured; add it to KEYSTORE_KEY", kind, id))
	}
	aead, err := r.cipher(id, session)
	if err != nil {
		return nil, err
	}
	value, err := aead.Open([]byte{}, rest[:nonceSize], rest[nonceSize:], place(session, kind, key))
	if err != nil {
		return nil, damaged(kind)
	}
	return value, nil
}

func damaged(kind string) error {
	return fault.New(fault.Internal, "keystore_row_damaged", fmt.Sprintf("A row of the key store (%s) cannot be opened: it was altered, or sealed with "+
		"another key under the same name; restore the key store or link the phone again", kind))
}

// split gives the id of the key of an envelope, and what is behind it.
func split(envelope []byte) (id string, rest []byte, valid bool) {
	if len(envelope) < 2 || envelope[0] != envelopeVersion || len(envelope) < 2+int(envelope[1]) {
		return "", nil, false
	}
	end := 2 + int(envelope[1])
	return string(envelope[2:end]), envelope[end:], true
}

// place says where a row is, unmistakably: each part behind its length.
func place(session, kind, key string) []byte {
	var text []byte
	for _, part := range []string{session, kind, key} {
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	return text
}

// address says where a row is within its session.
type address struct{ kind, key string }

// row is an entry; its value is nil when it does not exist.
type row struct {
	value   []byte
	expires time.Time
}

// exists tells whether the row is there now.
func (r row) exists() bool {
	return r.value != nil && (r.expires.IsZero() || time.Now().Before(r.expires))
}

// change is a row to write, or to delete when it has no value.
type change struct {
	address
	row
}

// writing is a batch of changes, not sealed yet.
type writing struct {
	session string
	epoch   uint64
	changes []change
	clear   bool
}

// sealed is the port, behind the ring: values go in and come out in the open.
type sealed struct {
	keys store.Keys
	ring *Ring
}

func (s sealed) write(ctx context.Context, w writing) error {
	batch := store.KeyBatch{Session: w.session, Epoch: w.epoch, Clear: w.clear, Changes: make([]store.KeyChange, len(w.changes))}
	for i, change := range w.changes {
		batch.Changes[i] = store.KeyChange{Kind: change.kind, Key: change.key, Expires: change.expires}
		if change.value == nil {
			continue
		}
		envelope, err := s.ring.seal(w.session, change.kind, change.key, change.value)
		if err != nil {
			return err
		}
		batch.Changes[i].Value = envelope
	}
	return s.keys.Write(ctx, batch)
}

// get gives those of the rows that exist.
func (s sealed) get(ctx context.Context, session, kind string, keys []string) (map[string]row, error) {
	found, err := s.keys.Get(ctx, session, kind, keys)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]row, len(found))
	for _, each := range found {
		value, err := s.ring.open(session, kind, each.Key, each.Value)
		if err != nil {
			return nil, err
		}
		rows[each.Key] = row{value: value, expires: each.Expires}
	}
	return rows, nil
}

// scan gives the rows whose key begins with a prefix.
func (s sealed) scan(ctx context.Context, session, kind, prefix string) (map[string]row, error) {
	rows := map[string]row{}
	page := store.Page{Size: store.MaxPageSize}
	for {
		list, err := s.keys.Scan(ctx, session, kind, prefix, page)
		if err != nil {
			return nil, err
		}
		for _, each := range list.Items {
			value, err := s.ring.open(session, kind, each.Key, each.Value)
			if err != nil {
				return nil, err
			}
			rows[each.Key] = row{value: value, expires: each.Expires}
		}
		if page.After = list.Next; page.After == "" {
			return rows, nil
		}
	}
}
