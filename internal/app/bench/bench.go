// Package bench measures the product beside yardsticks that do the least that could be done: a bare whatsmeow client, bare JetStream, a bare HTTP
// handler, a bare query. Both sides of a comparison run in this process, in one run, in turn, for several rounds, so that a slow or busy machine slows
// both, and the ratio of their numbers says what the product costs.
//
// Nouns: workload (one of the seven things that are measured), comparison (a product and its yardsticks, round by round), Row (one number of it,
// with its promise, if it has one), Report (all rows, as printed and as the JSON line).
//
// Callers: `broadcaster bench`, and the Go benchmarks beside it, which run the same workloads. It starts the product as any program does and speaks
// to it through its HTTP API; it must never reach inside to make a number better, nor set it up otherwise than it runs.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Options say what is measured and how it is shown.
type Options struct {
	// Quick takes small sizes and few rounds, and ends within a minute.
	Quick bool
	// Only are the names of the workloads to run; none: all of them.
	Only []string
	// JSON prints the report as one JSON object on the last line.
	JSON bool
	// Out takes what a person reads.
	Out io.Writer

	// sizes replace those of Quick, for tests.
	sizes *sizes
}

// workload is one of the things that are measured. It works in a folder of its own.
type workload struct {
	name, what string
	run        func(ctx context.Context, s sizes, directory string) ([]Row, error)
}

// The memory of a session is measured first, in a process that has done nothing else yet.
var workloads = []workload{
	{"idle", "memory and goroutines of an idle session, against a bare whatsmeow client", idleSessions},
	{"send", "messages of campaigns, against a bare whatsmeow loop", sendRate},
	{"latency", "from the API's 202 to the worker's start, against bare JetStream", jobLatency},
	{"planning", "writing the plan of an audience, against reading it and writing the rows", planning},
	{"link", "from the command to ready, against a bare whatsmeow pairing", linking},
	{"api", "requests of the API, against a bare handler on the same row", apiRate},
	{"pages", "pages of a list, against a bare keyset query", listPages},
}

// Names lists the workloads.
func Names() []string {
	names := make([]string, len(workloads))
	for i, w := range workloads {
		names[i] = w.name
	}
	return names
}

// Result is what a workload gave: its first row, and all of them.
type Result struct {
	Row

	Seconds float64 `json:"seconds"`
	Rows    []Row   `json:"rows"`
}

// Report is the whole run. Its JSON has one field for each workload that ran, with a Result.
type Report struct {
	Results map[string]Result
	Cores   int
	Go      string
	Quick   bool
	Seconds float64
}

// MarshalJSON implements json.Marshaler.
func (r Report) MarshalJSON() ([]byte, error) {
	fields := map[string]any{"cores": r.Cores, "go": r.Go, "quick": r.Quick, "seconds": r.Seconds}
	for name, result := range r.Results {
		fields[name] = result
	}
	return json.Marshal(fields)
}

// Broken lists the rows whose promise does not hold, as "workload row".
func (r Report) Broken() []string {
	var broken []string
	for _, w := range workloads {
		for _, row := range r.Results[w.name].Rows {
			if row.Held != nil && !*row.Held {
				broken = append(broken, fmt.Sprintf("%s %s is not %s (%s)", w.name, row.Name, row.Promise, row.Against))
			}
		}
	}
	return broken
}

// Run runs the workloads and gives their numbers.
func Run(ctx context.Context, options Options) (Report, error) {
	for _, name := range options.Only {
		if !slices.Contains(Names(), name) {
			return Report{}, fmt.Errorf("there is no workload %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	s := fullSizes()
	if options.Quick {
		s = quickSizes()
	}
	if options.sizes != nil {
		s = *options.sizes
	}
	directory, err := os.MkdirTemp("", "broadcaster-bench-")
	if err != nil {
		return Report{}, fmt.Errorf("make the benchmark's folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(directory) }()
	report := Report{Results: map[string]Result{}, Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(), Quick: options.Quick}
	began := time.Now()
	fmt.Fprintf(options.Out, "%d cores, %s; each number is the median of its rounds, and the spread is that of the rounds' ratios\n", report.Cores, report.Go)
	for _, w := range workloads {
		if len(options.Only) > 0 && !slices.Contains(options.Only, w.name) {
			continue
		}
		result, err := w.measure(ctx, s, filepath.Join(directory, w.name))
		if err != nil {
			return report, fmt.Errorf("measure %s: %w", w.name, err)
		}
		report.Results[w.name] = result
		result.write(options.Out, w)
	}
	report.Seconds = time.Since(began).Seconds()
	return report, report.finish(options)
}

// measure runs a workload in a process that has given back what it does not need.
func (w workload) measure(ctx context.Context, s sizes, directory string) (Result, error) {
	debug.FreeOSMemory()
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return Result{}, fmt.Errorf("make its folder: %w", err)
	}
	began := time.Now()
	rows, err := w.run(ctx, s, directory)
	if err != nil {
		return Result{}, err
	}
	_ = os.RemoveAll(directory) // the whole benchmark's folder is removed at the end
	return Result{Row: rows[0], Rows: rows, Seconds: time.Since(began).Seconds()}, nil
}

func (r Result) write(out io.Writer, w workload) {
	fmt.Fprintf(out, "\n%s: %s (%.1f s)\n", w.name, w.what, r.Seconds)
	fmt.Fprintf(out, "  %-28s %-16s %12s %12s %7s %7s  %s\n", "", "against", "product", "yardstick", "ratio", "spread", "")
	for _, row := range r.Rows {
		verdict := row.Promise
		if row.Held != nil && !*row.Held {
			verdict = "NOT " + verdict
		}
		fmt.Fprintf(out, "  %-28s %-16s %12.4g %12.4g %7.2f %7.2f  %s, %d rounds; %s\n", row.Name, row.Against, row.Product, row.Yardstick, row.Ratio, row.Spread,
			row.Unit, row.Rounds, verdict)
	}
}

// finish says which promises do not hold, and prints the JSON line.
func (r Report) finish(options Options) error {
	fmt.Fprintf(options.Out, "\n%.1f s\n", r.Seconds)
	for _, broken := range r.Broken() {
		fmt.Fprintf(options.Out, "does not hold: %s\n", broken)
	}
	if !options.JSON {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	fmt.Fprintf(options.Out, "%s\n", line)
	return nil
}
