package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/pace"
)

const key = "production-2026:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// sealed is the least that a linker or a sender needs.
func sealed(more ...string) map[string]string {
	return merge(map[string]string{"KEYSTORE_KEY": key}, more)
}

func merge(environ map[string]string, more []string) map[string]string {
	for _, line := range more {
		name, value, _ := strings.Cut(line, "=")
		environ[name] = value
	}
	return environ
}

func TestDefaultsAreThoseThatTheTableSays(t *testing.T) {
	t.Parallel()
	api, err := LoadAPI(nil)
	if err != nil {
		t.Fatal(err)
	}
	wantAPI := API{
		Process:  Process{Environment: "production", LogLevel: "info", LogFormat: "auto", DrainTimeout: 20 * time.Second},
		Observe:  Observe{AdminListen: "127.0.0.1:0", TraceRatio: 1},
		Queue:    Queue{NATSURLs: []string{"nats://127.0.0.1:4222"}, NATSReplicas: 1, MaxConcurrentJobs: 5, LeaseTTL: 15 * time.Second},
		Database: Database{MongoURI: "mongodb://127.0.0.1:27017", MongoDatabase: "broadcaster"},
		Web:      Web{Listen: ":8080", ReplaysPerSecond: 50},
		Access:   Access{RequestsPerSecond: 100, RequestTimeout: time.Minute},
		Respect: Respect{TimeZone: campaign.DefaultTimeZone, Region: campaign.DefaultRegion, SendHours: "09:00-20:00",
			SendDays: []string{"mon", "tue", "wed", "thu", "fri", "sat"}},
		Caps:    Caps{Hourly: 80, Daily: 300, DailyNew: 60, RestEvery: 30, Rest: 5 * time.Minute},
		Proxies: map[string]Secret{},
	}
	if diff := cmp.Diff(wantAPI, api); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(campaign.DefaultHours(campaign.DefaultTimeZone), api.Hours()); diff != "" {
		t.Error("the default hours are not those of the domain:", diff)
	}
	linker, err := LoadLinker(sealed())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Links{LinkSpacing: 2 * time.Minute, QRTimeout: time.Minute, LinkJitter: 3 * time.Second}); linker.Links != want || linker.MetricsListen != ":8081" {
		t.Errorf("got %+v at %s", linker.Links, linker.MetricsListen)
	}
	sender, err := LoadSender(sealed("NATS_USER=sender", "NATS_PASSWORD=x"))
	if err != nil {
		t.Fatal(err)
	}
	if sender.MaxConnections != 6 || len(sender.Warnings()) != 0 || len(sender.Proxies) != 0 || sender.Simulated() {
		t.Errorf("got %+v with warnings %v", sender, sender.Warnings())
	}
	if diff := cmp.Diff(pace.Human(), sender.Pace(), cmp.Comparer(func(a, b pace.Options) bool { return a.MinGap == b.MinGap && a.MaxGap == b.MaxGap })); diff != "" {
		t.Error("the default pace is not that of a person:", diff)
	}
	if diff := cmp.Diff(campaign.DefaultLimits(), sender.Limits(sender.MinGap, sender.MaxGap)); diff != "" {
		t.Error("the default limits are not those of the domain:", diff)
	}
}

func TestEveryProblemIsSaidAtOnceByItsVariable(t *testing.T) {
	t.Parallel()
	_, err := LoadSender(map[string]string{
		"ENVIRONMENT": "staging", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "DRAIN_TIMEOUT": "soon", "WORKER_NAME": "two words",
		"NATS_URL": "http://nats", "NATS_USER": "sender", "NATS_REPLICAS": "2", "MAX_CONCURRENT_JOBS": "many", "LEASE_TTL": "1s",
		"MONGODB_URI": "postgres://secret-pass@db", "MONGODB_DATABASE": "a.b", "METRICS_LISTEN": "9090",
		"WASIM_URL": "http://wasim:8090", "PROXY_USER_ana": "socks4://ana:secret-pass@proxy", "MAX_CONCURRENT_CONNECTIONS": "9",
		"SEND_GAP_MIN": "5s", "SEND_GAP_MAX": "4s",
	})
	if err == nil {
		t.Fatal("no refusal")
	}
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		name, reason, _ := strings.Cut(line, ": ")
		got = append(got, name)
		if !strings.HasPrefix(reason, "it must be ") || len(reason) < len("it must be 1 or 3") {
			t.Errorf("%q does not say what is allowed", line)
		}
	}
	want := []string{"DRAIN_TIMEOUT", "ENVIRONMENT", "KEYSTORE_KEY", "LEASE_TTL", "LOG_FORMAT", "LOG_LEVEL", "MAX_CONCURRENT_CONNECTIONS",
		"MAX_CONCURRENT_JOBS", "METRICS_LISTEN", "MONGODB_DATABASE", "MONGODB_URI", "NATS_REPLICAS", "NATS_URL", "NATS_USER", "PROXY_USER_ana",
		"SEND_GAP_MAX", "WASIM_URL", "WORKER_NAME"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), "secret-pass") {
		t.Errorf("a secret is in the refusal: %v", err)
	}
}

