package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAdminPagesStayOnTheMachine(t *testing.T) {
	t.Parallel()
	for given, refused := range map[string]string{
		"ADMIN_LISTEN=127.0.0.1:6060": "", "ADMIN_LISTEN=[::1]:6060": "", "ADMIN_LISTEN=localhost:6060": "", "ADMIN_LISTEN=off": "", "": "",
		"ADMIN_LISTEN=:6060": "ADMIN_LISTEN", "ADMIN_LISTEN=0.0.0.0:6060": "ADMIN_LISTEN", "ADMIN_LISTEN=10.0.0.1:6060": "ADMIN_LISTEN",
		"ADMIN_LISTEN=127.0.0.1": "ADMIN_LISTEN", "ADMIN_LISTEN=localhost.example.com:6060": "ADMIN_LISTEN",
		"ADMIN_LISTEN=:6060 ADMIN_REMOTE=true": "", "ADMIN_REMOTE=maybe": "ADMIN_REMOTE",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318": "", "OTEL_EXPORTER_OTLP_ENDPOINT=https://collector/otlp/": "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318":            "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:secret@collector": "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b,x=y":          "", "OTEL_EXPORTER_OTLP_HEADERS=secret": "OTEL_EXPORTER_OTLP_HEADERS",
		"OTEL_TRACES_SAMPLER_ARG=0.1": "", "OTEL_TRACES_SAMPLER_ARG=2": "OTEL_TRACES_SAMPLER_ARG", "OTEL_TRACES_SAMPLER_ARG=all": "OTEL_TRACES_SAMPLER_ARG",
	} {
		_, err := LoadSender(sealed(strings.Fields(given)...))
		expectRefusal(t, given, err, refused)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: a secret is in the refusal: %v", given, err)
		}
	}
}

func TestReceiversOfTraces(t *testing.T) {
	t.Parallel()
	c, err := LoadAPI(map[string]string{"ADMIN_LISTEN": "off", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b, x=y=z"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Admin() != "" || c.TraceURL() != "http://collector:4318" {
		t.Errorf("admin at %q, traces to %q", c.Admin(), c.TraceURL())
	}
	if diff := cmp.Diff(map[string]string{"api-key": "a b", "x": "y=z"}, c.Headers()); diff != "" {
		t.Error(diff)
	}
}
