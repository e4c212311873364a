package app_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/store/mongo"
	"github.com/dannsalud/broadcaster/wasim"
)

const metricsPage = "../../docs/metrics.md"

// exposedBy says which services register what, by the file that registers it or by its package.
var exposedBy = map[string]string{
	"internal/api":              "api",
	"internal/app/measure.go":   "all",
	"internal/bus":              "all",
	"internal/bus/collector.go": "api",
	"internal/bus/worker.go":    "linker, sender",
	"internal/lease":            "linker, sender",
	"internal/linker":           "linker",
	"internal/ops":              "all",
	"internal/pace":             "all",
	"internal/sender":           "sender",
	"internal/store/mongo":      "all",
	"internal/store/sqlite":     "all in one process",
	"internal/wa":               "linker, sender",
	"internal/webhook":          "sender",
}

// measured is one metric as its descriptor says.
type measured struct{ name, kind, labels, services, help string }

// catalogue takes what is registered.
type catalogue struct {
	t *testing.T

	mu      sync.Mutex
	metrics map[string]measured
}

// Register implements prometheus.Registerer for a part that is not run.
func (c *catalogue) Register(collector prometheus.Collector) error {
	c.see(collector)
	return nil
}

// MustRegister implements prometheus.Registerer.
func (c *catalogue) MustRegister(collectors ...prometheus.Collector) {
	for _, collector := range collectors {
		c.see(collector)
	}
}

// Unregister implements prometheus.Registerer.
func (c *catalogue) Unregister(prometheus.Collector) bool { return false }

func (c *catalogue) see(collector prometheus.Collector) {
	descriptors := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptors)
		collector.Describe(descriptors)
	}()
	services := registrar(c.t)
	c.mu.Lock()
	defer c.mu.Unlock()
	for descriptor := range descriptors {
		found := read(c.t, descriptor)
		found.kind, found.services = kindOf(collector), services
		if strings.HasPrefix(found.name, "disk_") {
			found.services = "api"
		}
		c.metrics[found.name] = found
	}
}

// registrar finds the services of the code that is registering something.
func registrar(t *testing.T) string {
	const here = "/internal/app/measure.go"
	callers := make([]uintptr, 40)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for {
		frame, more := frames.Next()
		_, path, ours := strings.Cut(frame.File, "/internal/")
		test := strings.HasSuffix(path, "_test.go")
		if ours && !test && !(strings.HasSuffix(frame.File, here) && strings.HasSuffix(frame.Function, ".Register")) {
			path = "internal/" + path
			services := cmp.Or(exposedBy[path], exposedBy[path[:strings.LastIndexByte(path, '/')]])
			if services == "" {
				t.Errorf("%s registers metrics, and the table of this test does not say of which service", path)
			}
			return services
		}
		if !more {
			t.Error("something registers metrics from nowhere")
			return ""
		}
	}
}

func kindOf(collector prometheus.Collector) string {
	switch collector.(type) {
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	case prometheus.Gauge, *prometheus.GaugeVec: // before the counter, whose methods a gauge has too
		return "gauge"
	case prometheus.Counter, *prometheus.CounterVec:
		return "counter"
	}
	if kind := fmt.Sprintf("%T", collector); strings.Contains(kind, "Handler") {
		return "histogram"
	}
	return "gauge"
}

// descriptor is how the library writes one down, which is the only way to read it.
var descriptor = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), (?:unit: "[^"]*", )?constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}`)

func read(t *testing.T, described *prometheus.Desc) measured {
	parts := descriptor.FindStringSubmatch(described.String())
	if parts == nil {
		t.Errorf("cannot read %s", described)
		return measured{}
	}
	name, nameErr := strconv.Unquote(parts[1])
	help, helpErr := strconv.Unquote(parts[2])
	if nameErr != nil || helpErr != nil {
		t.Errorf("cannot read %s", described)
	}
	var labels []string
	for pair := range strings.SplitSeq(parts[3]+","+parts[4], ",") {
		if label, _, _ := strings.Cut(pair, "="); label != "" {
			labels = append(labels, label)
		}
	}
	slices.Sort(labels)
	return measured{name: name, labels: strings.Join(labels, ", "), help: help}
}

// TestTheMetricsPageIsTrue: docs/metrics.md is made of the descriptors that the services register. UPDATE_GOLDEN=1 writes it anew.
func TestTheMetricsPageIsTrue(t *testing.T) {
	t.Parallel()
	seen := &catalogue{t: t, metrics: map[string]measured{}}
	startWith(t, func(options *app.Options, _ *wasim.Server) { options.SeeCollector = seen.see })
	database, err := mongo.New(mongo.Options{URI: "mongodb://127.0.0.1:1/", Registerer: seen}) // the one-process product has another database
	if err == nil {
		err = database.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	seen.metrics["broadcaster_build_info"] = measured{"broadcaster_build_info", "gauge", "goversion, revision, version", "all", "Always 1; the labels say which build this process is."}
	page := metricsMarkdown(seen.metrics)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(metricsPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != page {
		t.Errorf("docs/metrics.md is not what the services register; run `make update-golden` and read the difference")
	}
	for name, metric := range seen.metrics {
		for _, forbidden := range []string{"user", "phone", "jid", "campaign", "delivery", "job", "instance"} {
			if slices.Contains(strings.Split(metric.labels, ", "), forbidden) {
				t.Errorf("%s has the label %s, which has no bound or is Prometheus's own", name, forbidden)
			}
		}
	}
}

func metricsMarkdown(metrics map[string]measured) string {
	var page strings.Builder
	page.WriteString(`# Metrics

Each service shows its metrics at ` + "`/metrics`" + `: the API on its own port, linkers and senders at ` + "`METRICS_LISTEN`" + `. The one-process
product shows those of all three. Histograms are both classic and native, but for Watermill's. A label never holds a phone number, a user or
a WhatsApp id; a session is one only where an egress's cap bounds how many there are.

What tells of the whole fleet (` + "`sessions`, `campaigns`, `queue_*`" + `) is the same in every process that has it: take the greatest, not the sum.
Every service also has the Go runtime's ` + "`go_*` and `process_*`" + `. This page is made from what the services register; a test keeps it true.

`)
	for _, group := range []struct{ services, title string }{{"all", "Every service"}, {"api", "API"}, {"linker", "Linker"},
		{"linker, sender", "Linker and sender"}, {"sender", "Sender"}, {"all in one process", "The one-process product"}} {
		fmt.Fprintf(&page, "## %s\n\n| metric | type | labels | what it tells |\n|---|---|---|---|\n", group.title)
		for _, name := range slices.Sorted(maps.Keys(metrics)) {
			if m := metrics[name]; m.services == group.services {
				labels := ""
				if m.labels != "" {
					labels = "`" + strings.ReplaceAll(m.labels, ", ", "`, `") + "`"
				}
				fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, strings.ReplaceAll(m.help, "|", `\|`))
			}
		}
		page.WriteString("\n")
	}
	return strings.TrimRight(page.String(), "\n") + "\n"
}
