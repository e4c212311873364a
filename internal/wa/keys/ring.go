package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"unicode"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// keySize is the size of a key: AES-256.
const keySize = 32

// Ring holds the keys that rows are sealed with: the first one seals, all of them open. Its methods may be called from any goroutine.
type Ring struct {
	first string
	keys  map[string][]byte

	mu      sync.Mutex
	ciphers map[cipherName]cipher.AEAD
}

// cipherName names the cipher of one session under one key.
type cipherName struct{ key, session string }

// ParseRing reads keys in the form of KEYSTORE_KEY: 32 bytes each, in base64 or hex, separated by commas or lines, each with a name in front if it is
// to have one ("2026:…,2025:…"). A key without a name is called by its fingerprint, and every key is known by it too, so that a key may get a
// name later. Errors never show a key.
func ParseRing(text string) (*Ring, error) {
	ring := &Ring{keys: map[string][]byte{}, ciphers: map[cipherName]cipher.AEAD{}}
	entries := strings.FieldsFunc(text, func(letter rune) bool { return letter == ',' || unicode.IsSpace(letter) })
	if len(entries) == 0 {
		return nil, badRing("it is empty")
	}
	for i, entry := range entries {
		name, encoded, named := strings.Cut(entry, ":")
		if !named {
			name, encoded = "", name
		}
		key, err := decodeKey(encoded)
		if err != nil {
			return nil, badRing(fmt.Sprintf("key %d: %v", i+1, err))
		}
		if named && !isKeyID(name) {
			return nil, badRing(fmt.Sprintf("key %d: its name must have 1 to 32 letters, digits, dots, dashes or underscores", i+1))
		}
		if err := ring.add(name, key); err != nil {
			return nil, badRing(fmt.Sprintf("key %d: %v", i+1, err))
		}
	}
	return ring, nil
}

func (r *Ring) add(name string, key []byte) error {
	mark := fingerprint(key)
	if name == "" {
		name = mark
	}
	for _, id := range []string{name, mark} {
		if known := r.keys[id]; known != nil && string(known) != string(key) {
			return errors.New("another key has this name")
		}
		r.keys[id] = key
	}
	if r.first == "" {
		r.first = name
	}
	return nil
}

func badRing(reason string) error {
	return fault.New(fault.Invalid, "bad_keystore_key", "KEYSTORE_KEY cannot be read: "+reason+
		"; it is 32 random bytes in base64 or hex (make one with: broadcaster keys generate)")
}

func decodeKey(encoded string) ([]byte, error) {
	if len(encoded) == hex.EncodedLen(keySize) {
		if key, err := hex.DecodeString(encoded); err == nil {
			return key, nil
		}
	}
	unpadded := strings.TrimRight(encoded, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(unpadded); err == nil && len(key) == keySize {
			return key, nil
		}
	}
	return nil, fmt.Errorf("not %d bytes in base64 or hex", keySize)
}

func isKeyID(id string) bool {
	for _, letter := range []byte(id) {
		plain := letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z' || letter >= '0' && letter <= '9'
		if !plain && letter != '.' && letter != '-' && letter != '_' {
			return false
		}
	}
	return id != "" && len(id) <= 32
}

// fingerprint names a key without saying anything of it: 32 bits of a hash of 256 random ones.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("broadcaster key store key\x00"), key...))
	return hex.EncodeToString(sum[:4])
}

// ReadRing reads a key file, which has the form of ParseRing. Who else may read it is the operator's business: the secrets of containers often
// have a mode of their own.
func ReadRing(path string) (*Ring, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the path is the operator's own setting
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	return ParseRing(string(content))
}

// MakeRing reads a key file of our own, and makes it with a new key when it does not exist. Others than its owner must not be able to read it.
func MakeRing(path string) (*Ring, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the path is the operator's own setting
	if errors.Is(err, fs.ErrExist) {
		return readPrivate(path)
	}
	if err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	_, err = file.WriteString(GenerateKey() + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("write the key file: %w", err), os.Remove(path))
	}
	return ReadRing(path)
}

func readPrivate(path string) (*Ring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look at the key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "keystore_key_exposed", "The key file can be read by other users of this machine; make it readable by "+
			"its owner only (chmod 600)")
	}
	return ReadRing(path)
}

// GenerateKey gives a new key in the form of KEYSTORE_KEY.
func GenerateKey() string {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	return base64.StdEncoding.EncodeToString(key)
}

func (r *Ring) sealing() string { return r.first }

func (r *Ring) has(id string) bool { return r.keys[id] != nil }

// same tells whether two ids name one key.
func (r *Ring) same(id, other string) bool {
	return id == other || r.has(id) && string(r.keys[id]) == string(r.keys[other])
}

// cipher gives the cipher of a session. Each session has a key of its own, derived, so that the number of values that are sealed under one
// key stays far below what random nonces allow (2^32).
func (r *Ring) cipher(id, session string) (cipher.AEAD, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := cipherName{id, session}
	if known := r.ciphers[name]; known != nil {
		return known, nil
	}
	derived, err := hkdf.Key(sha256.New, r.keys[id], nil, "broadcaster key store\x00"+session, keySize)
	if err != nil {
		return nil, fmt.Errorf("derive a session's key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	made, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	r.ciphers[name] = made
	return made, nil
}
