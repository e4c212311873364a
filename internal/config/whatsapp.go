package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/pace"
)

// WhatsApp are the settings of a process that opens connections to WhatsApp.
//
// The rule about simulators: WASIM_URL is refused unless ENVIRONMENT is development, and whatever the environment when a key of KEYSTORE_KEY has a
// name that begins with "production". The other way round, a key whose name begins with "simulation" or "development" is refused in production.
// deployments/secrets.sh names the keys that it makes. A key without such a name is allowed on both sides, and warned about in production.
type WhatsApp struct {
	KeystoreKey  Secret `env:"KEYSTORE_KEY" allowed:"set: one or more keys of 32 bytes in base64 or hex, each with a name in front if it has one (production-2026:…), separated by commas; the first one seals" meaning:"Seals the keys of the linked devices. Without it the linked phones are lost: keep a copy, apart from the backups. Required. In the file of KEYSTORE_KEY_FILE, a key a line."`
	SimulatorURL string `env:"WASIM_URL" allowed:"empty, or the address of a simulator's control API such as http://wasim:8090, and then ENVIRONMENT must be development and no key of KEYSTORE_KEY may be named production…" meaning:"Connects to a simulator (cmd/wasim) instead of WhatsApp."`

	// Proxies are the egresses of single users: PROXY_USER_<id>, by id.
	Proxies map[string]Secret
}

// Simulated tells whether a simulator takes the place of WhatsApp.
func (w WhatsApp) Simulated() bool { return w.SimulatorURL != "" }

// What the names of keys begin with.
const (
	productionKey  = "production"
	developmentKey = "development"
	simulationKey  = "simulation"
)

func (w WhatsApp) check(c *checker, environment string) {
	c.want(w.KeystoreKey != "", "KEYSTORE_KEY")
	if environment == Production && (w.keyNamed(developmentKey) || w.keyNamed(simulationKey)) {
		c.refuse("KEYSTORE_KEY", "a key whose name begins with development or simulation must not be used in production")
	}
	if !w.Simulated() {
		return
	}
	parsed, err := url.Parse(w.SimulatorURL)
	address := err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Hostname() != "" && parsed.User == nil
	c.want(address && environment == Development && !w.keyNamed(productionKey), "WASIM_URL")
}

// keyNamed tells whether a key has a name that begins so.
func (w WhatsApp) keyNamed(beginning string) bool {
	return slices.ContainsFunc(strings.Split(w.KeystoreKey.Reveal(), ","), func(entry string) bool {
		name, _, named := strings.Cut(entry, ":")
		return named && strings.HasPrefix(strings.ToLower(strings.TrimSpace(name)), beginning)
	})
}

func (w WhatsApp) warnings(environment string) []string {
	switch {
	case w.Simulated():
		return []string{"WASIM_URL is set: no message reaches a real phone"}
	case environment == Production && !w.keyNamed(productionKey):
		return []string{`KEYSTORE_KEY has no key whose name begins with "production": a process that was told to simulate would not refuse it`}
	}
	return nil
}

const proxyPrefix = "PROXY_USER_"

// proxies gives PROXY_USER_<id> by id, which is spelled as in the variable's name. An id cannot end in _FILE.
func proxies(environ map[string]string, check *checker) map[string]Secret {
	found := map[string]Secret{}
	for name, value := range environ {
		variable, inFile := strings.CutSuffix(name, fileSuffix)
		id, ours := strings.CutPrefix(variable, proxyPrefix)
		if !ours || value == "" {
			continue
		}
		if inFile {
			value = readSecret(environ[variable], variable, value, check)
		}
		if id == "" || !isProxy(value) {
			check.refuse(variable, "it must be "+proxyAllowed)
		}
		found[id] = Secret(value)
	}
	return found
}

const proxyAllowed = "the address of a proxy, such as socks5://user:password@host:1080, with http, https or socks5, a host and no path, " +
	"in a variable that ends in the user's id"

func isProxy(text string) bool {
	parsed, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"http", "https", "socks5"}, parsed.Scheme) || parsed.Hostname() == "" {
		return false
	}
	if port := parsed.Port(); port != "" {
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return false
		}
	}
	return (parsed.Path == "" || parsed.Path == "/") && parsed.RawQuery == "" && parsed.Fragment == ""
}

// Links are the settings of pairing.
type Links struct {
	LinkSpacing time.Duration `env:"LINK_SPACING" envDefault:"2m" allowed:"a duration from 30s to 24h (from 0s with a simulator)" meaning:"The time between two links on one egress."`
	QRTimeout   time.Duration `env:"QR_TIMEOUT" envDefault:"60s" allowed:"a duration from 20s to 5m (from 1s with a simulator)" meaning:"How long the first QR is shown."`
	LinkJitter  time.Duration `env:"LINK_JITTER" envDefault:"3s" allowed:"a duration from 1s to 1m (from 0s with a simulator)" meaning:"The longest random wait before a link's connection."`
}

func (l Links) check(c *checker, simulated bool) {
	c.want(within(l.LinkSpacing, unless(simulated, 30*time.Second, 0), 24*time.Hour), "LINK_SPACING")
	c.want(within(l.QRTimeout, unless(simulated, 20*time.Second, time.Second), 5*time.Minute), "QR_TIMEOUT")
	c.want(within(l.LinkJitter, unless(simulated, time.Second, 0), time.Minute), "LINK_JITTER")
}

// Sends are the settings of hosting and sending.
type Sends struct {
	MaxConnections int           `env:"MAX_CONCURRENT_CONNECTIONS" envDefault:"6" allowed:"a number from 1 to 8" meaning:"How many sessions one egress hosts. Unset it is 6; set to 6 or more it is taken with a warning, and 9 or more is refused: WhatsApp logs out many devices behind one address."`
	MinGap         time.Duration `env:"SEND_GAP_MIN" envDefault:"4s" allowed:"a duration from 1s to SEND_GAP_MAX (from 0s with a simulator)" meaning:"The shortest random gap between two messages of a session."`
	MaxGap         time.Duration `env:"SEND_GAP_MAX" envDefault:"9s" allowed:"a duration from SEND_GAP_MIN to 10m" meaning:"The longest one."`

	// capacitySet: MAX_CONCURRENT_CONNECTIONS was set, and did not come from its default.
	capacitySet bool
}

const (
	maxConnections = "MAX_CONCURRENT_CONNECTIONS"
	// safeConnections is the most that is set without a warning, mostConnections the most at all.
	safeConnections = 5
	mostConnections = 8
)

func (s Sends) check(c *checker, simulated bool) {
	c.want(within(s.MaxConnections, 1, mostConnections), maxConnections)
	c.want(s.MinGap >= unless(simulated, time.Second, 0), "SEND_GAP_MIN")
	c.want(within(s.MaxGap, s.MinGap, 10*time.Minute), "SEND_GAP_MAX")
}

func (s Sends) warnings() []string {
	if s.capacitySet && s.MaxConnections > safeConnections {
		return []string{fmt.Sprintf("%s is %d: more than %d sessions on one egress are logged out more often", maxConnections,
			s.MaxConnections, safeConnections)}
	}
	return nil
}

// Pace gives the gaps between two messages.
func (s Sends) Pace() pace.Options { return pace.Options{MinGap: s.MinGap, MaxGap: s.MaxGap} }

// unless gives the strict bound, or the loose one of a simulator.
func unless(simulated bool, strict, loose time.Duration) time.Duration {
	if simulated {
		return loose
	}
	return strict
}
