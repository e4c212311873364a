package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may remember what it may send.
const preflightAge = 10 * time.Minute

const (
	octetPattern = `(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
	labelPattern = `[a-z0-9](?:[a-z0-9-]*[a-z0-9])?`
	portPattern  = `[1-9][0-9]{0,4}`
)

var (
	label = regexp.MustCompile(`^(?:\*|[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)$`)
	octet = regexp.MustCompile(`^(?:\*|` + octetPattern + `)$`)
)

// originPatterns are the web pages that browsers may call the API from.
type originPatterns []*regexp.Regexp

// compileOrigins reads patterns such as "https://app.example.com", "https://*.example.com", "http://192.168.1.*:3000", "http://[::1]:8080" and
// "http://localhost:*". A * is one whole label of a host's name, one number from 0 to 255 of an IPv4 address, or the port: "192.168.1.*" must not be
// a way in for "192.168.1.evil.example". A host must have more than stars: nothing stands for every origin.
func compileOrigins(patterns []string) (originPatterns, error) {
	compiled := make(originPatterns, len(patterns))
	for i, pattern := range patterns {
		expression, err := originExpression(strings.ToLower(pattern))
		if err != nil {
			return nil, fmt.Errorf("api: the allowed origin %q %w; it must look like https://app.example.com, https://*.example.com or http://192.168.1.*:3000", pattern, err)
		}
		if compiled[i], err = regexp.Compile("^(?i:" + expression + ")$"); err != nil {
			return nil, fmt.Errorf("api: read the origin %q: %w", pattern, err)
		}
	}
	return compiled, nil
}

func originExpression(pattern string) (string, error) {
	scheme, rest, found := strings.Cut(pattern, "://")
	if !found || scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("is no http or https origin, and never every one")
	}
	host, port := rest, ""
	if at := strings.LastIndex(rest, ":"); at > strings.LastIndex(rest, "]") {
		host, port = rest[:at], rest[at+1:]
		number, err := strconv.ParseUint(port, 10, 16)
		switch {
		case port == "*":
			port = ":" + portPattern
		case err != nil || number == 0 || port[0] == '0':
			return "", fmt.Errorf("has no port that is a number or *")
		default:
			port = ":" + port
		}
	}
	expression, err := hostExpression(host)
	return scheme + "://" + expression + port, err
}

// hostExpression matches a host as browsers send it: lower case, names outside ASCII as punycode, no trailing dot unless the page has it.
func hostExpression(host string) (string, error) {
	if inner, found := strings.CutPrefix(host, "["); found {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !address.Is6() || address.Zone() != "" || !strings.HasSuffix(inner, "]") {
			return "", fmt.Errorf("has no IPv6 address in its brackets; no * may be there")
		}
		return regexp.QuoteMeta("[" + address.String() + "]"), nil // browsers send the short form
	}
	if strings.Trim(host, "*.") == "" {
		return "", fmt.Errorf("stands for every host")
	}
	parts := strings.Split(host, ".")
	shape, wildcard := label, labelPattern
	if strings.Trim(host, "0123456789.*") == "" {
		if shape, wildcard = octet, octetPattern; len(parts) != 4 {
			return "", fmt.Errorf("has an address that has not four numbers")
		}
	}
	for i, part := range parts {
		switch {
		case !shape.MatchString(part):
			return "", fmt.Errorf("has a host with %q in it; a * stands for a whole part between two dots", part)
		case part == "*":
			parts[i] = wildcard
		}
	}
	return strings.Join(parts, `\.`), nil
}

func (p originPatterns) allow(origin string) bool {
	for _, pattern := range p {
		if pattern.MatchString(origin) {
			return true
		}
	}
	return false
}

// AllowsOrigin tells whether an origin is one of the allowed ones, for who lets their pages do something else.
func (a *API) AllowsOrigin(origin string) bool { return a.origins.allow(origin) }

// crossOrigin lets pages of the allowed origins read answers, with credentials; no other origin gets either header. The console's cookie gives them
// nothing: it is SameSite=Strict, so that a browser does not send it from another site. A key is what lets a caller in.
func (a *API) crossOrigin(next http.Handler) http.Handler {
	if len(a.origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowOriginFunc:  a.origins.allow,
		AllowCredentials: true,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:   []string{"Content-Type", "Accept-Language", "Authorization", "Idempotency-Key", "Last-Event-ID"},
		ExposedHeaders:   []string{"Retry-After", headerReplayed, "Content-Disposition"},
		MaxAge:           int(preflightAge.Seconds()),
	}).Handler(next)
}
