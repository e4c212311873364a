package ops

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestNoPhoneNumberReachesTheLog(t *testing.T) {
	t.Parallel()
	const phone = "5491150001234"
	for _, format := range []Format{FormatText, FormatJSON} {
		var out bytes.Buffer
		log := NewLogger(LogOptions{Writer: &out, Format: format})
		log.Info("link failed for +"+phone,
			"to", "+"+phone,
			"jid", phone+":3@s.whatsapp.net",
			"error", errors.New("no LID found for "+phone+"@s.whatsapp.net"),
			slog.Group("inner", "phone", phone))
		log.With("bound", phone).WithGroup("g").Warn("again", "x", "0"+phone[1:])
		if text := out.String(); strings.Contains(text, phone) || strings.Contains(text, phone[1:]) {
			t.Errorf("%s: a phone number is in the log:\n%s", format, text)
		}
	}
}

func TestIdentifiersStayReadable(t *testing.T) {
	t.Parallel()
	const id = "ses_01970000-0000-7000-8000-123456789012"
	var out bytes.Buffer
	NewLogger(LogOptions{Writer: &out, Worker: "linker-1"}).Info("link ready", "session", id, "count", 12345678901)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one JSON object a line: %v", err)
	}
	if line["session"] != id || line["worker"] != "linker-1" || line["msg"] != "link ready" {
		t.Errorf("altered: %v", line)
	}
}

func TestRedactKeepsWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	rows := map[string]string{
		"call +5491150001234 now": "call +549…34 now",
		"5491150001234:3@lid":     "549…34:3@lid",
		"took 1234567 ms":         "took 1234567 ms",
		"id 0197a1b2-7000":        "id 0197a1b2-7000",
		"":                        "",
	}
	for text, want := range rows {
		if got := Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestRegistryGathers(t *testing.T) {
	t.Parallel()
	families, err := NewRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, family := range families {
		found = found || family.GetName() == "go_build_info"
	}
	if !found || Version() == "" {
		t.Error("build information is missing")
	}
}

func TestNumbersInsideListsAndBytesAreHidden(t *testing.T) {
	t.Parallel()
	const phone = "5491150001234"
	for _, format := range []Format{FormatText, FormatJSON} {
		var out bytes.Buffer
		log := NewLogger(LogOptions{Writer: &out, Format: format})
		log.Info("read", "list", []string{"a", phone}, "struct", struct{ Phone string }{"+" + phone}, "bytes", []byte(phone), "clean", []string{"a", "b"})
		if text := out.String(); strings.Contains(text, phone) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(phone))) {
			t.Errorf("%s: a phone number is in the log:\n%s", format, text)
		}
		if format == FormatJSON && !strings.Contains(out.String(), `"clean":["a","b"]`) {
			t.Errorf("a list without numbers lost its shape: %s", &out)
		}
	}
}
