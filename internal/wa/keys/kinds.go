package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The kinds of rows. A released name is never changed.
const (
	kindCheck           = "check"
	kindDevice          = "device"
	kindTombstone       = "tombstone"
	kindOpened          = "opened"
	kindIdentity        = "identity"
	kindSession         = "session"
	kindPreKey          = "prekey"
	kindLastPreKey      = "prekey_last"
	kindSenderKey       = "sender_key"
	kindAppStateKey     = "app_state_key"
	kindAppStateVersion = "app_state_version"
	kindAppStateMAC     = "app_state_mac"
	kindContact         = "contact"
	kindChat            = "chat"
	kindMessageSecret   = "message_secret"
	kindPrivacyToken    = "privacy_token"
	kindNCTSalt         = "nct_salt"
	kindBufferedEvent   = "event_buffer"
	kindOutgoing        = "outgoing"
	kindLID             = "lid"
	kindPhone           = "lid_phone"
)

// kinds lists every kind of row that a session has.
func kinds() []string {
	return []string{kindDevice, kindTombstone, kindOpened, kindIdentity, kindSession, kindPreKey, kindLastPreKey, kindSenderKey, kindAppStateKey,
		kindAppStateVersion, kindAppStateMAC, kindContact, kindChat, kindMessageSecret, kindPrivacyToken, kindNCTSalt, kindBufferedEvent,
		kindOutgoing, kindLID, kindPhone}
}

// separator stands between the parts of a key.
const separator = "|"

// maxKey is the longest key that the port takes.
const maxKey = 512

// keyOf gives the key of a row that is named by texts from outside (an address, a message id): one-to-one, printable, and never too long. The
// hash that stands for a monstrous one cannot be found by its beginning, which nobody needs.
func keyOf(parts ...string) string {
	escaped := make([]string, len(parts))
	for i, part := range parts {
		escaped[i] = escape(part)
	}
	key := strings.Join(escaped, separator)
	if len(key) <= maxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "~" + hex.EncodeToString(sum[:])
}

// escape writes what is not plain ASCII, and the letters that have a meaning in keys, as %XX. The beginning of a text gives the beginning of
// its key.
func escape(part string) string {
	if !strings.ContainsFunc(part, special) {
		return part
	}
	var escaped strings.Builder
	for _, letter := range []byte(part) {
		if special(rune(letter)) {
			escaped.WriteByte('%')
			escaped.WriteString(hex.EncodeToString([]byte{letter}))
		} else {
			escaped.WriteByte(letter)
		}
	}
	return escaped.String()
}

func special(letter rune) bool {
	return letter < ' ' || letter > '}' || letter == '%' || letter == '|'
}
