package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dannsalud/broadcaster/client"
)

// connection is what one request for events is answered with.
type connection struct {
	status     int
	retryAfter string
	kind       string
	// pieces come one after the other, each after a wait; then the connection ends as end says, nil: cleanly. silent: it never ends.
	pieces []piece
	end    error
	silent bool
}

type piece struct {
	after time.Duration
	text  string
}

func sends(texts ...string) connection {
	made := connection{}
	for _, text := range texts {
		made.pieces = append(made.pieces, piece{text: text})
	}
	return made
}

// line is a transport inside a bubble of virtual time: real sockets do not live there. TestClientFollowsARealStream has those.
type line struct {
	connections []connection
	requests    []*http.Request
	at          []time.Duration
	began       time.Time
}

func (l *line) RoundTrip(request *http.Request) (*http.Response, error) {
	l.requests, l.at = append(l.requests, request), append(l.at, time.Since(l.began))
	if len(l.connections) == 0 {
		return nil, errors.New("connection refused")
	}
	next := l.connections[0]
	l.connections = l.connections[1:]
	answer := &http.Response{StatusCode: next.status, Header: http.Header{}, Request: request}
	if answer.StatusCode == 0 {
		answer.StatusCode = http.StatusOK
	}
	answer.Header.Set("Content-Type", "text/event-stream; charset=utf-8")
	if next.kind != "" {
		answer.Header.Set("Content-Type", next.kind)
	}
	if next.retryAfter != "" {
		answer.Header.Set("Retry-After", next.retryAfter)
	}
	answer.Body = &pieces{ctx: request.Context(), connection: next}
	return answer, nil
}

// pieces is the body of an answer.
type pieces struct {
	ctx context.Context //nolint:containedctx // as the bodies of net/http
	connection
	rest bytes.Buffer
}

func (p *pieces) Read(into []byte) (int, error) {
	if p.rest.Len() == 0 && len(p.connection.pieces) > 0 {
		next := p.connection.pieces[0]
		p.connection.pieces = p.connection.pieces[1:]
		select {
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		case <-time.After(next.after):
		}
		p.rest.WriteString(next.text)
	}
	switch {
	case p.rest.Len() > 0:
		return p.rest.Read(into)
	case p.silent:
		<-p.ctx.Done()
		return 0, p.ctx.Err()
	case p.end != nil:
		return 0, p.end
	}
	return 0, io.EOF
}

func (p *pieces) Close() error { return nil }

func newLine(connections ...connection) *line {
	return &line{connections: connections, began: time.Now()}
}

func (l *line) client(t *testing.T) *client.Client {
	t.Helper()
	api, err := client.New("http://api", &http.Client{Transport: l, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return api.WithKey("k")
}

// walked is what a walk gave, as text: the ids of its events and its errors.
func (l *line) walked(t *testing.T, options client.EventsOptions, enough func(said string) bool) string {
	t.Helper()
	var said []string
	for event, err := range l.client(t).Events(t.Context(), options) {
		if err != nil {
			said = append(said, "("+err.Error()+")")
		} else {
			said = append(said, event.ID)
		}
		if enough(said[len(said)-1]) {
			break
		}
	}
	return strings.Join(said, " ")
}

func until(last string) func(string) bool { return func(said string) bool { return said == last } }

func never(string) bool { return false }

func fact(id int) string {
	return fmt.Sprintf("id: %d\nevent: session_changed\ndata: {\"session_id\":\"ses_1\",\"n\":%d}\n\n", id, id)
}

func (l *line) lastEventIDs() string {
	var ids []string
	for _, request := range l.requests {
		ids = append(ids, request.Header.Get("Last-Event-ID"))
	}
	return strings.Join(ids, " ")
}

func TestEventsGoOnBehindTheLastOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hello := "retry: 2000\nid: 4\n\n"
		cut := sends(hello, fact(5), fact(6), "id: 7\nevent: session_changed\ndata: {\"cut")
		cut.end = io.ErrUnexpectedEOF
		var interrupted []error
		l := newLine(sends(hello), cut, sends(": alive\nid: 9\n\n"), sends(fact(12)))
		got := l.walked(t, client.EventsOptions{Interrupted: func(why error, _ time.Duration) { interrupted = append(interrupted, why) }}, until("12"))
		if want := "5 6 12"; got != want {
			t.Errorf("walked %s, want %s", got, want)
		}
		if got, want := l.lastEventIDs(), " 4 6 9"; got != want {
			t.Errorf("asked behind %q, want %q", got, want)
		}
		if len(interrupted) != 1 || !errors.Is(interrupted[0], io.ErrUnexpectedEOF) {
			t.Errorf("interrupted by %v; a planned end is no interruption", interrupted)
		}
		for i, at := range l.at {
			if wait := time.Duration(i) * 2 * time.Second; at < wait || at > wait*3/2 {
				t.Errorf("connection %d after %s, want %s and a half of it at most", i, at, wait)
			}
		}
	})
}

func TestEventsAreAskedForAsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(sends("id: 9\nevent: campaign_changed\ndata: {\"session_id\":\"ses_1\",\"campaign_id\":\"cmp_1\",\"user_id\":\"ana\",\ndata: \"at\":\"2026-03-01T12:30:15Z\"}\n\n"))
		options := client.EventsOptions{Kinds: []string{"campaign_changed", "message_receipt"}, SessionID: "ses_1", CampaignID: "cmp_1", After: "0"}
		for event, err := range l.client(t).Events(t.Context(), options) {
			if err != nil {
				t.Fatal(err)
			}
			about := []string{event.ID, event.Kind, event.SessionID, event.CampaignID, event.UserID, event.At.Format(time.RFC3339)}
			if got, want := strings.Join(about, " "), "9 campaign_changed ses_1 cmp_1 ana 2026-03-01T12:30:15Z"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if !bytes.Contains(event.Data, []byte("ses_1\",\"campaign")) {
				t.Errorf("data %s", event.Data)
			}
			break
		}
		request := l.requests[0]
		want := url.Values{"kind": {"campaign_changed,message_receipt"}, "session_id": {"ses_1"}, "campaign_id": {"cmp_1"}}
		if request.URL.Path != "/v1/events" || request.URL.RawQuery != want.Encode() || request.Header.Get("Last-Event-ID") != "0" || request.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("asked for %s with %v", request.URL, request.Header)
		}
	})
}

