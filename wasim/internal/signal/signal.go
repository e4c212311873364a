// Package signal is one simulated Signal device: an identity, prekeys and the sessions it has with others, using libsignal for the
// ratchets. Simulated phones and contacts own one for each of their devices.
//
// Nouns: Device, Address (whom a session is with), Bundle (the public keys that start a session).
//
// A device is made to be cheap, because an audience can have a hundred thousand contacts: its keys are derived from a secret, the
// owner's number and the device's number whenever they are needed, and a session is kept as libsignal's encoded record (some 350
// bytes). A device is not safe for concurrent use; its owner's lock guards it.
//
// The simulator is its only caller. It must never know stanzas or JIDs.
package signal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/whatsmeow/util/keys"
)

// signedPreKeyID is the id of every simulated device's only signed prekey.
const signedPreKeyID = 1

var serializer = serialize.NewProtoBufSerializer()

// Address names the device at the other end of a session, whatever JID it was addressed by.
type Address struct {
	User   uint64
	Device uint16
}

func (a Address) signal() *protocol.SignalAddress {
	return protocol.NewSignalAddress(fmt.Sprint(a.User), uint32(a.Device))
}

// PreKey is the public half of a prekey; Signature is set for signed ones.
type PreKey struct {
	ID        uint32
	Key       [32]byte
	Signature [64]byte
}

// Bundle is what a stranger needs to start a session with a device. OneTime may be nil.
type Bundle struct {
	Registration uint32
	Identity     [32]byte
	Signed       PreKey
	OneTime      *PreKey
}

// Device is a simulated device. Make it with NewDevice.
type Device struct {
	secret *[32]byte
	owner  uint64
	id     uint16

	oneTime  uint32
	sessions []session
}

type session struct {
	with   Address
	record []byte
}

// NewDevice makes a device whose keys derive from secret, owner and id; the secret is shared, not copied.
func NewDevice(secret *[32]byte, owner uint64, id uint16) *Device {
	return &Device{secret: secret, owner: owner, id: id}
}

// ID is the device's number within its account: 0 is the phone.
func (d *Device) ID() uint16 { return d.id }

// Identity is the device's identity key pair.
func (d *Device) Identity() *keys.KeyPair { return d.derive("identity", 0) }

// Registration is the device's registration id: 14 bits, never zero.
func (d *Device) Registration() uint32 {
	sum := d.mac("registration", 0)
	return binary.BigEndian.Uint32(sum[:4])&0x3fff | 1
}

// Bundle gives the device's public keys, with a fresh one-time prekey if asked for.
func (d *Device) Bundle(withOneTime bool) Bundle {
	identity := d.Identity()
	signed := d.derive("signed", signedPreKeyID)
	bundle := Bundle{
		Registration: d.Registration(),
		Identity:     *identity.Pub,
		Signed:       PreKey{ID: signedPreKeyID, Key: *signed.Pub, Signature: *identity.Sign(signed)},
	}
	if withOneTime {
		d.oneTime++
		bundle.OneTime = &PreKey{ID: d.oneTime, Key: *d.derive("one-time", d.oneTime).Pub}
	}
	return bundle
}

// HasSession tells whether the device can encrypt for the address without a bundle.
func (d *Device) HasSession(with Address) bool { return d.find(with) >= 0 }

// Forget drops the session with an address, as a phone that was restored from an old backup has.
func (d *Device) Forget(with Address) {
	if i := d.find(with); i >= 0 {
		d.sessions = append(d.sessions[:i], d.sessions[i+1:]...)
	}
}

func (d *Device) find(with Address) int {
	for i := range d.sessions {
		if d.sessions[i].with == with {
			return i
		}
	}
	return -1
}

// derive gives the key pair of one purpose.
func (d *Device) derive(purpose string, index uint32) *keys.KeyPair {
	private := d.mac(purpose, index)
	private[0] &= 248
	private[31] &= 127
	private[31] |= 64
	return keys.NewKeyPairFromPrivateKey(private)
}

func (d *Device) mac(purpose string, index uint32) [32]byte {
	var name [14]byte
	binary.BigEndian.PutUint64(name[:8], d.owner)
	binary.BigEndian.PutUint16(name[8:10], d.id)
	binary.BigEndian.PutUint32(name[10:], index)
	sum := hmac.New(sha256.New, d.secret[:])
	sum.Write(name[:])
	sum.Write([]byte(purpose))
	return [32]byte(sum.Sum(nil))
}

func ecPair(pair *keys.KeyPair) *ecc.ECKeyPair {
	return ecc.NewECKeyPair(ecc.NewDjbECPublicKey(*pair.Pub), ecc.NewDjbECPrivateKey(*pair.Priv))
}
