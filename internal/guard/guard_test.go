package guard

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inside is a server in this machine that must not be reached, and counts who reached it.
func inside(t *testing.T) (address string, reached *atomic.Int64) {
	t.Helper()
	reached = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, reached
}

func get(t *testing.T, client *http.Client, address string) (int, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_ = response.Body.Close()
	return response.StatusCode, nil
}

func TestNothingInsideIsReached(t *testing.T) {
	t.Parallel()
	address, reached := inside(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(address, "http://"), ":")
	for _, client := range []*http.Client{New(Options{}), New(Options{AnyPort: true, Redirects: 3}),
		New(Options{Allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})} {
		for _, host := range []string{"127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port, "[::ffff:127.0.0.1]:" + port, "0.0.0.0:" + port,
			"169.254.169.254", "192.168.0.1", "100.64.0.1", "[fd00::1]", "[fe80::1]"} {
			if _, err := get(t, client, "http://"+host+"/"); !IsForbidden(err) {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("it was reached %d times", n)
	}
}

func TestAnAllowedNetworkIsReachedAndNoRedirectLeadsOn(t *testing.T) {
	t.Parallel()
	address, reached := inside(t)
	here := Options{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	if status, err := get(t, New(here), address+"?to=/again"); status != http.StatusFound || err != nil || reached.Load() != 1 {
		t.Errorf("a redirect that is not followed: %d, %v, %d requests", status, err, reached.Load())
	}
	here.Redirects = 2
	if status, err := get(t, New(here), address+"?to=/again"); status != http.StatusOK || err != nil {
		t.Errorf("a redirect that is followed: %d, %v", status, err)
	}
	for _, to := range []string{"http://169.254.169.254/latest", "http://[::1]:1/"} {
		if _, err := get(t, New(here), address+"?to="+to); !IsForbidden(err) {
			t.Errorf("a redirect to %s: %v", to, err)
		}
	}
	if _, err := get(t, New(here), address+"?to=ftp://127.0.0.1/"); err == nil || IsForbidden(err) {
		t.Errorf("a redirect to another scheme: %v", err)
	}
}
