package api

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may remember what it may send.
const preflightAge = 10 * time.Minute

// originPatterns are the web pages that browsers may call the API from.
type originPatterns []*regexp.Regexp

// compileOrigins reads patterns such as "https://app.example.com", "https://*.example.com", "http://192.168.1.*:3000" and "http://localhost:*". A
// * stands for letters, digits and dashes of one part of a host's name, and for digits in an address or a port: "192.168.1.*" must not be
// a way in for "192.168.1.evil.example". "*" alone is every origin.
func compileOrigins(patterns []string) (originPatterns, error) {
	compiled := make(originPatterns, len(patterns))
	for i, pattern := range patterns {
		if pattern == "*" {
			compiled[i] = regexp.MustCompile(".*")
			continue
		}
		scheme, rest, found := strings.Cut(pattern, "://")
		if !found || strings.ContainsAny(rest, "/?#@") {
			return nil, fmt.Errorf("api: %q is not an origin; it must look like https://app.example.com or http://192.168.1.*:3000", pattern)
		}
		host, port, hasPort := strings.Cut(rest, ":")
		wildcard := "[A-Za-z0-9-]+"
		if strings.Trim(host, "0123456789.*") == "" {
			wildcard = "[0-9]{1,3}"
		}
		expression := regexp.QuoteMeta(scheme+"://") + strings.ReplaceAll(regexp.QuoteMeta(host), `\*`, wildcard)
		if hasPort {
			expression += ":" + strings.ReplaceAll(regexp.QuoteMeta(port), `\*`, "[0-9]{1,5}")
		}
		var err error
		if compiled[i], err = regexp.Compile("^(?i:" + expression + ")$"); err != nil {
			return nil, fmt.Errorf("api: read the origin %q: %w", pattern, err)
		}
	}
	return compiled, nil
}

func (p originPatterns) allow(origin string) bool {
	for _, pattern := range p {
		if pattern.MatchString(origin) {
			return true
		}
	}
	return false
}

// crossOrigin lets pages of the allowed origins read answers. Cookies are never sent along: a key is what lets a caller in.
func (a *API) crossOrigin(next http.Handler) http.Handler {
	if len(a.origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowOriginFunc: a.origins.allow,
		AllowedMethods:  []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:  []string{"Content-Type", "Accept-Language", "Authorization", "Idempotency-Key", "Last-Event-ID"},
		ExposedHeaders:  []string{"Retry-After", headerReplayed, "Content-Disposition"},
		MaxAge:          int(preflightAge.Seconds()),
	}).Handler(next)
}
