package config

import (
	"net/netip"
	"net/url"
	"strings"
)

// Observe are the settings of what operators see of a process beside its log and its metrics.
type Observe struct {
	AdminListen string `env:"ADMIN_LISTEN" envDefault:"127.0.0.1:0" allowed:"a loopback address such as 127.0.0.1:6060 or [::1]:6060 (any address with ADMIN_REMOTE), or off" meaning:"Where /log/level and /debug/pprof are, which show what is in memory. Port 0 takes a free one, which the log line ready names as admin."`
	AdminRemote bool   `env:"ADMIN_REMOTE" envDefault:"false" allowed:"true or false" meaning:"Allows ADMIN_LISTEN to be reached from other machines. Nothing there asks for a password."`

	TraceEndpoint string  `env:"OTEL_EXPORTER_OTLP_ENDPOINT" allowed:"empty, or the base address of an OTLP receiver over HTTP such as http://collector:4318, without user and password" meaning:"Where traces are sent. Empty: nowhere, and tracing costs nothing."`
	TraceHeaders  Secret  `env:"OTEL_EXPORTER_OTLP_HEADERS" allowed:"empty, or pairs such as api-key=value, separated by commas" meaning:"Headers that the receiver wants, such as its key."`
	TraceRatio    float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"1" allowed:"a number from 0 to 1" meaning:"The share of traces that is kept of those that begin here. A request with a traceparent header is kept as its caller says."`
}

// adminOff is the ADMIN_LISTEN of a process without admin pages.
const adminOff = "off"

func (o Observe) check(c *checker) {
	c.want(o.AdminListen == adminOff || isAddress(o.AdminListen) && (o.AdminRemote || isLoopback(o.AdminListen)), "ADMIN_LISTEN")
	c.want(o.TraceEndpoint == "" || isReceiver(o.TraceEndpoint), "OTEL_EXPORTER_OTLP_ENDPOINT")
	_, fine := o.headers()
	c.want(fine, "OTEL_EXPORTER_OTLP_HEADERS")
	c.want(o.TraceRatio >= 0 && o.TraceRatio <= 1, "OTEL_TRACES_SAMPLER_ARG")
}

func isLoopback(address string) bool {
	ip, err := netip.ParseAddrPort(address)
	return err == nil && ip.Addr().IsLoopback() || strings.HasPrefix(address, "localhost:")
}

func isReceiver(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Hostname() != "" && parsed.User == nil &&
		parsed.RawQuery == "" && parsed.Fragment == ""
}

// headers reads the pairs, whose values are percent-encoded as the variable's specification has it.
func (o Observe) headers() (headers map[string]string, fine bool) {
	headers = map[string]string{}
	for pair := range strings.SplitSeq(o.TraceHeaders.Reveal(), ",") {
		name, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		value, err := url.PathUnescape(value)
		switch {
		case name == "" && !found:
			continue
		case name == "" || !found || err != nil:
			return nil, false
		}
		headers[name] = value
	}
	return headers, true
}

// Admin gives the address of the admin pages; empty: there are none.
func (o Observe) Admin() string {
	if o.AdminListen == adminOff {
		return ""
	}
	return o.AdminListen
}

// TraceURL gives the base address of the receiver.
func (o Observe) TraceURL() string { return strings.TrimSuffix(o.TraceEndpoint, "/") }

// Headers gives the headers of each export.
func (o Observe) Headers() map[string]string {
	headers, _ := o.headers() // refused at the start when they are none
	return headers
}