// TestASilentConnectionIsGivenUp: what is silent for three heartbeats is broken. The time that the reader takes does not count, and a heartbeat is a sign of life.
func TestASilentConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		alive := connection{silent: true, pieces: []piece{{text: "id: 4\n\n"}, {40 * time.Second, ": alive\n\n"}, {40 * time.Second, fact(5)}, {40 * time.Second, fact(6)}}}
		l := newLine(alive, sends(fact(7)))
		var why error
		got := l.walked(t, client.EventsOptions{Interrupted: func(err error, _ time.Duration) { why = err }}, func(said string) bool {
			time.Sleep(time.Hour)
			return said == "7"
		})
		if got != "5 6 7" || why == nil || !strings.Contains(why.Error(), "heartbeat") {
			t.Errorf("walked %s, interrupted by %v", got, why)
		}
		if took, least := l.at[1], 2*time.Hour+2*time.Minute+45*time.Second; took < least || took > least+4*time.Second {
			t.Errorf("given up after %s, want %s", took, least)
		}
	})
}

func TestALostAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(connection{silent: true}, sends(fact(1)))
		if got := l.walked(t, client.EventsOptions{Silence: time.Second}, until("1")); got != "1" || l.at[1] > 5*time.Second {
			t.Errorf("walked %s after %v", got, l.at)
		}
	})
}

func TestWaitsBetweenFailuresGrowAndHeedRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := connection{status: http.StatusServiceUnavailable}
		later := connection{status: http.StatusTooManyRequests, retryAfter: "300"}
		page := connection{kind: "text/html", pieces: []piece{{text: "<html>"}}}
		failing := []connection{refused, refused, page, refused, refused, refused, refused, later, sends("retry: 500\nid: 1\n\n"), sends(fact(2))}
		l := newLine(failing...)
		var waits []time.Duration
		got := l.walked(t, client.EventsOptions{Interrupted: func(_ error, wait time.Duration) { waits = append(waits, wait) }}, until("2"))
		if got != "2" {
			t.Errorf("walked %s", got)
		}
		for i, seconds := range []int{2, 4, 8, 16, 32, 60, 60, 300} {
			least := time.Duration(seconds) * time.Second
			if most := least * 3 / 2; i >= len(waits) || waits[i] < least || waits[i] > most {
				t.Errorf("wait %d of %v, want from %s to %s", i, waits, least, most)
			}
		}
		if last := l.at[9] - l.at[8]; last < 500*time.Millisecond || last > 750*time.Millisecond {
			t.Errorf("after a stream that said so, it waited %s, want half a second", last)
		}
	})
}

func TestWhatNoRepetitionMendsEndsTheEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity} {
			l := newLine(sends(fact(1)), connection{status: status, kind: "application/problem+json", pieces: []piece{{text: `{"detail":"No","code":"no"}`}}})
			if got := l.walked(t, client.EventsOptions{}, never); got != "1 (No)" || len(l.requests) != 2 {
				t.Errorf("%d: walked %s with %d requests", status, got, len(l.requests))
			}
		}
	})
}

// TestAGapIsSeen: who does not look at it ends there, and who does may go on.
func TestAGapIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gap := "event: gap\ndata: {\"after\":\"3\",\"first\":\"70\",\"detail\":\"gone\"}\n\n"
		l := newLine(sends("id: 3\n\n", gap, fact(70)))
		if got, want := l.walked(t, client.EventsOptions{After: "3"}, until("70")), "(events between 3 and 70 are missing: gone) 70"; got != want {
			t.Errorf("walked %s, want %s", got, want)
		}
		for _, err := range newLine(sends(gap)).client(t).Events(t.Context(), client.EventsOptions{}) {
			if found := new(client.EventsGap); !errors.As(err, &found) || found.First != "70" {
				t.Errorf("error %v", err)
			}
			break
		}
	})
}

func TestATooSlowReaderComesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(sends(fact(5), "event: slow\ndata: {\"resume_after\":\"8\",\"detail\":\"too slow\"}\n\n"), sends(fact(9)))
		var why error
		got := l.walked(t, client.EventsOptions{Interrupted: func(err error, _ time.Duration) { why = err }}, until("9"))
		if got != "5 9" || l.lastEventIDs() != " 8" || why == nil || !strings.Contains(why.Error(), "slowly") {
			t.Errorf("walked %s, asked behind %q, interrupted by %v", got, l.lastEventIDs(), why)
		}
	})
}

// TestEventsEndWithTheirContext: while they are read, between two connections, and while they are asked for.
func TestEventsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, l := range map[string]*line{"reading": newLine(connection{silent: true, pieces: []piece{{text: fact(1)}}}), "waiting": newLine()} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			var last error
			for _, err := range l.client(t).Events(ctx, client.EventsOptions{}) {
				last = err
			}
			if !errors.Is(last, context.DeadlineExceeded) {
				t.Errorf("%s: ended with %v", name, last)
			}
			cancel()
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range newLine().client(t).Events(ended, client.EventsOptions{}) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}
