// Package noise is the server's side of WhatsApp's transport: the Noise_XX_25519_AESGCM_SHA256 handshake as responder, the server's
// certificate chain, and the frames that carry encrypted stanzas inside websocket messages.
//
// Nouns: Root (the key that clients trust), Identity (a server's static key with the chain that the root signed for it), Conn (a
// connection after the handshake), Peer (who connected: the static key and the payload of the client's last handshake message).
//
// The simulator's connection is its only caller. It must never know what a stanza means.
//
// One frame is always written as exactly one websocket message: the client reassembles split frames wrongly (seen with whatsmeow
// v0.0.0-20260821: it counts the header as body), after which nothing decrypts any more.
package noise

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"go.mau.fi/whatsmeow/binary/token"
)

// pattern is the protocol name, padded with zeros to the 32 bytes at which Noise uses it unhashed.
const pattern = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

// prologue is what a client sends once, before its first frame: "WA", the protocol version and the token dictionary's version.
var prologue = []byte{'W', 'A', 6, token.DictVersion}

// symmetric is the handshake's symmetric state: the running hash, the chaining key (WhatsApp's "salt") and the current cipher.
type symmetric struct {
	hash    [32]byte
	salt    []byte
	aead    cipher.AEAD
	counter uint32
}

func newSymmetric() *symmetric {
	state := &symmetric{salt: []byte(pattern)}
	copy(state.hash[:], pattern)
	state.mixHash(prologue)
	return state
}

func (s *symmetric) mixHash(data []byte) {
	s.hash = sha256.Sum256(append(s.hash[:], data...))
}

// mixKey mixes the secret of one Diffie-Hellman exchange in; the nonce counter starts again at zero.
func (s *symmetric) mixKey(own *ecdh.PrivateKey, peer *ecdh.PublicKey) error {
	secret, err := own.ECDH(peer)
	if err != nil {
		return fmt.Errorf("exchange keys: %w", err)
	}
	salt, key, err := s.expand(secret)
	if err != nil {
		return err
	}
	s.salt, s.counter = salt, 0
	s.aead, err = newAEAD(key)
	return err
}

// split derives the two transport ciphers: from the client, and to the client.
func (s *symmetric) split() (receive, send cipher.AEAD, err error) {
	fromClient, toClient, err := s.expand(nil)
	if err != nil {
		return nil, nil, err
	}
	if receive, err = newAEAD(fromClient); err != nil {
		return nil, nil, err
	}
	send, err = newAEAD(toClient)
	return receive, send, err
}

func (s *symmetric) expand(secret []byte) (first, second []byte, err error) {
	out, err := hkdf.Key(sha256.New, secret, s.salt, "", 64)
	if err != nil {
		return nil, nil, fmt.Errorf("derive keys: %w", err)
	}
	return out[:32], out[32:], nil
}

func (s *symmetric) encrypt(plaintext []byte) []byte {
	ciphertext := s.aead.Seal(nil, nonce(s.counter), plaintext, s.hash[:])
	s.counter++
	s.mixHash(ciphertext)
	return ciphertext
}

func (s *symmetric) decrypt(ciphertext []byte) ([]byte, error) {
	plaintext, err := s.aead.Open(nil, nonce(s.counter), ciphertext, s.hash[:])
	if err != nil {
		return nil, err
	}
	s.counter++
	s.mixHash(ciphertext)
	return plaintext, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

func nonce(counter uint32) []byte {
	iv := make([]byte, 12)
	binary.BigEndian.PutUint32(iv[8:], counter)
	return iv
}
