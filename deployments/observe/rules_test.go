package observe

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// alerts reads the rules as Prometheus does.
func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, problems := rulefmt.ParseFile(filepath.Join(root, "deployments/prometheus/rules.yml"), false, model.UTF8Validation, parser.NewParser(parser.Options{}),
		slog.New(slog.DiscardHandler))
	for _, problem := range problems {
		t.Error(problem)
	}
	var found []rulefmt.Rule
	for _, group := range groups.Groups {
		found = append(found, group.Rules...)
	}
	if len(found) == 0 {
		t.Fatal("there are no rules")
	}
	return found
}

// TestRulesAreAboutMetricsThatExist also asks what else an alert must have.
func TestRulesAreAboutMetricsThatExist(t *testing.T) {
	t.Parallel()
	all := catalogue(t)
	seen := map[string]bool{}
	for _, rule := range alerts(t) {
		for _, wrong := range judge(t, all, rule.Expr) {
			t.Errorf("%s: %s", rule.Alert, wrong)
		}
		if seen[rule.Alert] {
			t.Errorf("there are two rules %s", rule.Alert)
		}
		seen[rule.Alert] = true
		if !slices.Contains([]string{"info", "warning", "critical"}, rule.Labels["severity"]) {
			t.Errorf("%s has the severity %q", rule.Alert, rule.Labels["severity"])
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s does not say what it means", rule.Alert)
		}
		if want := "https://github.com/dannsalud/broadcaster/blob/main/docs/runbooks/" + rule.Alert + ".md"; rule.Annotations["runbook_url"] != want {
			t.Errorf("%s links to %s, not to %s", rule.Alert, rule.Annotations["runbook_url"], want)
		}
	}
}

// noticed are the runbooks of what a person notices, and no alert.
var noticed = []string{"KeyExpires", "KeyLeaked"}

// TestEachAlertHasItsRunbook, each runbook its alert, its present query and something to do, and the index all of them.
func TestEachAlertHasItsRunbook(t *testing.T) {
	t.Parallel()
	pages := readAll(t, "docs/runbooks", ".md")
	index := string(pages["README"])
	delete(pages, "README")
	for _, rule := range alerts(t) {
		page, exists := pages[rule.Alert]
		delete(pages, rule.Alert)
		text := string(page)
		switch {
		case !exists:
			t.Errorf("%s has no runbook", rule.Alert)
		case !strings.HasPrefix(text, "# "+rule.Alert+"\n") || !strings.Contains(text, "\n## Do\n\n1. "):
			t.Errorf("the runbook of %s does not begin with its name, or does not say what to do", rule.Alert)
		case !strings.Contains(text, "```promql\n"+rule.Expr+"\n```"):
			t.Errorf("the runbook of %s shows another query than the rule's", rule.Alert)
		case !strings.Contains(text, "Severity: "+rule.Labels["severity"]+"."):
			t.Errorf("the runbook of %s names another severity than %s", rule.Alert, rule.Labels["severity"])
		case !strings.Contains(index, "]("+rule.Alert+".md)"):
			t.Errorf("the index of the runbooks does not have %s", rule.Alert)
		}
	}
	for _, name := range noticed {
		if text := string(pages[name]); !strings.HasPrefix(text, "# "+name+"\n") || !strings.Contains(text, "\n## Do\n\n1. ") || !strings.Contains(index, "]("+name+".md)") {
			t.Errorf("the runbook %s does not begin with its name, does not say what to do, or is not in the index", name)
		}
		delete(pages, name)
	}
	for name := range pages {
		t.Errorf("the runbook %s has no alert", name)
	}
}

// TestEachAlertIsProved: rules_test.yml, which promtool runs, has a case in which it fires and one in which it does not.
func TestEachAlertIsProved(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "deployments/prometheus/rules_test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, alert := range test.Alerts {
			fires[alert.Name] = fires[alert.Name] || len(alert.Expected) > 0
			quiet[alert.Name] = quiet[alert.Name] || len(alert.Expected) == 0
		}
	}
	for _, rule := range alerts(t) {
		if !fires[rule.Alert] || !quiet[rule.Alert] {
			t.Errorf("%s: proved to fire: %v, proved to be quiet: %v", rule.Alert, fires[rule.Alert], quiet[rule.Alert])
		}
	}
}
