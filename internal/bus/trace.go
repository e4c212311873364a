package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/dannsalud/broadcaster/internal/fault"
)

// headerTrace is the W3C Trace Context header (https://www.w3.org/TR/trace-context/), carried from the API's request through a command to
// the facts that come of it.
const headerTrace = "traceparent"

// WithTraceparent gives a context whose commands, facts and requests belong to the trace of this traceparent header. Handlers get theirs from the
// message. What is no traceparent changes nothing.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{headerTrace: traceparent})
}

// Traceparent gives the traceparent header of a context; empty when it has none.
func Traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[headerTrace]
}

// newTraceparent starts a trace, so that a command and what comes of it can be found together even when nobody traces.
func newTraceparent() string {
	var ids [24]byte
	_, _ = rand.Read(ids[:]) // It never fails (crypto/rand).
	return fmt.Sprintf("00-%x-%x-00", ids[:16], ids[16:])
}

// traceID gives the trace id inside a traceparent; empty when it is not one.
func traceID(traceparent string) string {
	if parts := strings.Split(traceparent, "-"); len(parts) >= 4 && len(parts[1]) == 32 {
		return parts[1]
	}
	return ""
}

// span begins a span, which the function that it returns ends with the outcome. Nobody traces: it does nothing. A span holds our own ids and the
// class of an error, never its text, which may name a person.
func (b *Bus) span(ctx context.Context, name string, kind trace.SpanKind, about []slog.Attr) (context.Context, func(error)) {
	if b.options.Tracer == nil {
		return ctx, func(error) {}
	}
	ctx, span := b.options.Tracer.Start(ctx, name, trace.WithSpanKind(kind))
	if span.IsRecording() {
		for _, attr := range about {
			span.SetAttributes(attribute.String("broadcaster."+attr.Key, attr.Value.String()))
		}
	}
	return ctx, func(err error) {
		if err != nil {
			failure := fault.As(err)
			span.SetAttributes(attribute.String("broadcaster.class", failure.Class.Label()), attribute.String("broadcaster.code", failure.Code))
			span.SetStatus(codes.Error, failure.Class.Label())
		}
		span.End()
	}
}

// spanWithin is span for what belongs to a trace already. Facts that nobody asked for, such as receipts, would each be a trace of its own.
func (b *Bus) spanWithin(ctx context.Context, name string, kind trace.SpanKind, about []slog.Attr) (context.Context, func(error)) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, func(error) {}
	}
	return b.span(ctx, name, kind, about)
}
