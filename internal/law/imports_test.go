package law

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The language: the nouns that everything else speaks in.
var language = []string{"internal/fault", "internal/store", "internal/session", "internal/campaign", "internal/events"}

// room says what one package, or the packages below one, may import of this module.
type room struct {
	path   string
	may    []string
	reason string
}

// rooms is the map of the module. A package uses the first row that fits it.
var rooms = []room{
	{"internal/fault", nil,
		"the error classes are the ground that everything stands on"},
	{"internal/store", []string{"internal/fault"},
		"the errors and pages that the ports share; it must never know a database"},
	{"internal/session", []string{"internal/fault", "internal/store"},
		"a noun: its port uses the errors and pages of internal/store, which knows no database"},
	{"internal/campaign", []string{"internal/fault", "internal/store", "internal/session"},
		"a noun: a campaign is sent from a session; it must never know a queue, a database, WhatsApp or HTTP"},
	{"internal/events", []string{"internal/fault", "internal/session", "internal/campaign"},
		"the words on the wire carry the language's own types, so that a state has one spelling; the transport is in internal/bus"},

	{"internal/access", []string{"internal/fault", "internal/store", "internal/session"},
		"a noun: who calls; it must never know HTTP or a database"},

	{"internal/lease", []string{"internal/fault", "internal/session"},
		"a lease is of a session; its bucket is a port that internal/bus implements"},
	{"internal/pace", language,
		"when a session may go again; where that is kept is a port"},

	{"internal/guard", nil,
		"the way out to addresses that somebody else named; it knows neither who asks nor what for"},
	{"internal/webhook", append([]string{"internal/guard"}, language...),
		"a verb, the only way in which facts leave the house: it declares the queue and the sealer that it needs as small interfaces"},

	{"internal/api/console", append([]string{"internal/access", "client"}, language...),
		"a client of the API as any other: it must reach nothing behind it"},
	{"internal/feed", language,
		"facts for many readers: the log is a port, and what readers are sent is made by who serves them"},
	{"internal/api", append([]string{"internal/access", "internal/lease", "internal/pace", "internal/guard", "internal/webhook", "internal/feed", "internal/origin"}, language...),
		"a verb: it declares what it needs of the doors as small interfaces, and internal/app adapts them"},
	{"internal/api/contract", append([]string{"internal/access", "internal/api", "internal/webhook"}, language...),
		"it makes what others read of the API in its tests, from the API on real parts; nothing that runs needs it"},
	{"internal/linker", append([]string{"internal/lease", "internal/pace"}, language...),
		"a verb: it declares what it needs of the doors as small interfaces, and internal/app adapts them"},
	{"internal/sender", append([]string{"internal/lease", "internal/pace"}, language...),
		"a verb: it declares what it needs of the doors as small interfaces, and internal/app adapts them"},

	{"internal/bus/embed", nil,
		"a nats-server in this process, and nothing of ours"},
	{"internal/bus/bustest", append([]string{"internal/bus"}, language...),
		"what tests fill a queue with; a test package that no product imports"},
	{"internal/bus/embed/embedtest", []string{"internal/bus/embed"},
		"that nats-server in a process of its own, for tests that kill it"},
	{"internal/bus/contract", nil,
		"it makes the pages about the queue in its tests, from the door and the nouns; nothing that runs needs it"},
	{"internal/bus/...", append([]string{"internal/bus", "internal/lease", "internal/pace"}, language...),
		"a door: it may implement the ports of the nouns, and must not know who uses it"},
	{"internal/wa/...", append([]string{"internal/wa/...", "internal/lease"}, language...),
		"a door: it may implement the ports of the nouns, and must not know who uses it"},
	{"internal/store/...", append([]string{"internal/store/..."}, language...),
		"a door: the adapters implement the ports beside the nouns, and share one conformance suite"},

	{"internal/ops", nil,
		"logs, metrics and health of any process; it knows none of them"},
	{"internal/doctor", nil,
		"the checks of a deployment; internal/app tells it what the doors saw"},
	{"internal/origin", nil,
		"a noun: which pages may call; settings and requests are checked by the same reading of it"},
	{"internal/config", append([]string{"internal/origin", "internal/pace"}, language...),
		"the environment as one struct; it must not build what it configures"},
	{"internal/app/...", []string{"internal/...", "client", "examples", "wasim/..."},
		"the wiring: the only place that knows all"},
	{"internal/law", nil,
		"it reads the code and must not depend on it"},

	{"cmd/internal/fleet", []string{"internal/ops", "client", "wasim/control"},
		"the services as processes, for programs that prove them; it speaks to them as anybody does"},
	{"cmd/wasim", []string{"wasim/...", "internal/ops"},
		"the simulator as a process; it must not know the product"},
	{"cmd/...", []string{"cmd/internal/...", "internal/app/...", "internal/config", "internal/doctor", "internal/ops", "internal/pace", "client", "examples", "wasim/..."},
		"a program parses its configuration and starts internal/app; the doors are behind it"},
	{"client", nil,
		"others import it: it speaks HTTP and must not drag the service along"},
	{"examples", nil,
		"files only"},
	{"deployments", nil,
		"files, and tests that prove what they promise"},
	{"wasim/...", []string{"wasim/..."},
		"others import it: a simulator that shared code with the product would share its mistakes"},
}

