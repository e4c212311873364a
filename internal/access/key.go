package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
)

// Key is an API key as it is kept: what is asked of a caller, and never the secret itself.
type Key struct {
	// ID is not secret: it names the key in lists and in the audit.
	ID string `json:"id"`
	// Name is what people call it.
	Name string `json:"name"`
	Role Role   `json:"role"`
	// User is the only user whose things the key is for; empty: everybody's.
	User string `json:"user_id,omitempty"`
	// Digest is the SHA-256 of the whole key, in hex. A slow hash is for secrets that people choose, which can be guessed; of 256 random bits nothing
	// can be guessed, and a slow hash of each request would only help who wants to keep the service busy.
	Digest string `json:"digest"`
	// ExpiresAt is when it ceases to hold; zero: never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	// CreatedBy is the id of the key that made it, or First, Terminal or Configured.
	CreatedBy string    `json:"created_by"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	RevokedBy string    `json:"revoked_by,omitempty"`
}

// Who makes keys without having one.
const (
	// First is the first start of a product that has no key.
	First = "first-start"
	// Terminal is a person at the machine, who has the database anyway.
	Terminal = "terminal"
	// Configured is a key that the process's settings name.
	Configured = "configured"
)

const (
	keyMark  = "bcr_"
	linkMark = "bcl_"
	idMark   = "key_"
	// publicBytes make the public part of a key, by which it is found; secretBytes the rest.
	publicBytes = 10
	secretBytes = 32
)

// public is base32 in lower case, whose order is that of the bytes.
var public = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// Prefix is the beginning of the key, by which its owner recognises it.
func (k Key) Prefix() string { return keyMark + strings.TrimPrefix(k.ID, idMark) }

// Active tells whether the key holds at a time.
func (k Key) Active(at time.Time) bool { return k.RevokedAt.IsZero() && !k.expired(at) }

func (k Key) expired(at time.Time) bool { return !k.ExpiresAt.IsZero() && !at.Before(k.ExpiresAt) }

// caller is whoever has the key.
func (k Key) caller() Caller { return Caller{Key: k.ID, Name: k.Name, Role: k.Role, User: k.User} }

// holds tells whether a text is the key, in a time that says nothing about how much of it is right.
func (k Key) holds(text string) bool {
	return subtle.ConstantTimeCompare([]byte(k.Digest), []byte(digest(text))) == 1
}

// digest is what is kept of a secret.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Generate gives a new key: bcr_, a public part of 16 characters, _, and a secret of 256 random bits.
func Generate(at time.Time) string { return assemble(publicPart(at)) }

// publicPart begins with the time, so that keys are listed in the order in which they were made.
func publicPart(at time.Time) string {
	var part [publicBytes]byte
	_, _ = rand.Read(part[:]) // it never fails (crypto/rand)
	seconds := uint64(at.Unix()) & (1<<40 - 1)
	for i := range 5 {
		part[i] = byte(seconds >> (8 * (4 - i)))
	}
	return public.EncodeToString(part[:])
}

func assemble(publicPart string) string { return keyMark + publicPart + "_" + random() }

func random() string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // the same
	return base64.RawURLEncoding.EncodeToString(secret[:])
}

// parse gives the id of a key, if the text has the form of one. What has not is never looked for.
func parse(text string) (id string, ok bool) {
	rest, is := strings.CutPrefix(text, keyMark)
	part, secret, found := strings.Cut(rest, "_")
	if !is || !found || !wellFormed(part, secret) {
		return "", false
	}
	return idMark + part, true
}

func wellFormed(part, secret string) bool {
	publicPart, publicErr := public.DecodeString(part)
	return publicErr == nil && len(publicPart) == publicBytes && isRandom(secret)
}

// isRandom tells whether a text has the form of what random gives.
func isRandom(text string) bool {
	secret, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(secret) == secretBytes
}
