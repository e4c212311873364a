package config

import (
	"crypto/rand"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The environments.
const (
	Production  = "production"
	Development = "development"
)

// Process are the settings of every process.
type Process struct {
	Environment string `env:"ENVIRONMENT" envDefault:"production" allowed:"production or development" meaning:"Development allows what must never happen to real phones: a simulator in place of WhatsApp, and every origin."`
	WorkerName  string `env:"WORKER_NAME" allowed:"1 to 64 letters, digits, dots, dashes or underscores" meaning:"Names this process in leases, jobs and logs. No two processes of a fleet may share one. Empty: the name of the host and a random suffix."`
	LogLevel    string `env:"LOG_LEVEL" envDefault:"info" allowed:"debug, info, warn or error" meaning:"The lowest level that is logged."`
	LogFormat   string `env:"LOG_FORMAT" envDefault:"auto" allowed:"auto, json or text" meaning:"How lines of the log look. auto is text on a terminal, and JSON elsewhere."`
	// DrainTimeout is shared with the orchestrator: its own patience must be longer.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"20s" allowed:"a duration from 1s to 10m" meaning:"How long jobs and requests in hand may go on after SIGTERM. The orchestrator must wait at least 5s longer before it kills."`
}

var workerName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (p Process) check(c *checker) {
	c.want(p.Environment == Production || p.Environment == Development, "ENVIRONMENT")
	c.want(p.WorkerName == "" || workerName.MatchString(p.WorkerName), "WORKER_NAME")
	c.want(slices.Contains([]string{"debug", "info", "warn", "error"}, p.LogLevel), "LOG_LEVEL")
	c.want(slices.Contains([]string{"auto", "json", "text"}, p.LogFormat), "LOG_FORMAT")
	c.want(within(p.DrainTimeout, time.Second, 10*time.Minute), "DRAIN_TIMEOUT")
}

// Name gives WORKER_NAME, or one that no other process has: that of the host, and a random suffix. Each call draws anew.
func (p Process) Name() string {
	if p.WorkerName != "" {
		return p.WorkerName
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "worker"
	}
	host = strings.Map(func(letter rune) rune {
		if workerName.MatchString(string(letter)) {
			return letter
		}
		return '-'
	}, host)
	return host[:min(len(host), 40)] + "-" + strings.ToLower(rand.Text()[:6])
}

// Pages are the settings of a process whose only pages are those of operators.
type Pages struct {
	MetricsListen string `env:"METRICS_LISTEN" envDefault:":8081" allowed:"an address such as :8081 or 127.0.0.1:8081" meaning:"Where /healthz, /readyz and /metrics are."`
}

func (p Pages) check(c *checker) { c.want(isAddress(p.MetricsListen), "METRICS_LISTEN") }

// isAddress tells whether a text is an address to listen at: a host or none, and a port by its number.
func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func within[T int | time.Duration](value, least, most T) bool { return value >= least && value <= most }
