package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// findings are names that Prometheus was asked for; nil ones were not asked for, and are "skipped" in JSON.
type findings []string

// MarshalJSON implements json.Marshaler.
func (f findings) MarshalJSON() ([]byte, error) {
	if f == nil {
		return []byte(`"skipped"`), nil
	}
	return json.Marshal([]string(f))
}

// seen is what a Prometheus saw of the fleet.
type seen struct {
	// SeriesMissing are selectors of the rules and the dashboards without any series, but for those whose absence has a reason.
	SeriesMissing findings `json:"series_missing"`
	// AlertsFired are the alerts that fired at any time.
	AlertsFired findings `json:"alerts_fired"`
}

// watcher is a real Prometheus that reads the metrics of the services, with the rules that operators get.
type watcher struct {
	process *process
	address string
	dir     string
	// selectors are what the rules and the dashboards select.
	selectors []string
	// targets has the job of each address that it reads.
	targets map[string]string
	client  http.Client
}

const (
	// scrapeEvery is as short as a scrape may take: one asks the database and the queue, and waits up to three seconds for those that are down.
	scrapeEvery = 4 * time.Second
	// hurry is by how much the alerts' "for" is shorter here than in rules.yml. Nothing else of the rules is changed.
	hurry = 60
	// askPatience bounds one question.
	askPatience = 10 * time.Second
)

const watcherSettings = `global:
  scrape_interval: %[1]s
  scrape_timeout: %[1]s
  evaluation_interval: 1s
rule_files: [rules.yml]
scrape_configs:
  - job_name: services
    file_sd_configs:
      - files: [targets.json]
`

// findPrometheus gives the binary's path, or nothing when nobody named one and none is installed.
func findPrometheus(given options) (string, error) {
	name := given.prometheus
	if name == "" {
		name = "prometheus"
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) && given.prometheus == "" {
		return "", nil
	}
	return path, err
}

// watch starts a Prometheus when there is one. Its folder is one of the fleet's.
func (f *fleet) watch(ctx context.Context, given options) error {
	binary, err := findPrometheus(given)
	if err != nil || binary == "" {
		return err
	}
	addresses, err := freePorts(1)
	if err != nil {
		return err
	}
	w := &watcher{address: addresses[0], dir: filepath.Join(f.dir, "prometheus"), targets: map[string]string{}}
	if err := w.prepare(given.deployments); err != nil {
		return fmt.Errorf("prepare Prometheus: %w", err)
	}
	w.process, err = launch(f.dir, "prometheus", binary, []string{"--config.file=" + filepath.Join(w.dir, "prometheus.yml"),
		"--storage.tsdb.path=" + filepath.Join(w.dir, "data"), "--web.listen-address=" + w.address, "--log.level=warn"}, os.Environ())
	if err != nil {
		return err
	}
	f.keep(w.process)
	f.watcher = w
	return w.process.await(ctx, "ready", func(ctx context.Context) error { return w.get(ctx, "/-/ready", nil, nil) })
}

// prepare writes what Prometheus reads.
func (w *watcher) prepare(deployments string) error {
	list, err := os.ReadFile(filepath.Join(deployments, "prometheus", "series.txt")) //nolint:gosec // a file of the repository
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(list)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			w.selectors = append(w.selectors, line)
		}
	}
	rules, err := os.ReadFile(filepath.Join(deployments, "prometheus", "rules.yml")) //nolint:gosec // a file of the repository
	if err != nil {
		return err
	}
	if rules, err = hurried(rules); err != nil {
		return err
	}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.dir, "rules.yml"), rules, 0o600); err != nil { //nolint:gosec // the folder that newFleet made
		return err
	}
	if err := w.writeTargets(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, "prometheus.yml"), fmt.Appendf(nil, watcherSettings, scrapeEvery), 0o600)
}

var patience = regexp.MustCompile(`(?m)^( +for: )([0-9]+[smh])$`)

// hurried gives the rules with every "for" shorter.
func hurried(rules []byte) ([]byte, error) {
	var wrong error
	changed := patience.ReplaceAllFunc(rules, func(line []byte) []byte {
		parts := patience.FindSubmatch(line)
		duration, err := time.ParseDuration(string(parts[2]))
		wrong = errors.Join(wrong, err)
		return fmt.Appendf(nil, "%s%dms", parts[1], (duration / hurry).Milliseconds())
	})
	return changed, wrong
}

// add makes Prometheus read a service, and drop forget one that was told to end, as the name service of a deployment does.
func (w *watcher) add(job, address string) error {
	w.targets[address] = job
	return w.writeTargets()
}

func (w *watcher) drop(address string) error {
	delete(w.targets, address)
	return w.writeTargets()
}

// writeTargets replaces the list at once, so that Prometheus never reads half of one.
func (w *watcher) writeTargets() error {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for _, address := range slices.Sorted(maps.Keys(w.targets)) {
		groups = append(groups, group{[]string{address}, map[string]string{"job": w.targets[address]}})
	}
	content, err := json.Marshal(groups)
	if err != nil {
		return err
	}
	path := filepath.Join(w.dir, "targets.json")
	if err := os.WriteFile(path+".new", content, 0o600); err != nil { //nolint:gosec // the folder that newFleet made
		return err
	}
	return os.Rename(path+".new", path) //nolint:gosec // the folder that newFleet made
}

// get asks the Prometheus, and reads its answer into out.
func (w *watcher) get(ctx context.Context, path string, values url.Values, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.address+path+"?"+values.Encode(), nil)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	answer, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("read the answer of Prometheus: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("prometheus answered %s with %d: %s", path, answer.StatusCode, content)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(content, out)
}

// query gives the labels of what a query selects now.
func (w *watcher) query(ctx context.Context, query string) ([]map[string]string, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := w.get(ctx, "/api/v1/query", url.Values{"query": {query}}, &answer); err != nil {
		return nil, err
	}
	found := make([]map[string]string, len(answer.Data.Result))
	for i, one := range answer.Data.Result {
		found[i] = one.Metric
	}
	return found, nil
}

// wholeRun is longer than any run.
var wholeRun = strconv.Itoa(int(timeLimit.Minutes())) + "m"

// missing gives the selectors that have had no series in the whole run.
func (w *watcher) missing(ctx context.Context) ([]string, error) {
	var missing []string
	for _, selector := range w.selectors {
		found, err := w.query(ctx, "count(count_over_time("+selector+"["+wholeRun+"]))")
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			missing = append(missing, selector)
		}
	}
	return missing, nil
}

// fired gives the alerts that have fired in the whole run.
func (w *watcher) fired(ctx context.Context) (findings, error) {
	found, err := w.query(ctx, `count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[`+wholeRun+`]))`)
	if err != nil {
		return nil, err
	}
	fired := findings{}
	for _, alert := range found {
		fired = append(fired, alert["alertname"])
	}
	slices.Sort(fired)
	return fired, nil
}
