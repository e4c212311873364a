package api_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dannsalud/broadcaster/internal/api"
)

func TestTheContractSpeaksOfTheOperationsThatThereAre(t *testing.T) {
	t.Parallel()
	var routed []string
	paths := start(t, nil).call(http.MethodGet, "/openapi.json", nil).body["paths"].(map[string]any)
	for _, item := range paths {
		for _, operation := range item.(map[string]any) {
			routed = append(routed, operation.(map[string]any)["operationId"].(string))
		}
	}
	slices.Sort(routed)
	if diff := cmp.Diff(routed, api.Described()); diff != "" {
		t.Errorf("routes (-) and contract (+) differ:\n%s", diff)
	}
}

// TestEveryErrorHasAClassAndACode: also those that never reach a handler of ours.
func TestEveryErrorHasAClassAndACode(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	f.want(f.call(http.MethodGet, "/v2/sessions", nil), http.StatusNotFound, "no_route")
	f.want(f.call(http.MethodGet, "/", nil), http.StatusNotFound, "no_route")
	wrong := f.call(http.MethodPatch, "/v1/sessions", map[string]string{})
	f.want(wrong, http.StatusMethodNotAllowed, "method_not_allowed")
	if wrong.headers.Get("Allow") != "GET, HEAD, POST" || wrong.body["status"] != 405.0 {
		t.Errorf("allowed %q, body %s", wrong.headers.Get("Allow"), wrong.raw)
	}
	refused := f.call(http.MethodPost, "/v1/sessions", map[string]any{"user_id": 7})
	f.want(refused, http.StatusUnprocessableEntity, "invalid_request")
	if refused.body["class"] != "invalid" || len(refused.body["errors"].([]any)) != 1 {
		t.Errorf("it says %s", refused.raw)
	}
	f.want(f.call(http.MethodPost, "/v1/sessions", nil), http.StatusBadRequest, "malformed_body")
}
