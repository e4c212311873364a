package origin_test

import (
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
