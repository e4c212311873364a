package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// written gives the lines of a log as objects.
func written(t *testing.T, out *bytes.Buffer) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%q is not one JSON object: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestLinesBearWhatTheirContextIsAbout(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewLogger(LogOptions{Writer: &out})
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	ctx = Annotate(ctx, slog.String("job", "job-1"), slog.String("session", "ses-1"))
	log.InfoContext(ctx, "bare")
	log.With("job", "job-2").InfoContext(Annotate(ctx, slog.String("campaign", "cmp-1"), slog.String("session", "ses-2")), "own", "trace", "mine")
	log.InfoContext(context.WithoutCancel(t.Context()), "without")
	lines := written(t, &out)
	want := []map[string]any{
		{"session": "ses-1", "job": "job-1", "trace": span.TraceID().String(), "campaign": nil},
		{"session": "ses-2", "job": "job-2", "trace": "mine", "campaign": "cmp-1"},
		{"session": nil, "job": nil, "trace": nil, "campaign": nil},
	}
	for i, line := range lines {
		for key, value := range want[i] {
			if line[key] != value {
				t.Errorf("%s has %s %v, want %v", line["msg"], key, line[key], value)
			}
		}
	}
	if strings.Count(out.String(), `"session"`) != 2 || strings.Count(out.String(), `"job"`) != 2 {
		t.Errorf("an attribute is written twice:\n%s", &out)
	}
}

func TestRepeatsAreCountedAndNoneIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := NewLogger(LogOptions{Writer: &out, Repeats: 3})
		const each = 10
		for range each {
			log.Error("send failed", "session", "a", "delivery", time.Now().String(), "error", errors.New("x"))
			log.With("session", "b").Error("send failed")
			log.Debug("nobody asked for this")
		}
		time.Sleep(2 * time.Second)
		log.Error("send failed", "session", "a")
		count := map[string]int{}
		for _, line := range written(t, &out) {
			name, _ := line["session"].(string)
			switch line["msg"] {
			case "send failed":
				count[name]++
			case "repeated lines left out":
				if left, _ := line["count"].(float64); line["level"] != "ERROR" || line["line"] != "send failed" || left != each-3 {
					t.Errorf("the summary is %v", line)
				}
				count["left "+name]++
			}
		}
		if want := map[string]int{"a": 4, "b": 3, "left a": 1, "left b": 1}; len(count) != len(want) || count["a"] != 4 || count["b"] != 3 ||
			count["left a"] != 1 || count["left b"] != 1 {
			t.Errorf("written: %v, want %v", count, want)
		}
	})
}

func TestAProcessThatEndsSaysWhatItLeftOut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewLogger(LogOptions{Writer: &out, Repeats: 1})
	for range 5 {
		log.Warn("again")
	}
	FlushLog(log)
	lines := written(t, &out)
	if len(lines) != 2 || lines[1]["count"] != float64(4) {
		t.Errorf("written: %v", lines)
	}
}

func TestDebugLinesAreNeverLeftOutAndTheLevelChanges(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := NewLogger(LogOptions{Writer: &out, Repeats: 1, Level: level})
	log.Debug("before")
	level.Set(slog.LevelDebug)
	for range 5 {
		log.Debug("after")
	}
	if lines := written(t, &out); len(lines) != 5 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestAutomaticFormatIsJSONWhereNobodyReads(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	NewLogger(LogOptions{Writer: &out, Format: FormatAuto}).Info("x")
	if len(written(t, &out)) != 1 {
		t.Error("nothing was written")
	}
}