// realParts are the doors and parts that the tests of verbs, doors and programs may run on: servers are real in our tests.
var realParts = []string{"internal/bus/...", "internal/store/...", "internal/wa/...", "internal/lease", "internal/pace", "internal/ops",
	"wasim/...", "client", "examples"}

// technology says which packages alone may import a library, and which others in their tests.
type technology struct {
	library string
	only    []string
	reason  string
	inTests []string
}

var technologies = []technology{
	{"go.mau.fi/whatsmeow", []string{"internal/wa/...", "wasim/...", "internal/app/bench"},
		"internal/wa is the door to WhatsApp, and wasim its other end; a breaking release must meet one package; a bare client is the yardstick of internal/app/bench",
		[]string{"internal/app", "internal/app/month"}}, // what arrives is read as WhatsApp's own types; a month has rare keep-alives
	{"go.mau.fi/libsignal", []string{"internal/wa/...", "wasim/..."},
		"the ratchets belong to WhatsApp's door and to its simulator", nil},
	{"go.mau.fi/whatsmeow/store/sqlstore", []string{"internal/app/bench"},
		"the keys of linked devices are sealed and fenced in internal/wa/keys; whatsmeow's own store is its yardstick, and that of internal/app/bench",
		[]string{"wasim/...", "internal/wa/keys"}},
	{"go.mau.fi/util", []string{"internal/wa/...", "wasim/..."},
		"it is whatsmeow's toolbox, not ours", nil},
	{"github.com/nats-io", []string{"internal/bus/...", "internal/app/bench"},
		"internal/bus is the door to NATS; bare JetStream is a yardstick of internal/app/bench",
		[]string{"deployments", "internal/app"}}, // the doctor is shown broken queues; the rights on the queue are tried by a bare client too, which asks for what internal/bus never does
	{"go.opentelemetry.io/otel/sdk", []string{"internal/ops"},
		"where spans go is decided in one place", nil},
	{"go.opentelemetry.io/otel/exporters", []string{"internal/ops"},
		"where spans go is decided in one place", nil},
	{"go.opentelemetry.io/otel", []string{"internal/ops", "internal/bus"},
		"internal/ops makes the tracer, and internal/bus the spans of jobs and sends; a verb hands its context on", nil},
	{"github.com/ThreeDotsLabs/watermill", []string{"internal/bus/..."},
		"internal/bus is the door to the queue", nil},
	{"go.mongodb.org", []string{"internal/store/mongo/..."},
		"the adapter alone knows the driver; internal/wa/keys stores through its port", nil},
	{"modernc.org/sqlite", []string{"internal/store/sqlite"},
		"the adapter alone knows the driver; whatsmeow's own device store, the yardstick of tests, brings its database too",
		[]string{"wasim/...", "internal/wa/keys"}},
	{"database/sql", []string{"internal/store/sqlite", "internal/app/bench"},
		"SQL is a technology, and has its doors; bare queries and whatsmeow's own store are yardsticks of internal/app/bench",
		[]string{"wasim/...", "internal/app", "internal/wa/keys"}},
	{"net/http", []string{"internal/api/...", "internal/app/...", "internal/guard", "internal/ops", "internal/doctor", "internal/wa/...", "internal/webhook", "internal/fault", "client",
		"cmd/...", "wasim/..."},
		"HTTP belongs to the API, to what goes out under guard and to WhatsApp's socket; internal/fault takes the names of status codes and nothing else", nil},
	{"code.dny.dev/ssrf", []string{"internal/guard"},
		"which addresses must not be reached is said in one place", nil},
	{"github.com/standard-webhooks", []string{"internal/webhook"},
		"signatures belong to what is signed; receivers in tests check them with the same library", []string{"internal/app", "internal/app/browser"}},
	{"github.com/danielgtaylor/huma", []string{"internal/api"},
		"internal/api is the door to HTTP", nil},
	{"github.com/swaggest/swgui", []string{"internal/api"},
		"the pages of the API's documentation belong to the API", nil},
	{"github.com/nicksnyder/go-i18n", []string{"internal/api/console"},
		"texts in two languages belong to the pages", nil},
	{"github.com/chromedp", nil,
		"a browser belongs to the tests of the pages", []string{"internal/app/browser"}},
	{"github.com/rs/cors", []string{"internal/api"},
		"cross-origin rules belong to the API", nil},
	{"github.com/spf13/cobra", []string{"cmd/..."},
		"the command line belongs to programs", nil},
	{"github.com/vbauerster/mpb", []string{"internal/app/demo", "cmd/..."},
		"progress bars belong to what a person watches", nil},
	{"github.com/boombuler/barcode", []string{"internal/api", "cmd/..."},
		"a QR is drawn where it is shown; elsewhere it is a text", nil},
	{"github.com/coder/websocket", []string{"wasim/..."},
		"sockets to WhatsApp are whatsmeow's; ours is the simulator's end", nil},
	{"github.com/nyaruka/phonenumbers", []string{"internal/campaign"},
		"what a phone number is must be said in one place", nil},
	{"github.com/caarlos0/env", []string{"internal/config"},
		"the environment is read in one place", nil},
	{"os/exec", []string{"cmd/...", "internal/store/mongo/mongotest", "internal/bus/embed/embedtest"},
		"services start no processes; mongotest and embedtest start the servers of tests, and no product imports them", nil},
	{"testing", []string{"internal/store/storetest", "internal/store/mongo/mongotest", "internal/wa/proxytest", "internal/bus/bustest", "internal/bus/embed/embedtest"},
		"test code in a product's binary registers flags and hides state; a conformance suite and a server for tests are the exceptions", nil},
}

