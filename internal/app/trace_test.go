package app_test

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/ops"
	"github.com/dannsalud/broadcaster/wasim"
)

// receiver is an OTLP receiver over HTTP.
type receiver struct {
	*httptest.Server

	mu    sync.Mutex
	spans []*traces.Span
	// unexpected is what was sent that is not what a receiver takes.
	unexpected []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		// The request of the collector's service has the shape of this message.
		var sent traces.TracesData
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil || request.URL.Path != "/v1/traces" || request.Header.Get("Api-Key") != "of the receiver" || proto.Unmarshal(body, &sent) != nil {
			r.unexpected = append(r.unexpected, request.URL.Path)
		}
		for _, resource := range sent.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// named gives the spans of a name.
func (r *receiver) named(name string) (spans []*traces.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, span := range r.spans {
		if span.GetName() == name {
			spans = append(spans, span)
		}
	}
	return spans
}

// TestATraceGoesFromTheRequestThroughTheQueueToTheSend follows the parents of each send up to the HTTP request.
func TestATraceGoesFromTheRequestThroughTheQueueToTheSend(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t)
	w := startWith(t, func(options *app.Options, _ *wasim.Server) {
		options.Traces = ops.TracingOptions{Endpoint: receiver.URL, Headers: map[string]string{"api-key": "of the receiver"}, Ratio: 1}
	})
	linked, phone := w.link(1)
	created := w.send(linked.ID, 3)
	w.awaitCampaign(created.ID, "completed")
	w.await("three sends and their job are traced", func(context.Context) (bool, error) {
		return len(receiver.named("send")) == 3 && len(receiver.named("handle run_campaign")) > 0 && len(receiver.named("POST /v1/campaigns/upload")) > 0, nil
	})
	root := receiver.named("POST /v1/campaigns/upload")[0]
	for _, span := range receiver.named("send") {
		if hex.EncodeToString(span.GetTraceId()) != hex.EncodeToString(root.GetTraceId()) {
			t.Errorf("a send is in trace %x, the request in %x", span.GetTraceId(), root.GetTraceId())
		}
		want := []string{"send", "request send", "handle run_campaign", "publish run_campaign", "POST /v1/campaigns/upload"}
		if way := receiver.way(span); !slices.Equal(way, want) {
			t.Errorf("a send came by %v, want %v", way, want)
		}
	}
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	if len(receiver.unexpected) > 0 {
		t.Errorf("the receiver got what it does not take: %v", receiver.unexpected)
	}
	for _, span := range receiver.spans {
		if text := span.String(); ops.Redact(stripIDs(text)) != stripIDs(text) || strings.Contains(text, strings.TrimPrefix(phone.Number(), "+")) {
			t.Errorf("a number is in the span %s", text)
		}
	}
}

// way names a span and those above it.
func (r *receiver) way(span *traces.Span) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for span != nil {
		names = append(names, span.GetName())
		i := slices.IndexFunc(r.spans, func(other *traces.Span) bool { return string(other.GetSpanId()) == string(span.GetParentSpanId()) })
		if i < 0 {
			break
		}
		span = r.spans[i]
	}
	return names
}

// numeric are the fields of a span that are numbers by their nature, and our own ids.
var numeric = regexp.MustCompile(`(start|end)_time_unix_nano:\d+|(trace|parent_span|span)_id:"(\\.|[^"\\])*"|"(ses|cmp|lnk)_[^"]*"|"3EB0[0-9A-F]+"`)

func stripIDs(text string) string { return numeric.ReplaceAllString(text, "") }

// TestNobodyTracesUnlessTold: without a receiver there are ids for the log, and no spans.
func TestNobodyTracesUnlessTold(t *testing.T) {
	t.Parallel()
	tracing, err := ops.NewTracing(t.Context(), ops.TracingOptions{})
	if err != nil || tracing.Tracer() != nil || tracing.Close() != nil {
		t.Errorf("a tracer without a receiver: %v", err)
	}
}
