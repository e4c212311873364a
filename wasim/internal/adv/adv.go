// Package adv is the cryptography of linking a device, as the phone does it: reading the QR, signing the companion's identity ("ADV"),
// the 8-character pairing code and the passkey hand-off.
//
// Nouns: Offer (what a QR says), Details (what the phone signs), CodeExchange and PasskeyExchange (one pairing in progress).
//
// Facts come from whatsmeow's client (pair.go, pair-code.go, pair-passkey.go at v0.0.0-20260821), of which this is the mirror image.
// Callers: the simulator's pairing. It is pure: no network, no stanzas, no clock.
package adv

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// The prefixes that keep signatures for one purpose from being used for another.
var (
	accountPrefix = []byte{6, 0}
	devicePrefix  = []byte{6, 1}
)

// ErrQR is returned for a text that is not a WhatsApp QR code.
var ErrQR = errors.New("not a WhatsApp linking QR code")

// Offer is what a QR code tells the phone about the companion that shows it.
type Offer struct {
	Ref      string
	Noise    [32]byte
	Identity [32]byte
	Secret   []byte
}

// ParseQR reads "ref,noise,identity,secret[,client type]", with or without the URL in front of it.
func ParseQR(text string) (Offer, error) {
	if _, after, found := strings.Cut(text, "#"); found {
		text = after
	}
	fields := strings.Split(text, ",")
	if len(fields) < 4 {
		return Offer{}, fmt.Errorf("%w: it has %d fields, not 4 or 5", ErrQR, len(fields))
	}
	offer := Offer{Ref: fields[0]}
	for i, field := range fields[1:4] {
		raw, err := base64.StdEncoding.DecodeString(field)
		if err != nil || len(raw) != 32 {
			return Offer{}, fmt.Errorf("%w: field %d is not 32 bytes in base64", ErrQR, i+2)
		}
		switch i {
		case 0:
			offer.Noise = [32]byte(raw)
		case 1:
			offer.Identity = [32]byte(raw)
		case 2:
			offer.Secret = raw
		}
	}
	return offer, nil
}

// Details is what the phone signs about a companion besides its identity key.
type Details struct {
	RawID     uint32
	KeyIndex  uint32
	Timestamp uint64
}

// Sign makes the <device-identity> of pair-success: the phone's signature over the companion's identity key, authenticated with the
// ADV secret that the companion chose.
func Sign(phone *keys.KeyPair, companion [32]byte, secret []byte, details Details) ([]byte, error) {
	raw, err := proto.Marshal(&waAdv.ADVDeviceIdentity{
		RawID:       proto.Uint32(details.RawID),
		Timestamp:   proto.Uint64(details.Timestamp),
		KeyIndex:    proto.Uint32(details.KeyIndex),
		AccountType: waAdv.ADVEncryptionType_E2EE.Enum(),
		DeviceType:  waAdv.ADVEncryptionType_E2EE.Enum(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode device identity: %w", err)
	}
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*phone.Priv), bytes.Join([][]byte{accountPrefix, raw, companion[:]}, nil))
	signed, err := proto.Marshal(&waAdv.ADVSignedDeviceIdentity{
		Details:             raw,
		AccountSignatureKey: phone.Pub[:],
		AccountSignature:    signature[:],
	})
	if err != nil {
		return nil, fmt.Errorf("encode signed device identity: %w", err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(signed)
	return proto.Marshal(&waAdv.ADVSignedDeviceIdentityHMAC{Details: signed, HMAC: mac.Sum(nil)})
}

// Verify checks the companion's answer: the same identity, with the companion's own signature under the phone's.
func Verify(phone, companion [32]byte, answer []byte) error {
	var identity waAdv.ADVSignedDeviceIdentity
	if err := proto.Unmarshal(answer, &identity); err != nil {
		return fmt.Errorf("read the companion's device identity: %w", err)
	}
	if len(identity.GetAccountSignature()) != 64 || len(identity.GetDeviceSignature()) != 64 {
		return errors.New("the companion's device identity lacks a signature of 64 bytes")
	}
	account := bytes.Join([][]byte{accountPrefix, identity.GetDetails(), companion[:]}, nil)
	if !ecc.VerifySignature(ecc.NewDjbECPublicKey(phone), account, [64]byte(identity.GetAccountSignature())) {
		return errors.New("the companion did not return the phone's own signature")
	}
	device := bytes.Join([][]byte{devicePrefix, identity.GetDetails(), companion[:], phone[:]}, nil)
	if !ecc.VerifySignature(ecc.NewDjbECPublicKey(companion), device, [64]byte(identity.GetDeviceSignature())) {
		return errors.New("the companion's signature over its device identity is wrong")
	}
	return nil
}