// testTechnologies may be imported by any test, whatever technologies says.
var testTechnologies = []string{"net/http/...", "os/exec", "testing/..."}

// impure are the packages of the standard library that reach outside a process; the language must not know them.
var impure = []string{"os", "os/...", "net", "net/...", "database/...", "io/fs", "syscall", "plugin", "unsafe"}

// pureExceptions are what parts of the language take of impure packages all the same.
var pureExceptions = map[string]string{
	"internal/fault net/http":    "the names of status codes",
	"internal/session net/url":   "it reads the address of a proxy and reaches for none",
	"internal/session net/netip": "it tells whether a text is an IP address",
}

func TestImportsPointDownwards(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		report(t, checkRoom(p))
	}
}

func checkRoom(p *pkg) []string {
	i := slices.IndexFunc(rooms, func(r room) bool { return within(p.path, r.path) })
	if i < 0 {
		return []string{fmt.Sprintf("%s has no row in the map of rooms (internal/law): say what it may import, and why", p.path)}
	}
	r := rooms[i]
	var violations []string
	check := func(imports []string, kind string, may ...string) {
		for _, path := range imports {
			target := relative(path)
			if ours := target != path || path == module; ours && !within(target, may...) {
				violations = append(violations, fmt.Sprintf("%s must not import %s%s: %s", p.path, target, kind, r.reason))
			}
		}
	}
	check(p.imports, "", r.may...)
	mayInTests := append([]string{p.path}, r.may...)
	if !within(p.path, language...) {
		mayInTests = append(mayInTests, append(realParts, language...)...)
	}
	check(p.testImports, " in its tests", mayInTests...)
	return violations
}

func TestTechnologiesStayBehindTheirDoors(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		report(t, checkTechnologies(p))
	}
}

func checkTechnologies(p *pkg) []string {
	var violations []string
	for _, tech := range technologies {
		if within(p.path, tech.only...) {
			continue
		}
		for _, path := range p.imports {
			if within(path, tech.library+"/...") {
				violations = append(violations, fmt.Sprintf("%s must not import %s: %s", p.path, path, tech.reason))
			}
		}
		for _, path := range p.testImports {
			if within(path, tech.library+"/...") && !within(p.path, tech.inTests...) && !within(path, testTechnologies...) {
				violations = append(violations, fmt.Sprintf("%s must not import %s in its tests: %s", p.path, path, tech.reason))
			}
		}
	}
	return violations
}

