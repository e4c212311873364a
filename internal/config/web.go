package config

import (
	"regexp"
	"time"

	"github.com/dannsalud/broadcaster/internal/origin"
)

// Web are the settings of the HTTP API.
type Web struct {
	Listen         string   `env:"LISTEN" envDefault:":8080" allowed:"an address such as :8080 or 127.0.0.1:8080" meaning:"Where the API is, with /healthz, /readyz and /metrics."`
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" allowed:"origins such as https://app.example.com or http://192.168.1.*:3000, separated by commas, each with http or https, a host, and no path; never * alone" meaning:"The web pages that browsers may call the API from, and that may show the link page in a frame. A * stands for one whole part of a host's name between two dots, for one number from 0 to 255 of an IPv4 address, or for the port. Empty: none but the API's own."`
	// ReplaysPerSecond paces repairs of many failed jobs.
	ReplaysPerSecond float64 `env:"REPLAYS_PER_SECOND" envDefault:"50" allowed:"a number from 0.1 to 10000" meaning:"How many failed jobs an operator's bulk replay queues again in a second, so that it does not crowd out the work of the day."`
}

// Access are the settings of who may call the API.
type Access struct {
	AdminKey          Secret        `env:"ADMIN_KEY" allowed:"a key as \"broadcaster api-keys generate\" prints it: bcr_…" meaning:"An admin key of the API that there is from the start, so that somebody can make others. Once revoked it does not come back. Empty: the service makes one itself at its first start and prints it to standard output, once."`
	RequestsPerSecond float64       `env:"REQUESTS_PER_SECOND" envDefault:"100" allowed:"a number from 1 to 10000" meaning:"How many requests one API key may make in a second, to each API process, with twice as many at once."`
	RequestTimeout    time.Duration `env:"REQUEST_TIMEOUT" envDefault:"1m" allowed:"a duration from 5s to 10m" meaning:"How long one request may take; uploads, exports and repairs of many jobs may take ten times as long, and streams of events have no end."`
}

var adminKey = regexp.MustCompile(`^bcr_[0-9a-v]{16}_[A-Za-z0-9_-]{43}$`)

func (a Access) check(c *checker) {
	c.want(a.AdminKey == "" || adminKey.MatchString(a.AdminKey.Reveal()), "ADMIN_KEY")
	c.want(a.RequestsPerSecond >= 1 && a.RequestsPerSecond <= 10_000, "REQUESTS_PER_SECOND")
	c.want(within(a.RequestTimeout, 5*time.Second, 10*time.Minute), "REQUEST_TIMEOUT")
}

// LoadAccess reads and checks the settings of who may call alone, for a process that has no other settings in its environment.
func LoadAccess(environ map[string]string) (settings Access, err error) {
	check := read(environ, &settings)
	settings.check(check)
	return settings, check.result()
}

func (w Web) check(c *checker) {
	c.want(isAddress(w.Listen), "LISTEN")
	_, err := origin.Compile(w.AllowedOrigins)
	c.want(err == nil, "ALLOWED_ORIGINS")
	c.want(w.ReplaysPerSecond >= 0.1 && w.ReplaysPerSecond <= 10_000, "REPLAYS_PER_SECOND")
}
