package ops

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// traced gives the trace that a request's handler sees.
func traced(t *testing.T, tracing *Tracing, traceparent string) trace.SpanContext {
	t.Helper()
	var seen trace.SpanContext
	handler := tracing.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = trace.SpanContextFromContext(r.Context()) }))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	request.Header.Set("traceparent", traceparent)
	handler.ServeHTTP(httptest.NewRecorder(), request)
	return seen
}

// TestRequestsHaveATraceWhetherOrNotSomebodyTraces: its id finds the log lines of all processes.
func TestRequestsHaveATraceWhetherOrNotSomebodyTraces(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(receiver.Close)
	for name, options := range map[string]TracingOptions{"off": {}, "on": {Endpoint: receiver.URL, Ratio: 1}, "on, without a share": {Endpoint: receiver.URL}} {
		tracing, err := NewTracing(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		const id = "4bf92f3577b34da6a3ce929d0e0e4736"
		if seen := traced(t, tracing, "00-"+id+"-00f067aa0ba902b7-00"); seen.TraceID().String() != id {
			t.Errorf("%s: the caller's trace became %s", name, seen.TraceID())
		}
		first, second := traced(t, tracing, ""), traced(t, tracing, "nonsense")
		if !first.IsValid() || !second.IsValid() || first.TraceID() == second.TraceID() {
			t.Errorf("%s: the traces are %s and %s", name, first.TraceID(), second.TraceID())
		}
		if first.IsSampled() != (options.Ratio == 1) {
			t.Errorf("%s: kept is %t", name, first.IsSampled())
		}
		_ = tracing.Close() // that receiver takes nothing
	}
}
