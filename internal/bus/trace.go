package bus

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
)

// headerTrace is the W3C Trace Context header (https://www.w3.org/TR/trace-context/), carried from the API's request through a command to
// the facts that come of it.
const headerTrace = "traceparent"

type traceKey struct{}

// WithTraceparent gives a context whose commands, facts and requests carry this traceparent header. Handlers get theirs from the message.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	return context.WithValue(ctx, traceKey{}, traceparent)
}

// Traceparent gives the traceparent header of a context; empty when it has none.
func Traceparent(ctx context.Context) string {
	traceparent, _ := ctx.Value(traceKey{}).(string)
	return traceparent
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
