// Package ops is what operators see of a process: its log, its metrics registry, its traces and its health.
//
// Nouns: the logger (slog; JSON for machines, text on a terminal, one event per line with a constant message and the same attribute
// keys everywhere), the redactor (no phone number reaches a log line, whatever package wrote it), repeats (lines that are counted instead of
// written), annotations (what a context is about, for each of its lines), the registry (Go runtime, process and build information).
//
// Callers: internal/app wires them into every process. Secrets such as keys, QR texts and proxy passwords are never handed to a
// logger in the first place; the redactor is the second line, for what a library or an error text carries. It must never decide what a
// failure means: that is internal/fault.
package ops

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

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
