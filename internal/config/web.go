package config

import (
	"net/url"
	"slices"
	"strings"
)

// Web are the settings of the HTTP API.
type Web struct {
	Listen         string   `env:"LISTEN" envDefault:":8080" allowed:"an address such as :8080 or 127.0.0.1:8080" meaning:"Where the API is, with /healthz, /readyz and /metrics."`
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" allowed:"origins such as https://app.example.com or http://192.168.1.*:3000, separated by commas, each with http or https, a host, and no path; never * alone" meaning:"The web pages that browsers may call the API from. A * stands for one whole part of a host's name between two dots, for one number from 0 to 255 of an IPv4 address, or for the port. Empty: none but the API's own."`
	// ReplaysPerSecond paces repairs of many failed jobs.
	ReplaysPerSecond float64 `env:"REPLAYS_PER_SECOND" envDefault:"50" allowed:"a number from 0.1 to 10000" meaning:"How many failed jobs an operator's bulk replay queues again in a second, so that it does not crowd out the work of the day."`
}

func (w Web) check(c *checker) {
	c.want(isAddress(w.Listen), "LISTEN")
	c.want(!slices.ContainsFunc(w.AllowedOrigins, func(origin string) bool { return !isOrigin(origin) }), "ALLOWED_ORIGINS")
	c.want(w.ReplaysPerSecond >= 0.1 && w.ReplaysPerSecond <= 10_000, "REPLAYS_PER_SECOND")
}

// isOrigin tells whether a text is an origin as browsers send it, or a pattern of such. The port may be a pattern too.
func isOrigin(text string) bool {
	parsed, err := url.Parse(strings.ReplaceAll(text, ":*", ":1")) // a port of * is no port to the parser
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.User != nil {
		return false
	}
	bare := strings.Trim(parsed.Hostname(), "*.") // a host of nothing but stars is every host
	return bare != "" && parsed.Path == "" && parsed.RawQuery == "" && parsed.Fragment == "" && !strings.HasSuffix(text, "#") && !strings.HasSuffix(text, "?")
}
