// Package guard is the way out to addresses that somebody else named: a file to fetch, a web page to preview, the receiver of a webhook. Who names an
// address must not reach through it what only this server can reach: its own ports, its network, the metadata of its cloud.
//
// Nouns: Options, and the HTTP client that New makes of them. The address that is dialled is looked at, after names were resolved, so that no name
// and no redirect leads inside; IsForbidden tells that this is why a request failed.
//
// Callers: internal/api for files and previews, internal/webhook for deliveries. It must never know what is fetched or sent.
package guard

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"code.dny.dev/ssrf"
)

// Options configure a client.
type Options struct {
	// Allowed are private networks that may be reached all the same, on any port; none: public addresses alone.
	Allowed []netip.Prefix
	// AnyPort allows ports other than those of the web, 80 and 443.
	AnyPort bool
	// Timeout bounds a whole request, its answer included; zero: only its context does.
	Timeout time.Duration
	// Redirects is how many are followed; zero: none, and the answer that says so is the answer.
	Redirects int
}

const (
	dialTimeout    = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// New makes a client that reaches public addresses and the allowed networks, and nothing else. It uses no proxy of the environment, and keeps no
// connection open.
func New(options Options) *http.Client {
	dialler := &net.Dialer{Timeout: dialTimeout, Control: ssrf.New(options.rules()...).Safe}
	return &http.Client{
		Timeout:   options.Timeout,
		Transport: &http.Transport{DialContext: dialler.DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeaderBytes},
		CheckRedirect: func(request *http.Request, via []*http.Request) error {
			switch {
			case options.Redirects == 0:
				return http.ErrUseLastResponse
			case len(via) > options.Redirects || (request.URL.Scheme != "https" && request.URL.Scheme != "http"):
				return errors.New("too many redirects, or one to something else than a web page")
			}
			return nil
		},
	}
}

func (o Options) rules() []ssrf.Option {
	if len(o.Allowed) == 0 && !o.AnyPort {
		return []ssrf.Option{ssrf.WithPorts(80, 443)}
	}
	var v4, v6 []netip.Prefix
	for _, prefix := range o.Allowed {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	return []ssrf.Option{ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)}
}

// IsForbidden tells whether a request failed because its address is none that may be reached.
func IsForbidden(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedPort) || errors.Is(err, ssrf.ErrProhibitedNetwork)
}
