package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// probeTimeout bounds one readiness check, so that /readyz answers before an orchestrator gives up on it.
const probeTimeout = 2 * time.Second

// healthz says that the process runs and answers; it asks nothing else, so that a broken database does not restart the process.
func (a *API) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz asks each named check, all at once, and answers 503 with what is missing until all of them hold.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	answers := make([]string, len(a.options.Checks))
	var group errgroup.Group
	for i, check := range a.options.Checks {
		group.Go(func() error {
			answers[i] = "ok"
			err := check.Probe(ctx)
			if err != nil {
				answers[i] = "unavailable"
				a.options.Log.LogAttrs(ctx, logLevelReadiness, "not ready", logDoing(check.Name), logError(err))
			}
			return err
		})
	}
	status, word := http.StatusOK, "ready"
	if group.Wait() != nil {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	checks := make(map[string]string, len(answers))
	for i, check := range a.options.Checks {
		checks[check.Name] = answers[i]
	}
	writeJSON(w, status, map[string]any{"status": word, "checks": checks})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left cannot be told
}
