package observe

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const root = "../.."

// metric is one of those that docs/metrics.md lists, which a test of the product keeps true.
type metric struct {
	kind   string
	labels []string
}

var metricRow = regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\|")

// catalogue reads the metrics that exist: the product's, and the few of Prometheus and of the Go runtime.
func catalogue(t *testing.T) map[string]metric {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]metric{
		"up":                            {kind: "gauge"},
		"ALERTS":                        {kind: "gauge", labels: []string{"alertname", "alertstate", "severity"}},
		"go_goroutines":                 {kind: "gauge"},
		"go_memstats_heap_alloc_bytes":  {kind: "gauge"},
		"go_gc_duration_seconds":        {kind: "summary", labels: []string{"quantile"}},
		"process_cpu_seconds_total":     {kind: "counter"},
		"process_resident_memory_bytes": {kind: "gauge"},
		"process_open_fds":              {kind: "gauge"},
		"process_max_fds":               {kind: "gauge"},
		"process_start_time_seconds":    {kind: "gauge"},
	}
	for _, row := range metricRow.FindAllSubmatch(page, -1) {
		var names []string
		for name := range strings.FieldsFuncSeq(string(row[3]), func(r rune) bool { return strings.ContainsRune("`, ", r) }) {
			names = append(names, name)
		}
		found[string(row[1])] = metric{kind: string(row[2]), labels: names}
	}
	if len(found) < 60 {
		t.Fatalf("only %d metrics were found in docs/metrics.md", len(found))
	}
	return found
}

// find gives the metric that a series belongs to: a histogram has three.
func find(all map[string]metric, series string) (found metric, is bool) {
	if found, is = all[series]; is && found.kind != "histogram" {
		return found, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		name, cut := strings.CutSuffix(series, suffix)
		if found, is = all[name]; cut && is && found.kind == "histogram" {
			found.labels = append(slices.Clone(found.labels), "le")
			return found, true
		}
	}
	return metric{}, false
}

// ownLabels are those that Prometheus gives to every series.
var ownLabels = []string{"job", "instance", labels.MetricName}

// judge gives what is wrong with a query: what does not parse, a metric that does not exist, a label that it does not have, or a counter that is
// looked at without a rate.
func judge(t *testing.T, all map[string]metric, query string) []string {
	t.Helper()
	expression, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	known := slices.Clone(ownLabels)
	parser.Inspect(expression, func(node parser.Node, path []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		found, exists := find(all, selector.Name)
		if !exists {
			wrong = append(wrong, "there is no metric "+selector.Name)
			return nil
		}
		known = append(known, found.labels...)
		for _, matcher := range selector.LabelMatchers {
			if !slices.Contains(ownLabels, matcher.Name) && !slices.Contains(found.labels, matcher.Name) {
				wrong = append(wrong, selector.Name+" has no label "+matcher.Name)
			}
		}
		ranged := slices.ContainsFunc(path, func(above parser.Node) bool { _, is := above.(*parser.MatrixSelector); return is })
		if strings.HasSuffix(selector.Name, "_total") && !ranged {
			wrong = append(wrong, selector.Name+" is a counter: it needs a rate or an increase")
		}
		return nil
	})
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if aggregation, is := node.(*parser.AggregateExpr); is {
			for _, label := range aggregation.Grouping {
				if !slices.Contains(known, label) {
					wrong = append(wrong, "nothing in it has the label "+label)
				}
			}
		}
		return nil
	})
	return wrong
}

// TestABadQueryIsSeen proves the judge of the other tests.
func TestABadQueryIsSeen(t *testing.T) {
	t.Parallel()
	all := catalogue(t)
	for query, want := range map[string]string{
		`sum(rate(wa_send_duration_seconds_count{class="ok"}[5m]))`:                 "",
		`histogram_quantile(0.9, sum by (le) (rate(pace_wait_seconds_bucket[5m])))`: "",
		`sum(rate(wa_sends_count[5m]))`:                                             "there is no metric wa_sends_count",
		`pace_wait_seconds`:                                                         "there is no metric pace_wait_seconds",
		`sessions{status="ready"}`:                                                  "sessions has no label status",
		`sum by (user) (sessions)`:                                                  "nothing in it has the label user",
		`links_total`:                                                               "links_total is a counter: it needs a rate or an increase",
		`sum(sessions`:                                                              "1:13: parse error: unclosed left parenthesis",
	} {
		if got := strings.Join(judge(t, all, query), "; "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// readAll reads the files of a folder whose names end so, by name.
func readAll(t *testing.T, folder, suffix string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, entry := range entries {
		if name, is := strings.CutSuffix(entry.Name(), suffix); is {
			content, err := os.ReadFile(filepath.Join(root, folder, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			found[name] = bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
		}
	}
	return found
}
