package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
)

// Check is one named part that a process needs to serve: the broker, the database. Probe returns why it does not.
type Check struct {
	Name  string
	Probe func(ctx context.Context) error
}

// Pages are what an orchestrator and Prometheus ask of every process: /healthz (it runs and answers; nothing else is asked, so that a
// broken database does not restart it), /readyz (503 with what is missing until every check holds) and /metrics.
type Pages struct {
	// Checks are asked all at once.
	Checks []Check
	// Gatherer gives the metrics; nil: there is no such page.
	Gatherer prometheus.Gatherer
	// Log takes what is missing; nil: it is dropped.
	Log *slog.Logger
}

// Mount adds the pages to a mux.
func (p Pages) Mount(mux *http.ServeMux) {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", p.readyz)
	if p.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(p.Gatherer, promhttp.HandlerOpts{}))
	}
}

// probeTimeout bounds one readiness check, so that /readyz answers before an orchestrator gives up on it.
const probeTimeout = 2 * time.Second

func (p Pages) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	answers := make([]string, len(p.Checks))
	var group errgroup.Group
	for i, check := range p.Checks {
		group.Go(func() error {
			answers[i] = "ok"
			err := check.Probe(ctx)
			if err != nil {
				answers[i] = "unavailable"
				p.Log.WarnContext(ctx, "not ready", "doing", check.Name, "error", err)
			}
			return err
		})
	}
	status, word := http.StatusOK, "ready"
	if group.Wait() != nil {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	checks := make(map[string]string, len(answers))
	for i, check := range p.Checks {
		checks[check.Name] = answers[i]
	}
	writeJSON(w, status, map[string]any{"status": word, "checks": checks})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left cannot be told
}

// maxAnswer bounds what ProbeReady repeats of an answer.
const maxAnswer = 4 << 10

// ProbeReady asks a process at an address such as "127.0.0.1:8080" whether it is ready; the error says what is missing. It is what an image
// without a shell runs as its health check.
func ProbeReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask %s whether it is ready: %w", address, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s whether it is ready: %w", address, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", address, err)
	}
	return fmt.Errorf("%s is not ready: %s", address, body)
}
