// Package ops is what operators see of a process: its log and its metrics registry.
//
// Nouns: the logger (slog; JSON for machines, text on a terminal, one event per line with a constant message and the same attribute
// keys everywhere), the redactor (no phone number reaches a log line, whatever package wrote it), the registry (Go runtime, process and
// build information).
//
// Callers: internal/app wires them into every process. Secrets such as keys, QR texts and proxy passwords are never handed to a
// logger in the first place; the redactor is the second line, for what a library or an error text carries. It must never decide what a
// failure means: that is internal/fault.
package ops

import (
	"io"
	"log/slog"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Format is how log lines look.
type Format string

// The formats.
const (
	// FormatText is readable on a terminal.
	FormatText Format = "text"
	// FormatJSON is one object a line, for machines.
	FormatJSON Format = "json"
)

// LogOptions say how a process logs.
type LogOptions struct {
	Writer io.Writer
	// Format defaults to FormatJSON.
	Format Format
	// Level is the lowest level that is written; it may change while the process runs. Nil: slog.LevelInfo.
	Level slog.Leveler
	// Worker names this process in every line; empty: no such attribute.
	Worker string
}

// NewLogger makes the logger of a process. Every line passes the redactor.
func NewLogger(options LogOptions) *slog.Logger {
	level := options.Level
	if level == nil {
		level = slog.LevelInfo
	}
	settings := &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}
	var handler slog.Handler = slog.NewJSONHandler(options.Writer, settings)
	if options.Format == FormatText {
		handler = slog.NewTextHandler(options.Writer, settings)
	}
	log := slog.New(handler)
	if options.Worker != "" {
		log = log.With("worker", options.Worker)
	}
	return log
}

// identifiers are attribute keys whose values are our own ids, never phone numbers: a run of digits inside one must stay readable.
var identifiers = map[string]bool{
	"session": true, "campaign": true, "delivery": true, "job": true, "worker": true, "link": true, "trace": true,
	slog.TimeKey: true, slog.LevelKey: true,
}

// phoneLike is a run of digits as long as a phone number (ITU-T E.164: at most 15), standing by itself. WhatsApp's addresses are
// such a run in front of "@" or ":".
var phoneLike = regexp.MustCompile(`\+?\b\d{8,16}\b`)

// Redact hides the middle of everything in a text that looks like a phone number: "+5491150001234" becomes "+549…34".
func Redact(text string) string {
	return phoneLike.ReplaceAllStringFunc(text, func(number string) string {
		keep := 3
		if strings.HasPrefix(number, "+") {
			keep = 4
		}
		return number[:keep] + "…" + number[len(number)-2:]
	})
}

func redactAttr(_ []string, attr slog.Attr) slog.Attr {
	if identifiers[attr.Key] {
		return attr
	}
	switch value := attr.Value.Any().(type) {
	case string:
		attr.Value = slog.StringValue(Redact(value))
	case error:
		attr.Value = slog.StringValue(Redact(value.Error()))
	case interface{ String() string }:
		if attr.Value.Kind() == slog.KindAny {
			attr.Value = slog.StringValue(Redact(value.String()))
		}
	}
	return attr
}

// NewRegistry makes a metrics registry with what every process exposes: the Go runtime, the process, and which build it is.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
		newBuildInfo(),
	)
	return registry
}

// Version is the version of the build: the module's version, or "dev" for a build from a checkout.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}
