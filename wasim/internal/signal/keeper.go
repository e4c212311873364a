package signal

import (
	"context"
	"errors"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/state/store"
)

// keeper is the device as libsignal's stores want it, for the length of one operation with one address. Every identity is trusted:
// what a contact's phone thinks of a changed key is not simulated.
type keeper struct {
	device *Device
	with   Address
}

var (
	_ store.Session      = (*keeper)(nil)
	_ store.PreKey       = (*keeper)(nil)
	_ store.SignedPreKey = (*keeper)(nil)
	_ store.IdentityKey  = (*keeper)(nil)
)

// errUnused answers the methods of libsignal's wide interfaces that its builder and cipher never call.
var errUnused = errors.New("not used by libsignal's session builder and cipher")

func (k *keeper) LoadSession(context.Context, *protocol.SignalAddress) (*record.Session, error) {
	i := k.device.find(k.with)
	if i < 0 {
		return record.NewSession(packed{}, packedState{}), nil
	}
	return record.NewSessionFromBytes(k.device.sessions[i].record, packed{}, packedState{})
}

func (k *keeper) StoreSession(_ context.Context, _ *protocol.SignalAddress, updated *record.Session) error {
	encoded := updated.Serialize()
	if i := k.device.find(k.with); i >= 0 {
		k.device.sessions[i].record = encoded
		return nil
	}
	k.device.sessions = append(k.device.sessions, session{with: k.with, record: encoded})
	return nil
}

func (k *keeper) ContainsSession(context.Context, *protocol.SignalAddress) (bool, error) {
	return k.device.HasSession(k.with), nil
}

func (k *keeper) GetSubDeviceSessions(context.Context, string) ([]uint32, error) {
	return nil, errUnused
}

func (k *keeper) DeleteSession(context.Context, *protocol.SignalAddress) error { return errUnused }

func (k *keeper) DeleteAllSessions(context.Context) error { return errUnused }

// LoadPreKey derives any one-time prekey: a first message can be read again when it comes again, also by a simulator that was
// started anew from the same secret.
func (k *keeper) LoadPreKey(_ context.Context, id uint32) (*record.PreKey, error) {
	return record.NewPreKey(id, ecPair(k.device.derive("one-time", id)), nil), nil
}

func (k *keeper) StorePreKey(context.Context, uint32, *record.PreKey) error { return errUnused }

func (k *keeper) ContainsPreKey(context.Context, uint32) (bool, error) { return false, errUnused }

func (k *keeper) RemovePreKey(context.Context, uint32) error { return nil }

func (k *keeper) LoadSignedPreKey(_ context.Context, id uint32) (*record.SignedPreKey, error) {
	if id != signedPreKeyID {
		return nil, nil
	}
	pair := k.device.derive("signed", id)
	return record.NewSignedPreKey(id, 0, ecPair(pair), *k.device.Identity().Sign(pair), nil), nil
}

func (k *keeper) LoadSignedPreKeys(context.Context) ([]*record.SignedPreKey, error) {
	return nil, errUnused
}

func (k *keeper) StoreSignedPreKey(context.Context, uint32, *record.SignedPreKey) error {
	return errUnused
}

func (k *keeper) ContainsSignedPreKey(context.Context, uint32) (bool, error) { return false, errUnused }

func (k *keeper) RemoveSignedPreKey(context.Context, uint32) error { return errUnused }

func (k *keeper) GetIdentityKeyPair() *identity.KeyPair {
	pair := k.device.Identity()
	return identity.NewKeyPair(identity.NewKey(ecc.NewDjbECPublicKey(*pair.Pub)), ecc.NewDjbECPrivateKey(*pair.Priv))
}

func (k *keeper) GetLocalRegistrationID() uint32 { return k.device.Registration() }

func (k *keeper) SaveIdentity(context.Context, *protocol.SignalAddress, *identity.Key) error {
	return nil
}

func (k *keeper) IsTrustedIdentity(context.Context, *protocol.SignalAddress, *identity.Key) (bool, error) {
	return true, nil
}
