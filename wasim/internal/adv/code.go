package adv

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"go.mau.fi/whatsmeow/util/keys"
)

const (
	codeRounds     = 2 << 16
	codeSaltSize   = 32
	codeIVSize     = 16
	wrappedKeySize = codeSaltSize + codeIVSize + 32
	bundleInfo     = "link_code_pairing_key_bundle_encryption_key"
)

// codeAlphabet spells pairing codes: no 0, I, O or U.
var codeAlphabet = base32.NewEncoding("123456789ABCDEFGHJKLMNPQRSTVWXYZ")

// ErrWrongCode is returned when the code that was typed on the phone is not the one that the companion shows.
var ErrWrongCode = errors.New("the pairing code is wrong")

// CodeExchange is the phone's side of one pairing by code, after the code was typed.
type CodeExchange struct{ shared []byte }

// AnswerCode takes the code as typed and the companion's wrapped ephemeral key, and gives the phone's own wrapped ephemeral key. A
// wrong code cannot be told from a right one yet: it makes another, useless key.
func AnswerCode(typed string, wrappedCompanion []byte) (exchange *CodeExchange, wrappedPhone []byte, err error) {
	if len(wrappedCompanion) != wrappedKeySize {
		return nil, nil, fmt.Errorf("the companion's wrapped key has %d bytes, not %d", len(wrappedCompanion), wrappedKeySize)
	}
	code := normaliseCode(typed)
	companion, err := xorWithCode(code, wrappedCompanion[:codeSaltSize], wrappedCompanion[codeSaltSize:codeSaltSize+codeIVSize],
		wrappedCompanion[codeSaltSize+codeIVSize:])
	if err != nil {
		return nil, nil, err
	}
	peer, err := ecdh.X25519().NewPublicKey(companion)
	if err != nil {
		return nil, nil, fmt.Errorf("read the companion's ephemeral key: %w", err)
	}
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make ephemeral key: %w", err)
	}
	shared, err := own.ECDH(peer)
	if err != nil {
		return nil, nil, fmt.Errorf("exchange ephemeral keys: %w", err)
	}
	salt, iv := randomBytes(codeSaltSize), randomBytes(codeIVSize)
	wrapped, err := xorWithCode(code, salt, iv, own.PublicKey().Bytes())
	if err != nil {
		return nil, nil, err
	}
	return &CodeExchange{shared: shared}, bytes.Join([][]byte{salt, iv, wrapped}, nil), nil
}

// Open opens the key bundle with which the companion finishes, and gives the ADV secret. It returns ErrWrongCode if the two sides
// did not use the same code.
func (x *CodeExchange) Open(bundle []byte, phone *keys.KeyPair, companion [32]byte) (secret []byte, err error) {
	const nonceSize = 12
	if len(bundle) < codeSaltSize+nonceSize {
		return nil, fmt.Errorf("the key bundle has only %d bytes", len(bundle))
	}
	salt, nonce, sealed := bundle[:codeSaltSize], bundle[codeSaltSize:codeSaltSize+nonceSize], bundle[codeSaltSize+nonceSize:]
	key, err := hkdf.Key(sha256.New, x.shared, salt, bundleInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("derive bundle key: %w", err)
	}
	opened, err := openGCM(key, nonce, sealed)
	if err != nil {
		return nil, ErrWrongCode
	}
	if len(opened) != 96 || [32]byte(opened[:32]) != companion || [32]byte(opened[32:64]) != *phone.Pub {
		return nil, errors.New("the key bundle names other identities than the two that are pairing")
	}
	identityShared, err := exchangeKeys(phone, companion)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, bytes.Join([][]byte{x.shared, identityShared, opened[64:]}, nil), nil, "adv_secret", 32)
}

func normaliseCode(typed string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(typed))
}

func xorWithCode(code string, salt, iv, data []byte) ([]byte, error) {
	key, err := pbkdf2.Key(sha256.New, code, salt, codeRounds, 32)
	if err != nil {
		return nil, fmt.Errorf("derive key from code: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	out := make([]byte, len(data))
	cipher.NewCTR(block, iv).XORKeyStream(out, data)
	return out, nil
}

func openGCM(key, nonce, sealed []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return aead.Open(nil, nonce, sealed, nil)
}

func exchangeKeys(own *keys.KeyPair, peer [32]byte) ([]byte, error) {
	private, err := ecdh.X25519().NewPrivateKey(own.Priv[:])
	if err != nil {
		return nil, fmt.Errorf("read own identity key: %w", err)
	}
	public, err := ecdh.X25519().NewPublicKey(peer[:])
	if err != nil {
		return nil, fmt.Errorf("read the companion's identity key: %w", err)
	}
	shared, err := private.ECDH(public)
	if err != nil {
		return nil, fmt.Errorf("exchange identity keys: %w", err)
	}
	return shared, nil
}

// randomBytes never fails: crypto/rand ends the process if the system has no randomness.
func randomBytes(size int) []byte {
	out := make([]byte, size)
	_, _ = rand.Read(out)
	return out
}
