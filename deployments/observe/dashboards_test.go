package observe

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// dashboard is what this test reads of one.
type dashboard struct {
	UID           string `json:"uid"`
	Title         string `json:"title"`
	SchemaVersion int    `json:"schemaVersion"`
	Panels        []struct {
		ID         int    `json:"id"`
		Type       string `json:"type"`
		Title      string `json:"title"`
		Datasource struct {
			Type string `json:"type"`
			UID  string `json:"uid"`
		} `json:"datasource"`
		Grid struct {
			X int `json:"x"`
			Y int `json:"y"`
			W int `json:"w"`
			H int `json:"h"`
		} `json:"gridPos"`
		Targets []struct {
			RefID string `json:"refId"`
			Expr  string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
	Templating struct {
		List []struct {
			Name    string `json:"name"`
			Current struct {
				Value string `json:"value"`
			} `json:"current"`
		} `json:"list"`
	} `json:"templating"`
}

// query gives a panel's query as Grafana would ask it.
func (d dashboard) query(expression string) string {
	replace := []string{"$__rate_interval", "5m"}
	for _, variable := range d.Templating.List {
		replace = append(replace, "$"+variable.Name, variable.Current.Value)
	}
	return strings.NewReplacer(replace...).Replace(expression)
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	found := map[string]dashboard{}
	for name, content := range readAll(t, "deployments/grafana/dashboards", ".json") {
		var one dashboard
		if err := json.Unmarshal(content, &one); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		found[name] = one
	}
	return found
}

// dataSource is the uid under which Grafana is provisioned with the stack's own Prometheus.
func dataSource(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "deployments/grafana/provisioning/datasources/prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Sources []struct{ UID string } `yaml:"datasources"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil || len(file.Sources) != 1 {
		t.Fatalf("%+v: %v", file, err)
	}
	return file.Sources[0].UID
}

// TestDashboardsAreAboutMetricsThatExist, and can be shown: each panel has its place, its title, the data source and a query.
func TestDashboardsAreAboutMetricsThatExist(t *testing.T) {
	t.Parallel()
	all, source, found := catalogue(t), dataSource(t), dashboards(t)
	if names := slices.Sorted(maps.Keys(found)); !slices.Equal(names, []string{"campaigns", "overview", "queues", "service", "sessions"}) {
		t.Errorf("the dashboards are %v", names)
	}
	uids := map[string]bool{}
	for name, one := range found {
		if one.UID == "" || uids[one.UID] || one.Title == "" || one.SchemaVersion < 39 {
			t.Errorf("%s has the uid %q, the title %q and the schema %d", name, one.UID, one.Title, one.SchemaVersion)
		}
		uids[one.UID] = true
		taken := map[[2]int]int{}
		for _, panel := range one.Panels {
			for x := panel.Grid.X; x < panel.Grid.X+panel.Grid.W; x++ {
				for y := panel.Grid.Y; y < panel.Grid.Y+panel.Grid.H; y++ {
					if other, is := taken[[2]int{x, y}]; is || x >= 24 {
						t.Errorf("%s: the panels %d and %d are in one place, or over the edge", name, other, panel.ID)
					}
					taken[[2]int{x, y}] = panel.ID
				}
			}
			if panel.Title == "" || panel.Type != "row" && (len(panel.Targets) == 0 || panel.Datasource.Type != "prometheus" || panel.Datasource.UID != source) {
				t.Errorf("%s: the panel %d %q has no title, no query or another source than %s", name, panel.ID, panel.Title, source)
			}
			for _, target := range panel.Targets {
				for _, wrong := range judge(t, all, one.query(target.Expr)) {
					t.Errorf("%s: %q: %s in %s", name, panel.Title, wrong, target.Expr)
				}
			}
		}
	}
}

// TestEveryMetricIsShown: what is measured is on a dashboard.
func TestEveryMetricIsShown(t *testing.T) {
	t.Parallel()
	all := catalogue(t)
	shown := map[string]bool{}
	for _, one := range dashboards(t) {
		for _, panel := range one.Panels {
			for _, target := range panel.Targets {
				expression, err := parser.NewParser(parser.Options{}).ParseExpr(one.query(target.Expr))
				if err != nil {
					t.Fatal(err)
				}
				parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
					if selector, is := node.(*parser.VectorSelector); is {
						shown[selector.Name] = true
					}
					return nil
				})
			}
		}
	}
	for name, metric := range all {
		series := []string{name}
		if metric.kind == "histogram" {
			series = []string{name + "_bucket", name + "_count", name + "_sum"}
		}
		if !slices.ContainsFunc(series, func(one string) bool { return shown[one] }) {
			t.Errorf("%s is on no dashboard", name)
		}
	}
}

// TestGrafanaFindsTheDashboards: it is provisioned with the folder into which docker-compose.yml puts them.
func TestGrafanaFindsTheDashboards(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "deployments/grafana/provisioning/dashboards/broadcaster.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Version   int `yaml:"apiVersion"`
		Providers []struct {
			Type    string
			Options struct{ Path string }
		}
	}
	if err := yaml.Unmarshal(content, &file); err != nil || file.Version != 1 || len(file.Providers) != 1 || file.Providers[0].Type != "file" {
		t.Fatalf("%+v: %v", file, err)
	}
	compose, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if mount := "./deployments/grafana/dashboards:" + file.Providers[0].Options.Path + ":ro"; !strings.Contains(string(compose), mount) {
		t.Errorf("docker-compose.yml does not mount %s", mount)
	}
}
