package signal

import (
	"encoding/binary"
	"errors"

	"go.mau.fi/libsignal/keys/chain"
	"go.mau.fi/libsignal/keys/message"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/util/optional"
)

// errRecord is returned for a session record that was not written by packed.
var errRecord = errors.New("the session record is cut short")

// packed writes sessions as numbers and bytes in a fixed order: a third of the size of libsignal's own records, which are JSON with
// base64, and much faster to read. They never leave the process.
type packed struct{}

// Serialize writes a session.
func (packed) Serialize(session *record.SessionStructure) []byte {
	w := writer(make([]byte, 0, 384))
	w.state(session.SessionState)
	w.number(uint32(len(session.PreviousStates)))
	for _, state := range session.PreviousStates {
		w.state(state)
	}
	return append([]byte(nil), w...)
}

// Deserialize reads a session.
func (packed) Deserialize(raw []byte) (*record.SessionStructure, error) {
	r := reader{rest: raw}
	session := &record.SessionStructure{SessionState: r.state()}
	for range r.count() {
		session.PreviousStates = append(session.PreviousStates, r.state())
	}
	return session, r.err
}

// packedState is packed for a single state, which libsignal wants as well.
type packedState struct{}

// Serialize writes a state.
func (packedState) Serialize(state *record.StateStructure) []byte {
	var w writer
	w.state(state)
	return w
}

// Deserialize reads a state.
func (packedState) Deserialize(raw []byte) (*record.StateStructure, error) {
	r := reader{rest: raw}
	state := r.state()
	return state, r.err
}

type writer []byte

func (w *writer) number(n uint32) { *w = binary.AppendUvarint(*w, uint64(n)) }

func (w *writer) bytes(b []byte) {
	w.number(uint32(len(b)))
	*w = append(*w, b...)
}

func (w *writer) flag(set bool) {
	if set {
		*w = append(*w, 1)
		return
	}
	*w = append(*w, 0)
}

// state writes everything but the pending key exchange, which belongs to a version of the protocol that nobody speaks.
func (w *writer) state(s *record.StateStructure) {
	w.number(uint32(s.SessionVersion))
	w.number(s.LocalRegistrationID)
	w.number(s.RemoteRegistrationID)
	w.number(s.PreviousCounter)
	w.flag(s.NeedsRefresh)
	for _, field := range [][]byte{s.LocalIdentityPublic, s.RemoteIdentityPublic, s.RootKey, s.SenderBaseKey} {
		w.bytes(field)
	}
	w.flag(s.PendingPreKey != nil)
	if pending := s.PendingPreKey; pending != nil {
		w.flag(pending.PreKeyID != nil && !pending.PreKeyID.IsEmpty)
		if pending.PreKeyID != nil && !pending.PreKeyID.IsEmpty {
			w.number(pending.PreKeyID.Value)
		}
		w.number(pending.SignedPreKeyID)
		w.bytes(pending.BaseKey)
	}
	w.chain(s.SenderChain)
	w.number(uint32(len(s.ReceiverChains)))
	for _, receiver := range s.ReceiverChains {
		w.chain(receiver)
	}
}

func (w *writer) chain(c *record.ChainStructure) {
	w.bytes(c.SenderRatchetKeyPublic)
	w.bytes(c.SenderRatchetKeyPrivate)
	w.bytes(c.ChainKey.Key)
	w.number(c.ChainKey.Index)
	w.number(uint32(len(c.MessageKeys)))
	for _, keys := range c.MessageKeys {
		w.bytes(keys.CipherKey)
		w.bytes(keys.MacKey)
		w.bytes(keys.IV)
		w.number(keys.Index)
	}
}

// reader reads what writer wrote; after the first error everything is zero.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) number() uint32 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.err, r.rest = errRecord, nil
		return 0
	}
	r.rest = r.rest[size:]
	return uint32(n)
}

// count is a number of things that follow, each of at least one byte.
func (r *reader) count() int {
	n := int(r.number())
	if n > len(r.rest) {
		r.err, r.rest = errRecord, nil
		return 0
	}
	return n
}

func (r *reader) bytes() []byte {
	size := r.count()
	if size == 0 {
		return nil
	}
	field := r.rest[:size:size]
	r.rest = r.rest[size:]
	return field
}

func (r *reader) flag() bool { return r.number() == 1 }

func (r *reader) state() *record.StateStructure {
	s := &record.StateStructure{
		SessionVersion: int(r.number()), LocalRegistrationID: r.number(), RemoteRegistrationID: r.number(),
		PreviousCounter: r.number(), NeedsRefresh: r.flag(),
		LocalIdentityPublic: r.bytes(), RemoteIdentityPublic: r.bytes(), RootKey: r.bytes(), SenderBaseKey: r.bytes(),
	}
	if r.flag() {
		pending := &record.PendingPreKeyStructure{PreKeyID: optional.NewEmptyUint32()}
		if r.flag() {
			pending.PreKeyID = optional.NewOptionalUint32(r.number())
		}
		pending.SignedPreKeyID, pending.BaseKey = r.number(), r.bytes()
		s.PendingPreKey = pending
	}
	s.SenderChain = r.chain()
	for range r.count() {
		s.ReceiverChains = append(s.ReceiverChains, r.chain())
	}
	return s
}

func (r *reader) chain() *record.ChainStructure {
	c := &record.ChainStructure{
		SenderRatchetKeyPublic: r.bytes(), SenderRatchetKeyPrivate: r.bytes(),
		ChainKey: &chain.KeyStructure{Key: r.bytes(), Index: r.number()},
	}
	for range r.count() {
		c.MessageKeys = append(c.MessageKeys, &message.KeysStructure{
			CipherKey: r.bytes(), MacKey: r.bytes(), IV: r.bytes(), Index: r.number(),
		})
	}
	return c
}
