package observe

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const seriesFile = "deployments/prometheus/series.txt"

const seriesHead = `# What the alert rules and the dashboards select, one selector a line. It is made from them by "make update-golden", and a test keeps it true.
# "make e2e" asks a real Prometheus whether each of them has series.
`

// selectors gives what the queries select, without the choices that a person makes on a dashboard.
func selectors(t *testing.T, queries []string) []string {
	t.Helper()
	found := map[string]bool{}
	for _, query := range queries {
		expression, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(query, "$__rate_interval", "5m"))
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
			if selector, is := node.(*parser.VectorSelector); is {
				matchers := slices.DeleteFunc(slices.Clone(selector.LabelMatchers), func(m *labels.Matcher) bool { return strings.HasPrefix(m.Value, "$") })
				found[(&parser.VectorSelector{Name: selector.Name, LabelMatchers: matchers}).String()] = true
			}
			return nil
		})
	}
	return slices.Sorted(maps.Keys(found))
}

// TestTheSeriesAreListed: the list that the end-to-end run reads is that of the rules and the dashboards.
func TestTheSeriesAreListed(t *testing.T) {
	t.Parallel()
	var queries []string
	for _, rule := range alerts(t) {
		queries = append(queries, rule.Expr)
	}
	for _, one := range dashboards(t) {
		for _, panel := range one.Panels {
			for _, target := range panel.Targets {
				queries = append(queries, target.Expr)
			}
		}
	}
	want := seriesHead + strings.Join(selectors(t, queries), "\n") + "\n"
	path := filepath.Join(root, seriesFile)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the rules and the dashboards select: run make update-golden, and read the difference", seriesFile)
	}
}

// TestSelectorsLeaveChoicesOut proves how the list is made.
func TestSelectorsLeaveChoicesOut(t *testing.T) {
	t.Parallel()
	got := selectors(t, []string{`sum(rate(links_total{job="$job"}[$__rate_interval])) / up{job="api"} offset 5m`, `links_total`})
	if want := []string{"links_total", `up{job="api"}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
