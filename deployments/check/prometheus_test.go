package check

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	prometheus "github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/dns"
	"go.yaml.in/yaml/v3"

	"github.com/dannsalud/broadcaster/internal/config"
)

// TestPrometheusAsksEveryService: the file is valid, and each service is asked by its name, at the port where it listens.
func TestPrometheusAsksEveryService(t *testing.T) {
	t.Parallel()
	loaded, err := prometheus.LoadFile(filepath.Join(root, "deployments/prometheus/prometheus.yml"), false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.RuleFiles) != 1 || filepath.Base(loaded.RuleFiles[0]) != "rules.yml" {
		t.Errorf("it loads the rules %v", loaded.RuleFiles)
	}
	for _, rules := range loaded.RuleFiles {
		if _, err := os.Stat(rules); err != nil {
			t.Error(err)
		}
	}
	scrapes, err := loaded.GetScrapeConfigs()
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, scrape := range scrapes {
		for _, discovery := range scrape.ServiceDiscoveryConfigs {
			names, ok := discovery.(*dns.SDConfig)
			if !ok {
				continue
			}
			asked = append(asked, names.Names...)
			if want := port(t, names.Names[0]); names.Port != want || names.Type != "A" || scrape.JobName != names.Names[0] {
				t.Errorf("%s is asked at the port %d by %s records, and listens at %d", names.Names, names.Port, names.Type, want)
			}
		}
	}
	slices.Sort(asked)
	if !slices.Equal(asked, services) {
		t.Errorf("Prometheus asks %v, want %v", asked, services)
	}
}

// port is where a service listens by default, which docker-compose.yml does not change.
func port(t *testing.T, service string) int {
	t.Helper()
	address := ""
	if service == "api" {
		c, err := config.LoadAPI(nil)
		if err != nil {
			t.Fatal(err)
		}
		address = c.Listen
	} else {
		c, err := config.LoadSender(map[string]string{"KEYSTORE_KEY": "production:00"})
		if err != nil {
			t.Fatal(err)
		}
		address = c.MetricsListen
	}
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// TestGrafanaKnowsPrometheus: the one data source is the stack's own Prometheus. Grafana has no parser that others may import.
func TestGrafanaKnowsPrometheus(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(root, "deployments/grafana/provisioning/datasources/prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var provisioned struct {
		Version int `yaml:"apiVersion"`
		Sources []struct {
			Name, Type, URL string
			Default         bool `yaml:"isDefault"`
		} `yaml:"datasources"`
	}
	if err := yaml.Unmarshal(content, &provisioned); err != nil {
		t.Fatal(err)
	}
	if provisioned.Version != 1 || len(provisioned.Sources) != 1 {
		t.Fatalf("got %+v", provisioned)
	}
	if source := provisioned.Sources[0]; source.Type != "prometheus" || source.URL != "http://prometheus:9090" || !source.Default {
		t.Errorf("got %+v", source)
	}
	if _, exists := stack(t).Services["prometheus"]; !exists {
		t.Error("the stack has no service of that name")
	}
}
