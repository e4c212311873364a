package session_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

func TestProxiesAreRead(t *testing.T) {
	t.Parallel()
	type read struct {
		Scheme, Address, User, Password string
		Given                           bool
		Masked, Whole                   string
	}
	for text, want := range map[string]read{
		"http://proxy.example": {"http", "proxy.example:80", "", "", false, "http://proxy.example:80", "http://proxy.example:80"},
		" https://u:p@Proxy.Example/ ": {"https", "proxy.example:443", "u", "p", true, "https://***@proxy.example:443",
			"https://u:p@proxy.example:443"},
		"SOCKS5://u@10.0.0.1": {"socks5", "10.0.0.1:1080", "u", "", true, "socks5://***@10.0.0.1:1080", "socks5://u:@10.0.0.1:1080"},
		"socks5://u%40x:p%2F%3A%25@[2001:DB8::1]:9": {"socks5", "[2001:db8::1]:9", "u@x", "p/:%", true, "socks5://***@[2001:db8::1]:9",
			"socks5://u%40x:p%2F%3A%25@[2001:db8::1]:9"},
	} {
		proxy, err := session.ParseProxy(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := read{Scheme: proxy.Scheme(), Address: proxy.Address(), Masked: proxy.Masked(), Whole: proxy.Reveal()}
		got.User, got.Password, got.Given = proxy.Credentials()
		if difference := cmp.Diff(want, got); difference != "" {
			t.Errorf("%s (-want +got):\n%s", text, difference)
		}
		again, err := session.ParseProxy(proxy.Reveal())
		if err != nil || again.Reveal() != proxy.Reveal() || again.Egress() != proxy.Egress() {
			t.Errorf("%s does not survive: %v", text, err)
		}
	}
}

const secret = "hunter2"

func TestWhatIsNoProxyIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for _, text := range []string{
		"", "hunter2", "//hunter2@h:1", "ftp://u:hunter2@h:1", "socks4://u:hunter2@h:1", "http:hunter2", "http://u:hunter2@", "http://u:hunter2@:80",
		"http://u:hunter2@h:0", "http://u:hunter2@h:65536", "http://u:hunter2@h:x", "http://u:hunter2@h/path", "http://u:hunter2@h?q=1", "http://u:hunter2@h?",
		"http://u:hunter2@h#f", "http://:hunter2@h", "http://a%3Ab:hunter2@h", "http://u:hunter2%0d%0aX@h", "http://u\nhunter2@h", "http://u:hunter2@h h",
		"socks5://" + long + ":hunter2@h", "socks5://u:hunter2" + long + "@h", "http://u:hunter2@" + long, "http://u:hunter2@[::1%25eth0]:1",
		"http://u:hunter2@h%41", "http://u:hunter2@[h", "http://u:hunter2%zz@h", strings.Repeat("hunter2", 1000),
	} {
		proxy, err := session.ParseProxy(text)
		if fault.Of(err) != fault.Invalid || !proxy.IsZero() {
			t.Errorf("%.60q: got %v, %v", text, proxy, err)
			continue
		}
		if shown := fmt.Sprintf("%v %+v", err, fault.As(err).Details); strings.Contains(shown, secret) {
			t.Errorf("the refusal shows it: %s", shown)
		}
	}
}

func parse(t *testing.T, text string) session.Proxy {
	t.Helper()
	proxy, err := session.ParseProxy(text)
	if err != nil {
		t.Fatal(err)
	}
	return proxy
}

func TestEgressNamesTheExitAndNotThePassword(t *testing.T) {
	t.Parallel()
	base := parse(t, "http://alice:hunter2@proxy.example:80").Egress()
	for _, same := range []string{"http://alice:other@proxy.example", "HTTP://alice@PROXY.example:80/"} {
		if got := parse(t, same).Egress(); got != base {
			t.Errorf("%s is %s, not %s", same, got, base)
		}
	}
	names := map[string]string{base: "http://alice"}
	for _, other := range []string{"http://bob:hunter2@proxy.example", "https://alice:hunter2@proxy.example:80", "http://alice@proxy.example:81",
		"http://alice@proxy2.example", "http://proxy.example"} {
		name := parse(t, other).Egress()
		if names[name] != "" {
			t.Errorf("%s is %s too", other, names[name])
		}
		names[name] = other
	}
	for name := range names {
		if !strings.HasPrefix(name, "px_") || len(name) != 27 || strings.ContainsAny(name, ".*> /") || strings.Contains(name, "alice") {
			t.Errorf("the name %q", name)
		}
	}
	if got := (session.Proxy{}).Egress(); got != session.EgressDirect {
		t.Errorf("no proxy is %q", got)
	}
	// Other parts of the product keep the name: it must never change.
	if want := "px_b9a188e3c4b20af8946020e1"; base != want {
		t.Errorf("the name is %s now, and was %s", base, want)
	}
}

func TestProxiesAreMaskedHoweverTheyArePrinted(t *testing.T) {
	t.Parallel()
	proxy := parse(t, "socks5://alice:hunter2@proxy.example:1080")
	request := session.OpenRequest{Session: "ses_a", Proxy: proxy}
	hidden := struct{ proxy session.Proxy }{proxy}
	encoded, err := json.Marshal(map[string]any{"proxy": proxy, "pointer": &proxy})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("request", "proxy", proxy, "pointer", &proxy, "hidden", hidden)
	}
	shown := log.String() + string(encoded)
	for _, value := range []any{proxy, &proxy, hidden, &hidden, request, &request, session.Choice{Proxy: proxy}, []session.Proxy{proxy}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown += fmt.Sprintf(verb, value) + "\n"
		}
	}
	for _, word := range []string{"hunter2", "alice", fmt.Sprintf("%x", "hunter2")} {
		if strings.Contains(shown, word) {
			t.Errorf("%q is shown in:\n%s", word, shown)
		}
	}
	if !strings.Contains(log.String(), "proxy=socks5://***@proxy.example:1080") {
		t.Errorf("the log does not say which proxy: %s", &log)
	}
}

func FuzzParseProxy(f *testing.F) {
	for _, seed := range []string{"http://h", "https://u:p@h:1/", "socks5://u%40:p@[::1]:1080", "http://u@h@h", "://", "http://%41"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		proxy, err := session.ParseProxy(text)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Errorf("class %s", fault.Of(err))
			}
			return
		}
		again, err := session.ParseProxy(proxy.Reveal())
		if err != nil || again.Reveal() != proxy.Reveal() || again.Egress() != proxy.Egress() {
			t.Errorf("%q does not survive: %v", text, err)
		}
	})
}
