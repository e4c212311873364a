package origin_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/dannsalud/broadcaster/internal/origin"
)

// FuzzCompile: whatever is taken for a pattern lets in neither a page without an origin nor one with more than scheme, host and port, and is not for every host. What
// is right and what looks like it is tested where requests are, in internal/api.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{"https://app.example.com", "https://*.example.com", "http://192.168.1.*:3000", "http://[::1]:8080", "http://localhost:*", "*", "https://*", "https://a|b", "http://(.*)"} {
		f.Add(seed, "https://evil.invalid")
	}
	f.Fuzz(func(t *testing.T, pattern, asking string) {
		patterns, err := origin.Compile([]string{pattern})
		if err != nil {
			return
		}
		if patterns.Allow("null") || patterns.Allow("") || patterns.Allow("https://x-9.invalid") && patterns.Allow("https://y8.test") {
			t.Errorf("%q lets too much in", pattern)
		}
		_, rest, found := strings.Cut(asking, "://")
		if patterns.Allow(asking) && (!found || strings.ContainsAny(rest, "/@?#\\ \n*")) {
			t.Errorf("%q lets in %q", pattern, asking)
		}
	})
}

// FuzzAllow holds the patterns of origins against the parts of an origin, which a browser never lets a page choose.
func FuzzAllow(f *testing.F) {
	for _, seed := range []string{"https://app.example.com", "https://app.example.com.evil.example", "http://192.168.1.20:3000", "http://192.168.1.evil.example:3000", "null", ""} {
		f.Add(seed)
	}
	allowed, err := origin.Compile([]string{"https://*.example.com", "http://192.168.1.*:3000"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, asking string) {
		if !allowed.Allow(asking) {
			return
		}
		parsed, err := url.Parse(strings.ToLower(asking))
		if err != nil {
			t.Fatalf("%q is allowed, and no URL: %v", asking, err)
		}
		example := parsed.Scheme == "https" && strings.HasSuffix(parsed.Hostname(), ".example.com") && parsed.Port() == ""
		local := parsed.Scheme == "http" && strings.HasPrefix(parsed.Hostname(), "192.168.1.") && parsed.Port() == "3000"
		if !example && !local || parsed.Path != "" || parsed.User != nil {
			t.Errorf("%q is allowed", asking)
		}
	})
}
