package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// The kinds of proxies.
const (
	// ProxyHTTP is reached in the open and asked with CONNECT (RFC 9110 §9.3.6); ProxyHTTPS the same inside TLS.
	ProxyHTTP  = "http"
	ProxyHTTPS = "https"
	// ProxySOCKS5 is RFC 1928, with the user and password of RFC 1929. It is given names, and looks them up itself.
	ProxySOCKS5 = "socks5"
)

// proxyPorts are the ports of addresses that name none.
func proxyPorts() map[string]string {
	return map[string]string{ProxyHTTP: "80", ProxyHTTPS: "443", ProxySOCKS5: "1080"}
}

// What a proxy's address may hold. SOCKS5 sends user, password and host each behind one byte of length.
const (
	maxProxyText = 2048
	maxProxyPart = 255
)

// Proxy is the address of a proxy with its user and password. However it is printed, logged or encoded, it shows Masked and nothing else;
// Reveal alone gives the whole. Its zero value is no proxy: the direct way.
type Proxy struct {
	// parts are behind a function, so that printing a struct with a Proxy in an unexported field, on which fmt calls no method, shows an address in
	// memory and no password; it would follow a pointer. nil: no proxy.
	parts func() proxyParts
}

type proxyParts struct {
	scheme, host, port string
	user, password     string
	authenticated      bool
}

// address gives host and port, an IPv6 address in brackets.
func (p proxyParts) address() string {
	if strings.Contains(p.host, ":") {
		return "[" + p.host + "]:" + p.port
	}
	return p.host + ":" + p.port
}

// ParseProxy reads an address such as "socks5://user:password@proxy.example:1080". A port that is left out is the usual one of its kind. No error
// repeats any of the text.
func ParseProxy(text string) (Proxy, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxProxyText {
		return Proxy{}, badProxy("it is empty or too long")
	}
	parsed, err := url.Parse(text)
	if err != nil { // its words repeat the text
		return Proxy{}, badProxy("it is no address; the characters :/?#[]@% in user and password must be percent-encoded")
	}
	parts := proxyParts{scheme: parsed.Scheme, host: strings.ToLower(parsed.Hostname()), port: parsed.Port()}
	if parsed.User != nil {
		parts.user, parts.authenticated = parsed.User.Username(), true
		parts.password, _ = parsed.User.Password()
	}
	usual, known := proxyPorts()[parts.scheme]
	switch {
	case !known:
		return Proxy{}, badProxy("it must begin with http://, https:// or socks5://")
	case parsed.Opaque != "" || parsed.Path != "" && parsed.Path != "/" || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		return Proxy{}, badProxy("it must have no path and no parameters")
	}
	if parts.port == "" {
		parts.port = usual
	}
	if reason := parts.wrong(); reason != "" {
		return Proxy{}, badProxy(reason)
	}
	return Proxy{parts: func() proxyParts { return parts }}, nil
}

// wrong says what does not hold; empty when all does.
func (p proxyParts) wrong() string {
	number, err := strconv.ParseUint(p.port, 10, 16)
	switch {
	case !isProxyHost(p.host):
		return "its host must be a name or an IP address"
	case err != nil || number == 0:
		return "its port must be a number from 1 to 65535"
	case p.authenticated && p.user == "":
		return "it has a password without a user"
	case len(p.user) > maxProxyPart || len(p.password) > maxProxyPart:
		return "its user and password may have 255 bytes each"
	case p.scheme != ProxySOCKS5 && strings.Contains(p.user, ":"):
		return "its user must have no colon" // RFC 7617 §2
	case hasControl(p.user) || hasControl(p.password):
		return "its user and password must have no control characters"
	}
	return ""
}

func isProxyHost(host string) bool {
	if strings.Contains(host, ":") {
		address, err := netip.ParseAddr(host)
		return err == nil && address.Zone() == ""
	}
	for _, letter := range []byte(host) {
		plain := letter >= 'a' && letter <= 'z' || letter >= '0' && letter <= '9' || letter == '.' || letter == '-' || letter == '_'
		if !plain {
			return false
		}
	}
	return host != "" && len(host) <= maxProxyPart
}

func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(letter rune) bool { return letter < ' ' || letter == 0x7f })
}

func badProxy(reason string) error {
	return fault.New(fault.Invalid, "bad_proxy", "The proxy's address cannot be used: "+reason+
		"; it must look like socks5://user:password@host:1080, with http, https or socks5").
		WithDetails(fault.Detail{Location: "body.proxy", Reason: reason})
}

// IsZero tells whether there is no proxy.
func (p Proxy) IsZero() bool { return p.parts == nil }

// Scheme is one of ProxyHTTP, ProxyHTTPS and ProxySOCKS5; empty without a proxy.
func (p Proxy) Scheme() string {
	if p.IsZero() {
		return ""
	}
	return p.parts().scheme
}

// Host is the name or IP address of the proxy.
func (p Proxy) Host() string {
	if p.IsZero() {
		return ""
	}
	return p.parts().host
}

// Address is where the proxy listens: host and port.
func (p Proxy) Address() string {
	if p.IsZero() {
		return ""
	}
	return p.parts().address()
}

// Credentials gives what the proxy knows its caller by; not given when it asks for nothing.
func (p Proxy) Credentials() (user, password string, given bool) {
	if p.IsZero() {
		return "", "", false
	}
	parts := p.parts()
	return parts.user, parts.password, parts.authenticated
}

// Egress gives the name of this way out: EgressDirect without a proxy, else a name that is stable, says nothing and is safe as a key. It
// depends on kind, host, port and user, because providers give each user an exit of its own, and not on the password, which may change.
func (p Proxy) Egress() string {
	if p.IsZero() {
		return EgressDirect
	}
	parts, sum := p.parts(), sha256.New()
	sum.Write([]byte("broadcaster egress"))
	for _, part := range []string{parts.scheme, parts.host, parts.port, parts.user} {
		fmt.Fprintf(sum, "\x00%d\x00%s", len(part), part)
	}
	return "px_" + hex.EncodeToString(sum.Sum(nil)[:12])
}

// Masked gives the address without user and password: "socks5://***@proxy.example:1080".
func (p Proxy) Masked() string {
	if p.IsZero() {
		return EgressDirect
	}
	parts := p.parts()
	if parts.authenticated {
		return parts.scheme + "://***@" + parts.address()
	}
	return parts.scheme + "://" + parts.address()
}

// Reveal gives the whole address, to be sealed and for nothing else.
func (p Proxy) Reveal() string {
	if p.IsZero() {
		return ""
	}
	parts := p.parts()
	whole := url.URL{Scheme: parts.scheme, Host: parts.address()}
	if parts.authenticated {
		whole.User = url.UserPassword(parts.user, parts.password)
	}
	return whole.String()
}

// String implements fmt.Stringer.
func (p Proxy) String() string { return p.Masked() }

// GoString implements fmt.GoStringer, for %#v.
func (p Proxy) GoString() string { return fmt.Sprintf("session.Proxy(%q)", p.Masked()) }

// MarshalText implements encoding.TextMarshaler, for JSON among others.
func (p Proxy) MarshalText() ([]byte, error) { return []byte(p.Masked()), nil }

// LogValue implements slog.LogValuer.
func (p Proxy) LogValue() slog.Value { return slog.StringValue(p.Masked()) }
