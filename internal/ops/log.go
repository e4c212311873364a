package ops

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"
)

// Format is how log lines look.
type Format string

// The formats.
const (
	// FormatText is readable on a terminal.
	FormatText Format = "text"
	// FormatJSON is one object a line, for machines.
	FormatJSON Format = "json"
	// FormatAuto is text on a terminal and JSON elsewhere.
	FormatAuto Format = "auto"
)

// DefaultRepeats is how many lines of one kind are written in a second before the rest of them is only counted.
const DefaultRepeats = 20

// LogOptions say how a process logs.
type LogOptions struct {
	Writer io.Writer
	// Format defaults to FormatJSON.
	Format Format
	// Level is the lowest level that is written; a *slog.LevelVar may change while the process runs. Nil: slog.LevelInfo.
	Level slog.Leveler
	// Worker names this process in every line; empty: no such attribute.
	Worker string
	// Repeats is how many lines of one kind are written in a second; zero: DefaultRepeats, negative: all of them.
	Repeats int
}

// NewLogger makes the logger of a process. Every line passes the redactor, bears what its context is about (see Annotate), and is counted
// instead of written when it says again and again what was said a moment ago.
func NewLogger(options LogOptions) *slog.Logger {
	level := options.Level
	if level == nil {
		level = slog.LevelInfo
	}
	settings := &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}
	var lines slog.Handler = slog.NewJSONHandler(options.Writer, settings)
	if options.Format == FormatText || options.Format == FormatAuto && isTerminal(options.Writer) {
		lines = slog.NewTextHandler(options.Writer, settings)
	}
	if options.Repeats == 0 {
		options.Repeats = DefaultRepeats
	}
	log := slog.New(handler{lines: lines, repeats: newRepeats(options.Repeats)})
	if options.Worker != "" {
		log = log.With("worker", options.Worker)
	}
	return log
}

// FlushLog writes at once how many repeated lines were left out, which a process that ends would not live to say.
func FlushLog(log *slog.Logger) {
	if ours, ok := log.Handler().(handler); ok {
		ours.repeats.flush()
	}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

type annotationsKey struct{}

// Annotate gives a context whose log lines say what it is about: its session, campaign, delivery or job. A line that names one itself is left alone.
func Annotate(ctx context.Context, attrs ...slog.Attr) context.Context {
	known := annotations(ctx)
	return context.WithValue(ctx, annotationsKey{}, append(known[:len(known):len(known)], attrs...))
}

func annotations(ctx context.Context) []slog.Attr {
	known, _ := ctx.Value(annotationsKey{}).([]slog.Attr)
	return known
}

// traceKey is the attribute of the trace that a line belongs to.
const traceKey = "trace"

// handler completes lines by their context, and leaves out those that repeat themselves.
type handler struct {
	lines   slog.Handler
	repeats *repeats
	// bound are the attributes that every line has by With.
	bound []slog.Attr
}

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.lines.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	record = h.complete(ctx, record)
	if record.Level >= slog.LevelInfo && !h.repeats.admit(ctx, h, record) { // who asks for debug lines wants all of them
		return nil
	}
	return h.lines.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.lines = h.lines.WithAttrs(attrs)
	h.bound = append(h.bound[:len(h.bound):len(h.bound)], attrs...)
	return h
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	h.lines = h.lines.WithGroup(name)
	return h
}

// complete adds what the context says and the line does not. Of two annotations with one key the later holds.
func (h handler) complete(ctx context.Context, record slog.Record) slog.Record {
	known := annotations(ctx)
	span := trace.SpanContextFromContext(ctx)
	if len(known) == 0 && !span.HasTraceID() {
		return record
	}
	record = record.Clone()
	for _, attr := range slices.Backward(known) {
		if !h.says(record, attr.Key) {
			record.AddAttrs(attr)
		}
	}
	if span.HasTraceID() && !h.says(record, traceKey) {
		record.AddAttrs(slog.String(traceKey, span.TraceID().String()))
	}
	return record
}

// says tells whether a line has an attribute.
func (h handler) says(record slog.Record, key string) bool {
	said := slices.ContainsFunc(h.bound, func(attr slog.Attr) bool { return attr.Key == key })
	record.Attrs(func(attr slog.Attr) bool {
		said = said || attr.Key == key
		return !said
	})
	return said
}

// identifiers are attribute keys whose values are our own ids, never phone numbers: a run of digits inside one must stay readable.
var identifiers = map[string]bool{
	"session": true, "campaign": true, "delivery": true, "job": true, "worker": true, "link": true, traceKey: true,
	slog.TimeKey: true, slog.LevelKey: true,
}

// phoneLike is a run of digits as long as a phone number (ITU-T E.164: at most 15), standing by itself. WhatsApp's addresses are
// such a run in front of "@" or ":".
var phoneLike = regexp.MustCompile(`\+?\b\d{8,16}\b`)

// Redact hides the middle of everything in a text that looks like a phone number: "+5491150001234" becomes "+549…34".
func Redact(text string) string {
	return phoneLike.ReplaceAllStringFunc(text, func(number string) string {
		keep := 3
		if strings.HasPrefix(number, "+") {
			keep = 4
		}
		return number[:keep] + "…" + number[len(number)-2:]
	})
}

func redactAttr(_ []string, attr slog.Attr) slog.Attr {
	if identifiers[attr.Key] {
		return attr
	}
	switch value := attr.Value.Any().(type) {
	case string:
		attr.Value = slog.StringValue(Redact(value))
	case []byte:
		attr.Value = slog.StringValue(Redact(string(value)))
	case error:
		attr.Value = slog.StringValue(Redact(value.Error()))
	case interface{ String() string }:
		if attr.Value.Kind() == slog.KindAny {
			attr.Value = slog.StringValue(Redact(value.String()))
		}
	default:
		if attr.Value.Kind() == slog.KindAny {
			attr.Value = redactAny(attr.Value)
		}
	}
	return attr
}

// redactAny looks for numbers inside lists and structs; one that holds none keeps its shape.
func redactAny(value slog.Value) slog.Value {
	text, err := json.Marshal(value.Any())
	if err != nil {
		return slog.StringValue("not shown: " + err.Error())
	}
	if redacted := Redact(string(text)); redacted != string(text) {
		return slog.StringValue(redacted)
	}
	return value
}
