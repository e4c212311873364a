package ops

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TracingOptions say where spans go.
type TracingOptions struct {
	// Endpoint is the base address of an OTLP receiver over HTTP, such as "http://collector:4318"; empty: nobody traces.
	Endpoint string
	// Headers go with each export, such as the receiver's key.
	Headers map[string]string
	// Ratio is the share of traces that begin here and are kept, from 0 to 1. Those that a caller began are kept when the caller says so.
	Ratio float64
	// Service and Worker name the process in its spans.
	Service, Worker string
}

// Tracing sends the spans of a process to a receiver. Without one it makes no spans; requests get an id all the same, by which the log lines of all
// processes can be found together.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// exportTimeout bounds one export, closeTimeout the last one of a process.
const (
	exportTimeout = 10 * time.Second
	closeTimeout  = 3 * time.Second
)

// NewTracing makes a Tracing. It reaches for no server: spans are sent in the background, and lost when the receiver is.
func NewTracing(ctx context.Context, options TracingOptions) (*Tracing, error) {
	if options.Endpoint == "" {
		return &Tracing{}, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(options.Endpoint+"/v1/traces"),
		otlptracehttp.WithHeaders(options.Headers), otlptracehttp.WithTimeout(exportTimeout))
	if err != nil {
		return nil, fmt.Errorf("open the receiver of traces: %w", err)
	}
	described := resource.NewSchemaless(attribute.String("service.name", options.Service), attribute.String("service.version", Version()),
		attribute.String("service.instance.id", options.Worker))
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(described),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(options.Ratio))))
	return &Tracing{provider: provider, tracer: provider.Tracer("github.com/dannsalud/broadcaster")}, nil
}

// Tracer makes spans; nil when nobody traces.
func (t *Tracing) Tracer() trace.Tracer { return t.tracer }

// Close sends what is left.
func (t *Tracing) Close() error {
	if t.provider == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// Handler traces requests under their route templates, never under their paths: a path may hold a number. What a request does belongs to the trace that
// its traceparent header names, or to a new one.
func (t *Tracing) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		if t.tracer == nil {
			next.ServeHTTP(w, r.WithContext(identified(ctx)))
			return
		}
		ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		next.ServeHTTP(recorder, r)
		if r.Pattern != "" { // the router's own, with the method in front
			span.SetName(r.Pattern)
		}
		span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.response.status_code", strconv.Itoa(recorder.status)))
		if recorder.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(recorder.status))
		}
	})
}

// identified gives a context with ids of a trace that nobody keeps, unless it has some.
func identified(ctx context.Context) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	var ids trace.SpanContextConfig
	_, _ = rand.Read(ids.TraceID[:]) // it never fails (crypto/rand)
	_, _ = rand.Read(ids.SpanID[:])
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(ids))
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the real writer.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