// TestWhatIsAllowedAndWhatIsNot tries the bounds of single variables. refused names the variable that must be refused, empty: none.
func TestWhatIsAllowedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	simulated := []string{"ENVIRONMENT=development", "WASIM_URL=http://wasim:8090", "KEYSTORE_KEY=simulation:00"}
	rows := []struct {
		name, refused string
		given         []string
	}{
		{"empty values count as unset", "", []string{"LEASE_TTL=", "NATS_URL=", "MAX_CONCURRENT_CONNECTIONS=", "LOG_LEVEL=", "WASIM_URL=", "PROXY_USER_ana="}},
		{"an empty key", "KEYSTORE_KEY", []string{"KEYSTORE_KEY="}},
		{"several servers", "", []string{"NATS_URL=nats://nats-1:4222,nats://nats-2:4222,tls://nats-3"}},
		{"credentials in the address of the queue", "NATS_URL", []string{"NATS_URL=nats://sender:password@nats:4222"}},
		{"one bad server of two", "NATS_URL", []string{"NATS_URL=nats://nats-1:4222,nats-2"}},
		{"a user and a password", "", []string{"NATS_USER=sender", "NATS_PASSWORD=x"}},
		{"a user without a password", "NATS_USER", []string{"NATS_USER=sender"}},
		{"a password without a user", "NATS_PASSWORD", []string{"NATS_PASSWORD=x"}},
		{"a user and credentials", "NATS_USER", []string{"NATS_USER=sender", "NATS_PASSWORD=x", "NATS_CREDS=/run/secrets/nats"}},
		{"a user that is a pattern", "NATS_USER", []string{"NATS_USER=*", "NATS_PASSWORD=x"}},
		{"an inbox for everybody", "NATS_INBOX_PREFIX", []string{"NATS_INBOX_PREFIX=>"}},
		{"three replicas", "", []string{"NATS_REPLICAS=3"}},
		{"a lease as short as it may be", "", []string{"LEASE_TTL=3s"}},
		{"a shorter one", "LEASE_TTL", []string{"LEASE_TTL=2999ms"}},
		{"no jobs", "MAX_CONCURRENT_JOBS", []string{"MAX_CONCURRENT_JOBS=0"}},
		{"eight connections", "", []string{"MAX_CONCURRENT_CONNECTIONS=8"}},
		{"no connections", "MAX_CONCURRENT_CONNECTIONS", []string{"MAX_CONCURRENT_CONNECTIONS=0"}},
		{"nine connections", "MAX_CONCURRENT_CONNECTIONS", []string{"MAX_CONCURRENT_CONNECTIONS=9"}},
		{"no gap with real phones", "SEND_GAP_MIN", []string{"SEND_GAP_MIN=0s", "SEND_GAP_MAX=0s"}},
		{"no gap with a simulator", "", append([]string{"SEND_GAP_MIN=0s", "SEND_GAP_MAX=0s"}, simulated...)},
		{"a negative gap with a simulator", "SEND_GAP_MIN", append([]string{"SEND_GAP_MIN=-1s"}, simulated...)},
		{"a server of names", "", []string{"MONGODB_URI=mongodb+srv://user:p%40ss@cluster.example.com/?retryWrites=true"}},
		{"a port by name", "METRICS_LISTEN", []string{"METRICS_LISTEN=:http"}},
		{"a port too high", "METRICS_LISTEN", []string{"METRICS_LISTEN=:65536"}},
		{"any free port", "", []string{"METRICS_LISTEN=127.0.0.1:0"}},
		{"a proxy without a host", "PROXY_USER_ana", []string{"PROXY_USER_ana=http://"}},
		{"a proxy with a port too high", "PROXY_USER_ana", []string{"PROXY_USER_ana=http://proxy:70000"}},
		{"a proxy for nobody", "PROXY_USER_", []string{"PROXY_USER_=http://proxy:3128"}},

		{"a simulator in development", "", simulated},
		{"a simulator in production", "WASIM_URL", []string{"WASIM_URL=http://wasim:8090"}},
		{"a simulator with a real key", "WASIM_URL", append(simulated, "KEYSTORE_KEY="+key)},
		{"a simulator with a real key behind another", "WASIM_URL", append(simulated, "KEYSTORE_KEY=simulation:00, Production-old:11")},
		{"a simulator with a key of no name", "", append(simulated, "KEYSTORE_KEY=0011")},
		{"a simulator that is no address", "WASIM_URL", append(simulated, "WASIM_URL=wasim:8090")},
		{"a simulated key in production", "KEYSTORE_KEY", []string{"KEYSTORE_KEY=simulation:00"}},
		{"a development key behind a real one in production", "KEYSTORE_KEY", []string{"KEYSTORE_KEY=" + key + ",development-ana:11"}},
	}
	for _, row := range rows {
		_, err := LoadSender(sealed(row.given...))
		expectRefusal(t, row.name, err, row.refused)
	}
	for name, value := range map[string]string{"TIME_ZONE": "Mars/Olympus", "SEND_HOURS": "9 to 5", "SEND_DAYS": "lunes", "DEFAULT_REGION": "Argentina"} {
		_, err := LoadAPI(map[string]string{name: value})
		expectRefusal(t, "no good "+name, err, name)
	}
}

