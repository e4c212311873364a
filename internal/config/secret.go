package config

import (
	"fmt"
	"log/slog"
	"strings"
)

// Secret is a text that must not be seen: a password, a key, an address with a password in it. However it is printed or encoded, it shows
// that it is there and nothing else; Reveal alone gives it.
type Secret string

// masked stands for what is hidden.
const masked = "***"

// Reveal gives the text, to be handed to what needs it and to nothing else.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString implements fmt.GoStringer, for %#v.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON among others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// withoutCredentials hides the user, the password and the parameters of an address, which need not be well-formed: "mongodb://***@host:27017/db".
func withoutCredentials(address string) string {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return Secret(address).String()
	}
	host := rest[strings.LastIndex(rest, "@")+1:]
	credentials := ""
	if len(host) < len(rest) {
		credentials = masked + "@"
	}
	host, _, _ = strings.Cut(host, "?")
	return scheme + "://" + credentials + host
}
