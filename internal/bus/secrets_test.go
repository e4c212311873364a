package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// buffer is a log that many write to.
type buffer struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (b *buffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.Write(line)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.String()
}

// TestNoSecretIsLogged lets everything happen to messages that hold secrets, with the log at its finest level.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	const phone, qr, text, user, password = "5491155550101", "2@qr-secret", "dear José, your results", "hunter", "hunter2"
	var log buffer
	registry := prometheus.NewPedanticRegistry()
	server := newBroker(t)
	bus := server.connect(Options{Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Registerer: registry,
		User: user, Password: password})
	w := newWorker(t, bus, WorkerOptions{})
	handle(t, w.HandleLinkSession(func(_ context.Context, command events.LinkSession) error {
		switch command.SessionID {
		case "ses_good":
			return nil
		case "ses_panic":
			panic("cannot link +" + phone)
		case "ses_retry":
			return fmt.Errorf("pair %s: %w", command.Phone, fault.New(fault.RetryLater, "x", "no answer from +"+phone))
		}
		return errors.New("unclassified, about " + phone + "@s.whatsapp.net")
	}))
	start(t, w)
	names := []string{"good", "panic", "retry", "other"}
	for _, name := range names {
		command := link(name)
		command.Method, command.Phone = session.MethodCode, "+"+phone
		send(t, bus, command)
	}
	handle(t, bus.publish(t.Context(), rawLink("kind", "about "+phone, `{"phone":"+`+phone+`"}`)))
	prompts, err := bus.Prompts(t.Context())
	handle(t, err)
	handle(t, prompts.Show(t.Context(), "ses_1", session.Prompt{QR: qr}))
	handle(t, prompts.Clear(t.Context(), "ses_1"))
	serve(t, bus, func(context.Context, events.SendRequest) events.SendReply { return events.SendReply{} })
	_, err = bus.RequestSend(t.Context(), sendRequest(text))
	handle(t, err)
	eventually(t, "all jobs have ended", func() bool { return pendingJobs(t, bus) == 0 })
	lines := log.String()
	for _, expected := range []string{"job done", "job failed and is tried again", "job given up and moved to FAILED", "handler_panicked"} {
		if !strings.Contains(lines, expected) {
			t.Errorf("the log does not say %q", expected)
		}
	}
	for _, secret := range []string{phone, qr, text, password} {
		if at := strings.Index(lines, secret); at >= 0 {
			t.Errorf("the log holds %q: %.300s", secret, lines[max(0, at-200):])
		}
	}
	for _, entry := range failedJobs(t, bus) {
		entry.Payload = nil // It is the job itself.
		delete(entry.Headers, headerKind)
		entry.Kind = ""
		shown, err := json.Marshal(entry)
		handle(t, err)
		if strings.Contains(string(shown), phone) {
			t.Errorf("FAILED holds the number outside of the payload: %s", shown)
		}
	}
	checkMetrics(t, registry, bus, phone)
}

// checkMetrics compares the counters with what happened in TestNoSecretIsLogged.
func checkMetrics(t *testing.T, registry *prometheus.Registry, bus *Bus, secret string) {
	t.Helper()
	families, err := registry.Gather()
	handle(t, err)
	if strings.Contains(fmt.Sprint(families), secret) {
		t.Error("a metric holds the number")
	}
	got := map[string]float64{}
	for _, class := range append(fault.Classes(), labelOK) {
		if n := testutil.ToFloat64(bus.metrics.handled.WithLabelValues("link_session", string(class))); n > 0 {
			got["handled "+string(class)] = n
		}
		if n := testutil.ToFloat64(bus.metrics.failed.WithLabelValues("link_session", string(class))); n > 0 {
			got["failed "+string(class)] = n
		}
	}
	got["redelivered"] = testutil.ToFloat64(bus.metrics.redelivered.WithLabelValues("link_session"))
	want := map[string]float64{"handled ok": 1, "handled poison": 2, "handled retry_later": 3, "handled internal": 3,
		"failed poison": 2, "failed retry_later": 1, "failed internal": 1, "redelivered": 4}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func TestErrorTextsAreMaskedAndBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"no answer":                    "no answer",
		"to +5491155550101: no":        "to [number]: no",
		"5491155550101@s.whatsapp.net": "[number]@s.whatsapp.net",
		"code 123456":                  "code 123456",
		"bad \xff byte":                "bad ? byte",
	} {
		if got := redact(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
	if got := redact(strings.Repeat("ñ", 3*maxDetail)); len(got) > maxDetail+len("…") || !strings.HasSuffix(got, "ñ…") {
		t.Errorf("a long text has %d bytes and ends in %q", len(got), got[len(got)-8:])
	}
}