func expectRefusal(t *testing.T, name string, err error, refused string) {
	t.Helper()
	switch {
	case refused == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case refused != "" && (err == nil || !strings.HasPrefix(err.Error(), refused+": ") || strings.Contains(err.Error(), "\n")):
		t.Errorf("%s: got %v, want %s and nothing else refused", name, err, refused)
	}
}

func TestLinksAreSlowWithRealPhones(t *testing.T) {
	t.Parallel()
	quick := []string{"LINK_SPACING=0s", "LINK_JITTER=0s", "QR_TIMEOUT=1s"}
	_, err := LoadLinker(sealed(append(quick, "ENVIRONMENT=development", "WASIM_URL=http://wasim:8090", "KEYSTORE_KEY=00")...))
	expectRefusal(t, "a simulator", err, "")
	for _, setting := range quick {
		name, _, _ := strings.Cut(setting, "=")
		_, err := LoadLinker(sealed(setting))
		expectRefusal(t, setting, err, name)
	}
}

func TestOriginsMayBePatterns(t *testing.T) {
	t.Parallel()
	for origin, allowed := range map[string]bool{
		"https://app.example.com": true, "http://192.168.1.*:3000": true, "http://192.168.*.*:*": true, "https://*.example.com": true,
		"http://localhost:3000": true, "https://a.example.com,https://b.example.com": true,
		"*": false, "https://*": false, "https://*.*": false, "http://*:3000": false, "app.example.com": false, "ftp://example.com": false,
		"https://example.com/": false, "https://example.com/path": false, "https://user@example.com": false, "https://a.example.com,": false,
		"https://example.com?x=1": false, "https://example.com#x": false,
	} {
		_, err := LoadAPI(map[string]string{"ALLOWED_ORIGINS": origin})
		refused := "ALLOWED_ORIGINS"
		if allowed {
			refused = ""
		}
		expectRefusal(t, origin, err, refused)
	}
	_, err := LoadAPI(map[string]string{"ALLOWED_ORIGINS": "*", "ENVIRONMENT": "development"})
	expectRefusal(t, "every origin in development", err, "ALLOWED_ORIGINS")
}

func TestWarningsNameWhatIsUnwise(t *testing.T) {
	t.Parallel()
	for connections, warned := range map[string]bool{"": false, "1": false, "5": false, "6": true, "8": true} {
		c, err := LoadSender(sealed("NATS_USER=sender", "NATS_PASSWORD=x", "MAX_CONCURRENT_CONNECTIONS="+connections))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(c.Warnings(), "\n"), "MAX_CONCURRENT_CONNECTIONS"); got != warned {
			t.Errorf("MAX_CONCURRENT_CONNECTIONS=%q: warned %v, want %v", connections, got, warned)
		}
	}
	for variable, environ := range map[string][]string{
		"NATS_USER":    {},
		"KEYSTORE_KEY": {"KEYSTORE_KEY=0011"},
		"WASIM_URL":    {"ENVIRONMENT=development", "WASIM_URL=http://wasim:8090", "KEYSTORE_KEY=0011"},
	} {
		c, err := LoadLinker(sealed(environ...))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(c.Warnings(), "\n"), variable) {
			t.Errorf("%v: got the warnings %q, want one of %s", environ, c.Warnings(), variable)
		}
	}
}

