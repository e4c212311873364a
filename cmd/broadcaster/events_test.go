package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// eventsOf runs the command against a service that gives these events and then refuses the key.
func eventsOf(t *testing.T, arguments ...string) (asked *http.Request, out, errOut string) {
	t.Helper()
	old, now := time.Now().Add(-2*time.Hour).UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339)
	stream := "retry: 1\nid: 4\n\n" +
		"event: gap\ndata: {\"after\":\"0\",\"first\":\"5\",\"detail\":\"gone\"}\n\n" +
		"id: 5\nevent: session_changed\ndata: {\"version\":1,\"session_id\":\"ses_1\",\"state\":\"ready\",\"at\":\"" + old + "\"}\n\n" +
		"id: 6\nevent: message_received\ndata: {\"version\":1,\"session_id\":\"ses_1\",\"text\":\"Hola \\u001b[2J\\nsí\",\"at\":\"" + now + "\"}\n\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asked = r
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, stream)
	}))
	defer server.Close()
	var printed, said bytes.Buffer
	if code := run(append([]string{"events", "--api", server.URL}, arguments...), &printed, &said); code != 1 {
		t.Errorf("%v ended with %d after its key was refused", arguments, code)
	}
	return asked, printed.String(), said.String()
}

func TestEventsArePrintedForAPersonAndForAProgram(t *testing.T) {
	t.Parallel()
	asked, out, said := eventsOf(t, "--kind", "session_changed,message_received", "--session", "ses_1", "--last-id", "3")
	if asked.URL.RawQuery != "kind=session_changed%2Cmessage_received&session_id=ses_1" || asked.Header.Get("Last-Event-ID") != "3" {
		t.Errorf("asked for %s behind %q", asked.URL, asked.Header.Get("Last-Event-ID"))
	}
	lines := strings.Split(out, "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], "  5  session_changed  session_id=ses_1  state=ready") ||
		!strings.HasSuffix(lines[1], `  6  message_received  session_id=ses_1  text="Hola \u001b[2J\nsí"`) {
		t.Errorf("printed %q", lines)
	}
	if !strings.Contains(said, "events between 0 and 5 are missing: gone") || !strings.Contains(said, "Unauthorized") {
		t.Errorf("said %q", said)
	}
	_, out, said = eventsOf(t, "--json", "--since", "1h")
	if !strings.HasPrefix(out, `{"id":"6","kind":"message_received","data":{"version":1,`) || strings.Count(out, "\n") != 1 {
		t.Errorf("printed %q", out)
	}
	if strings.Contains(said, "missing") {
		t.Errorf("said %q: who asks for the oldest misses none", said)
	}
}