func TestTheLanguageIsPure(t *testing.T) {
	t.Parallel()
	for _, path := range language {
		p := find(t, path)
		if p == nil {
			t.Errorf("%s does not exist", path)
			continue
		}
		report(t, checkPure(p))
	}
}

func checkPure(p *pkg) []string {
	var violations []string
	for _, path := range p.imports {
		if within(path, impure...) && pureExceptions[p.path+" "+path] == "" {
			violations = append(violations, fmt.Sprintf("%s must not import %s: the language reaches nothing outside of its process", p.path, path))
		}
	}
	return violations
}

func TestNamesSayWhatAPackageIs(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		report(t, checkName(p))
	}
}

func checkName(p *pkg) []string {
	for _, empty := range []string{"util", "utils", "common", "helper", "helpers", "types", "models", "manager", "misc", "shared", "base"} {
		if p.name == empty {
			return []string{fmt.Sprintf("%s: %q says nothing; a package is a noun of the domain or the name of a technology", p.path, p.name)}
		}
	}
	return nil
}

func TestImportRulesCatchViolations(t *testing.T) {
	t.Parallel()
	ours := func(paths ...string) []string {
		for i := range paths {
			paths[i] = module + "/" + paths[i]
		}
		return paths
	}
	rows := []struct {
		name string
		p    pkg
		rule func(*pkg) []string
		want string
	}{
		{"a verb on a door", pkg{path: "internal/sender", imports: ours("internal/bus")}, checkRoom, "internal/sender must not import internal/bus"},
		{"a verb on a verb", pkg{path: "internal/linker", imports: ours("internal/sender")}, checkRoom, "must not import internal/sender"},
		{"a noun on a verb", pkg{path: "internal/session", imports: ours("internal/api")}, checkRoom, "must not import internal/api"},
		{"a noun's test on a door", pkg{path: "internal/campaign", testImports: ours("internal/store/sqlite")}, checkRoom, "in its tests"},
		{"a door on a door", pkg{path: "internal/bus", imports: ours("internal/wa")}, checkRoom, "must not import internal/wa"},
		{"a program on a door", pkg{path: "cmd/api", imports: ours("internal/bus")}, checkRoom, "must not import internal/bus"},
		{"the simulator on the product", pkg{path: "wasim/script", imports: ours("internal/fault")}, checkRoom, "must not import internal/fault"},
		{"an unknown room", pkg{path: "internal/attic"}, checkRoom, "has no row"},
		{"whatsmeow in a verb", pkg{path: "internal/sender", imports: []string{"go.mau.fi/whatsmeow/types"}}, checkTechnologies, "go.mau.fi/whatsmeow/types"},
		{"NATS in a verb's test", pkg{path: "internal/api", testImports: []string{"github.com/nats-io/nats.go"}}, checkTechnologies, "in its tests"},
		{"SQL in a noun", pkg{path: "internal/campaign", imports: []string{"database/sql"}}, checkTechnologies, "database/sql"},
		{"files in a noun", pkg{path: "internal/campaign", imports: []string{"os"}}, checkPure, "must not import os"},
		{"the network in events", pkg{path: "internal/events", imports: []string{"net/http"}}, checkPure, "must not import net/http"},
		{"an empty name", pkg{path: "internal/util", name: "util"}, checkName, "says nothing"},

		{"app knows all", pkg{path: "internal/app", imports: ours("internal/bus", "internal/wa", "internal/store/sqlite")}, checkRoom, ""},
		{"a verb's test on real parts", pkg{path: "internal/sender", testImports: ours("internal/bus/embed", "wasim")}, checkRoom, ""},
		{"the door itself", pkg{path: "internal/wa/keys", imports: []string{"go.mau.fi/whatsmeow/store"}}, checkTechnologies, ""},
		{"another library of like name", pkg{path: "internal/api", imports: []string{"go.mau.fi/whatsmeowish"}}, checkTechnologies, ""},
		{"HTTP in a verb's test", pkg{path: "internal/sender", testImports: []string{"net/http/httptest"}}, checkTechnologies, ""},
		{"status codes in fault", pkg{path: "internal/fault", imports: []string{"net/http"}}, checkPure, ""},
	}
	for _, row := range rows {
		got := strings.Join(row.rule(&row.p), "\n")
		if row.want == "" && got != "" || !strings.Contains(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}
