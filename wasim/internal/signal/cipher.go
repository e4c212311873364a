package signal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	libsession "go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/signalerror"
	"go.mau.fi/libsignal/util/optional"
)

// The types of an <enc> stanza.
const (
	// PreKeyMessage starts a session: it carries what the receiver needs to make its own half.
	PreKeyMessage = "pkmsg"
	// Message belongs to a session that both ends have.
	Message = "msg"
)

// ErrOld is returned for a ciphertext that was decrypted before: the network brought it twice.
var ErrOld = errors.New("the ciphertext was decrypted before")

// Decrypt opens a ciphertext that came from the address and takes the padding off.
func (d *Device) Decrypt(ctx context.Context, from Address, kind string, ciphertext []byte) ([]byte, error) {
	builder, remote := d.builder(from)
	cipher := libsession.NewCipher(builder, remote)
	padded, err := decrypt(ctx, cipher, kind, ciphertext)
	if errors.Is(err, signalerror.ErrOldCounter) {
		return nil, ErrOld
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt %s: %w", kind, err)
	}
	return unpad(padded)
}

func decrypt(ctx context.Context, cipher *libsession.Cipher, kind string, ciphertext []byte) ([]byte, error) {
	switch kind {
	case PreKeyMessage:
		message, err := protocol.NewPreKeySignalMessageFromBytes(ciphertext, serializer.PreKeySignalMessage, serializer.SignalMessage)
		if err != nil {
			return nil, err
		}
		return cipher.DecryptMessage(ctx, message)
	case Message:
		message, err := protocol.NewSignalMessageFromBytes(ciphertext, serializer.SignalMessage)
		if err != nil {
			return nil, err
		}
		return cipher.Decrypt(ctx, message)
	}
	return nil, fmt.Errorf("unknown kind of ciphertext %q", kind)
}

// Encrypt pads and encrypts for an address that the device has a session with. Kind is the <enc> type.
func (d *Device) Encrypt(ctx context.Context, to Address, plaintext []byte) (kind string, ciphertext []byte, err error) {
	builder, remote := d.builder(to)
	sealed, err := libsession.NewCipher(builder, remote).Encrypt(ctx, pad(plaintext))
	if err != nil {
		return "", nil, fmt.Errorf("encrypt: %w", err)
	}
	kind = Message
	if sealed.Type() == protocol.PREKEY_TYPE {
		kind = PreKeyMessage
	}
	return kind, sealed.Serialize(), nil
}

// Establish starts a new session with an address from its bundle; an older session is kept for late messages.
func (d *Device) Establish(ctx context.Context, with Address, bundle Bundle) error {
	oneTimeID, oneTime := optional.NewEmptyUint32(), ecc.ECPublicKeyable(nil)
	if bundle.OneTime != nil {
		oneTimeID = optional.NewOptionalUint32(bundle.OneTime.ID)
		oneTime = ecc.NewDjbECPublicKey(bundle.OneTime.Key)
	}
	builder, _ := d.builder(with)
	err := builder.ProcessBundle(ctx, prekey.NewBundle(bundle.Registration, uint32(with.Device), oneTimeID, bundle.Signed.ID,
		oneTime, ecc.NewDjbECPublicKey(bundle.Signed.Key), bundle.Signed.Signature,
		identity.NewKey(ecc.NewDjbECPublicKey(bundle.Identity))))
	if err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	return nil
}

func (d *Device) builder(with Address) (*libsession.Builder, *protocol.SignalAddress) {
	keep := &keeper{device: d, with: with}
	remote := with.signal()
	return libsession.NewBuilder(keep, keep, keep, keep, remote, serializer), remote
}

// pad appends 1 to 15 bytes that each hold their count.
func pad(plaintext []byte) []byte {
	count := 1 + rand.IntN(15)
	return append(bytes.Clone(plaintext), bytes.Repeat([]byte{byte(count)}, count)...)
}

func unpad(padded []byte) ([]byte, error) {
	if len(padded) == 0 {
		return nil, errors.New("the plaintext is empty")
	}
	count := int(padded[len(padded)-1])
	if count == 0 || count > len(padded) {
		return nil, fmt.Errorf("the plaintext of %d bytes ends with the padding byte %d", len(padded), count)
	}
	return padded[:len(padded)-count], nil
}
