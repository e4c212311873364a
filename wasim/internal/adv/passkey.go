package adv

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"google.golang.org/protobuf/proto"
)

const (
	handoffInfo = "shortcake-passkey-handoff-v1"
	pairingInfo = "Pairing Information Encryption Key"
)

// PasskeyExchange is the phone's side of one pairing that goes through a passkey: it starts from the companion's prologue, learns
// the companion's nonce, and ends with the companion's keys.
type PasskeyExchange struct {
	companion *waCompanionReg.CompanionEphemeralIdentity
	identity  []byte
	promised  []byte
	proven    bool

	private *ecdh.PrivateKey
	nonce   []byte
	code    string
}

// ReadPrologue starts an exchange. Secret is the ADV secret of the QR that was scanned; proof, if the companion sent one, shows that
// the companion of the prologue is the one that showed the QR, so that nobody needs to compare codes.
func ReadPrologue(prologue, proof, secret []byte) (*PasskeyExchange, error) {
	var outer waCompanionReg.ProloguePayload
	if err := proto.Unmarshal(prologue, &outer); err != nil {
		return nil, fmt.Errorf("read prologue: %w", err)
	}
	var identity waCompanionReg.CompanionEphemeralIdentity
	if err := proto.Unmarshal(outer.GetCompanionEphemeralIdentity(), &identity); err != nil {
		return nil, fmt.Errorf("read the companion's ephemeral identity: %w", err)
	}
	exchange := &PasskeyExchange{
		companion: &identity,
		identity:  outer.GetCompanionEphemeralIdentity(),
		promised:  outer.GetCommitment().GetHash(),
		nonce:     randomBytes(32),
	}
	var err error
	if exchange.private, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
		return nil, fmt.Errorf("make ephemeral key: %w", err)
	}
	if len(proof) == 0 {
		return exchange, nil
	}
	key, err := hkdf.Key(sha256.New, secret, nil, handoffInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("derive hand-off key: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(prologue)
	if !hmac.Equal(mac.Sum(nil), proof) {
		return nil, errors.New("the hand-off proof does not belong to the QR that was scanned")
	}
	exchange.proven = true
	return exchange, nil
}

// Ref is the pairing reference that the companion claims to continue.
func (x *PasskeyExchange) Ref() string { return x.companion.GetRef() }

// Proven tells whether the hand-off proof was given and right.
func (x *PasskeyExchange) Proven() bool { return x.proven }

// PhoneIdentity is the phone's answer to the prologue.
func (x *PasskeyExchange) PhoneIdentity() ([]byte, error) {
	return proto.Marshal(&waCompanionReg.PrimaryEphemeralIdentity{PublicKey: x.private.PublicKey().Bytes(), Nonce: x.nonce})
}

// TakeNonce checks the companion's nonce against what the prologue promised; after it Code is known.
func (x *PasskeyExchange) TakeNonce(companionNonce []byte) error {
	commitment := sha256.Sum256(append(append([]byte(nil), x.identity...), companionNonce...))
	if !hmac.Equal(commitment[:], x.promised) {
		return errors.New("the companion's nonce is not the one it committed to")
	}
	digest := sha256.Sum256(append(append([]byte(nil), companionNonce...), x.private.PublicKey().Bytes()...))
	var code [5]byte
	for i := range code {
		code[i] = x.nonce[i] ^ digest[i]
	}
	text := codeAlphabet.EncodeToString(code[:])
	x.code = text[:4] + "-" + text[4:]
	return nil
}

// Code is what the phone shows for comparison, as "ABCD-EFGH"; empty before TakeNonce.
func (x *PasskeyExchange) Code() string { return x.code }

// Open opens the companion's last message and gives its keys; the Ref of the offer is the prologue's.
func (x *PasskeyExchange) Open(request []byte) (Offer, error) {
	var sealed waCompanionReg.EncryptedPairingRequest
	if err := proto.Unmarshal(request, &sealed); err != nil {
		return Offer{}, fmt.Errorf("read encrypted pairing request: %w", err)
	}
	public, err := ecdh.X25519().NewPublicKey(x.companion.GetPublicKey())
	if err != nil {
		return Offer{}, fmt.Errorf("read the companion's ephemeral key: %w", err)
	}
	shared, err := x.private.ECDH(public)
	if err != nil {
		return Offer{}, fmt.Errorf("exchange ephemeral keys: %w", err)
	}
	salt := fmt.Sprintf("Companion Pairing %d with ref %s", x.companion.GetDeviceType(), x.companion.GetRef())
	key, err := hkdf.Key(sha256.New, shared, []byte(salt), pairingInfo, 32)
	if err != nil {
		return Offer{}, fmt.Errorf("derive pairing key: %w", err)
	}
	raw, err := openGCM(key, sealed.GetIV(), sealed.GetEncryptedPayload())
	if err != nil {
		return Offer{}, fmt.Errorf("decrypt pairing request: %w", err)
	}
	var pairing waCompanionReg.PairingRequest
	if err := proto.Unmarshal(raw, &pairing); err != nil {
		return Offer{}, fmt.Errorf("read pairing request: %w", err)
	}
	if len(pairing.GetCompanionPublicKey()) != 32 || len(pairing.GetCompanionIdentityKey()) != 32 {
		return Offer{}, errors.New("the pairing request lacks a key of 32 bytes")
	}
	return Offer{
		Ref:      x.Ref(),
		Noise:    [32]byte(pairing.GetCompanionPublicKey()),
		Identity: [32]byte(pairing.GetCompanionIdentityKey()),
		Secret:   pairing.GetAdvSecret(),
	}, nil
}