func TestProxiesAreKeptByUser(t *testing.T) {
	t.Parallel()
	c, err := LoadSender(sealed("PROXY_USER_ana=socks5://ana:pass@proxy:1080", "PROXY_USER_7f3c-2=http://10.0.0.1:3128", "PROXY_USERS=x"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Secret{"ana": "socks5://ana:pass@proxy:1080", "7f3c-2": "http://10.0.0.1:3128"}
	if !maps.Equal(want, c.Proxies) {
		t.Errorf("got %d proxies, want %d", len(c.Proxies), len(want))
	}
}

func TestSecretsMayLieInFiles(t *testing.T) {
	t.Parallel()
	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c, err := LoadSender(map[string]string{
		"KEYSTORE_KEY_FILE": file("keys", "new:0011\nold:2233\n"), "NATS_USER": "sender", "NATS_PASSWORD_FILE": file("nats", "pass\n"),
		"MONGODB_URI_FILE": file("mongo", "mongodb://mongo:27017\n"), "PROXY_USER_ana_FILE": file("proxy", "http://proxy:3128\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.KeystoreKey.Reveal(), c.NATSPassword.Reveal(), c.MongoURI.Reveal(), c.Proxies["ana"].Reveal()}
	if diff := cmp.Diff([]string{"new:0011,old:2233", "pass", "mongodb://mongo:27017", "http://proxy:3128"}, got); diff != "" {
		t.Error(diff)
	}
	for name, environ := range map[string]map[string]string{
		"no file":       {"KEYSTORE_KEY_FILE": filepath.Join(t.TempDir(), "none")},
		"an empty file": {"KEYSTORE_KEY_FILE": file("empty", " \n")},
		"both":          {"KEYSTORE_KEY_FILE": file("key", key), "KEYSTORE_KEY": key},
	} {
		_, err := LoadLinker(environ)
		expectRefusal(t, name, err, "KEYSTORE_KEY")
	}
}

// TestNoSecretIsEverShown prints settings in every way that a program might.
func TestNoSecretIsEverShown(t *testing.T) {
	t.Parallel()
	c, err := LoadSender(sealed("NATS_USER=sender", "NATS_PASSWORD=hidden-1", "MONGODB_URI=mongodb://user:hid@den-2@mongo:27017/db?x=hidden-3",
		"PROXY_USER_ana=socks5://ana:hidden-4@proxy:1080", "KEYSTORE_KEY=production:hidden-5"))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("settings", "all", c, "redacted", slog.GroupValue(c.Redacted()...), "uri", c.MongoURI)
	for way, text := range map[string]string{
		"%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", c), "%#v": fmt.Sprintf("%#v", c), "%s": c.MongoURI.String(),
		"%q": fmt.Sprintf("%q", c.KeystoreKey), "JSON": string(encoded), "log": logged.String(), "redacted": fmt.Sprint(c.Redacted()),
	} {
		for _, secret := range []string{"hidden", "den-2"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %s: %s", way, secret, text)
			}
		}
	}
	for _, shown := range []string{"MONGODB_URI=mongodb://***@mongo:27017/db", "PROXY_USER_ana=socks5://***@proxy:1080", "NATS_PASSWORD=***",
		"KEYSTORE_KEY=***", "NATS_USER=sender", "LEASE_TTL=15s", "NATS_URL=nats://127.0.0.1:4222"} {
		if !strings.Contains(fmt.Sprint(c.Redacted())+" ", shown+" ") && !strings.Contains(fmt.Sprint(c.Redacted()), shown+"]") {
			t.Errorf("the log does not show %s: %v", shown, c.Redacted())
		}
	}
}

func TestAddressesLoseTheirCredentials(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"mongodb://a:b@h1:1,h2:2/db?authSource=x": "mongodb://***@h1:1,h2:2/db", "http://proxy:3128": "http://proxy:3128",
		"http://a:b%40c@proxy": "http://***@proxy", "secret": "***", "": "", "mongodb://a:b/c@d@h/?p=q@r": "mongodb://***@r",
	} {
		if got := withoutCredentials(address); got != want {
			t.Errorf("%s became %s, want %s", address, got, want)
		}
	}
}

func TestAnswersComeBackUnderTheUsersOwnPrefix(t *testing.T) {
	t.Parallel()
	for want, q := range map[string]Queue{
		"_INBOX": {}, "_INBOX_sender": {NATSUser: "sender"}, "MINE": {NATSUser: "sender", NATSInboxPrefix: "MINE"},
	} {
		if got := q.InboxPrefix(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := (Queue{NATSURLs: []string{"nats://a", "nats://b"}}).URL(); got != "nats://a,nats://b" {
		t.Errorf("got %s", got)
	}
}

func TestNamesOfWorkersDiffer(t *testing.T) {
	t.Parallel()
	first, second := Process{}.Name(), Process{}.Name()
	if first == second || !workerName.MatchString(first) {
		t.Errorf("got %q and %q", first, second)
	}
	if got := (Process{WorkerName: "sender-1"}).Name(); got != "sender-1" {
		t.Errorf("got %q", got)
	}
}

// TestFieldsHaveNamesOfTheirOwn: the parser names fields in its errors, which are looked up by them.
func TestFieldsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, settings := range []any{API{}, Linker{}, Sender{}} {
		seen := map[string]bool{}
		for _, v := range variablesOf(settings) {
			if seen[v.field] || seen[v.name] {
				t.Errorf("%T has %s or %s twice", settings, v.field, v.name)
			}
			seen[v.field], seen[v.name] = true, true
			if v.meaning == "" || v.allowed == "" {
				t.Errorf("%s does not say what it means and what is allowed", v.name)
			}
		}
		if len(seen) < 20 {
			t.Errorf("%T: only %d names were found", settings, len(seen))
		}
	}
}

// TestEnvironIsThatOfTheProcess: also values with an equals sign in them.
func TestEnvironIsThatOfTheProcess(t *testing.T) {
	t.Setenv("BROADCASTER_TEST_VALUE", "a=b")
	if got := Environ()["BROADCASTER_TEST_VALUE"]; got != "a=b" {
		t.Errorf("got %q", got)
	}
}

// TestValidateIsAskedOfSettingsThatWereMade: without an environment too.
func TestValidateIsAskedOfSettingsThatWereMade(t *testing.T) {
	t.Parallel()
	api, _ := LoadAPI(nil)
	linker, _ := LoadLinker(sealed())
	sender, _ := LoadSender(sealed())
	for _, settings := range []interface{ Validate() error }{api, linker, sender} {
		if err := settings.Validate(); err != nil {
			t.Errorf("%s: %v", reflect.TypeOf(settings), err)
		}
	}
	api.NATSReplicas, linker.LinkSpacing, sender.MaxConnections = 2, 0, 9
	for want, settings := range map[string]interface{ Validate() error }{
		"NATS_REPLICAS": api, "LINK_SPACING": linker, "MAX_CONCURRENT_CONNECTIONS": sender,
	} {
		expectRefusal(t, want, settings.Validate(), want)
	}
}

func TestPrivateNetworksOfWebhooksAreNamedExactly(t *testing.T) {
	t.Parallel()
	webhooks, deliveries, err := LoadWebhooks(map[string]string{"WEBHOOK_ALLOW_PRIVATE": "10.1.2.3/16,192.168.0.7,fd00::/8", "WEBHOOK_TIMEOUT": "3s"})
	if got := fmt.Sprint(webhooks.Private()); err != nil || got != "[10.1.0.0/16 192.168.0.7/32 fd00::/8]" || deliveries.WebhookTimeout != 3*time.Second {
		t.Errorf("%s, %s, %v", got, deliveries.WebhookTimeout, err)
	}
	for value, refused := range map[string]string{"WEBHOOK_ALLOW_PRIVATE=everything": "WEBHOOK_ALLOW_PRIVATE", "WEBHOOK_ALLOW_PRIVATE=10.0.0.0/33": "WEBHOOK_ALLOW_PRIVATE",
		"WEBHOOK_ALLOW_PRIVATE=fe80::1%eth0": "WEBHOOK_ALLOW_PRIVATE", "WEBHOOK_TIMEOUT=0s": "WEBHOOK_TIMEOUT", "WEBHOOK_TIMEOUT=2m": "WEBHOOK_TIMEOUT", "WEBHOOK_TIMEOUT=1m": ""} {
		_, err := LoadSender(sealed(value))
		expectRefusal(t, value, err, refused)
	}
}
