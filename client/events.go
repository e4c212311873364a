package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"mime"
	"net/http"
	"time"
)

// Event is something that happened. docs/events.md has every kind with its fields.
type Event struct {
	// ID is its place: EventsOptions.After goes on behind it. Ids go up, with holes.
	ID   string
	Kind string
	// SessionID, CampaignID and UserID say whom it is about, and At when it happened, as far as the event says so.
	SessionID  string
	CampaignID string
	UserID     string
	At         time.Time
	// Data is the whole event, as JSON. Its fields may become more.
	Data json.RawMessage
}

// EventsGap says that events behind the last one that was seen are not kept any more: read the present state again. What comes next is from First on.
type EventsGap struct {
	After  string `json:"after"`
	First  string `json:"first"`
	Detail string `json:"detail"`
}

// Error gives the sentence and the place.
func (g *EventsGap) Error() string {
	return fmt.Sprintf("events between %s and %s are missing: %s", g.After, g.First, g.Detail)
}

// EventsOptions narrow the events and say where they begin. The zero value is every event from now on.
type EventsOptions struct {
	Kinds      []string
	SessionID  string
	CampaignID string
	// After is the id of the last event that was seen: it goes on behind that one. "0" begins with the oldest that is kept, empty with what comes now.
	After string
	// Silence is how long nothing may come, neither events nor the heartbeats between them, before the connection is given up; zero: 45 seconds, three heartbeats.
	Silence time.Duration
	// Interrupted is told why a connection ended that is opened again, and after how long; nil: nobody is. An end that the service has planned is none.
	Interrupted func(why error, wait time.Duration)
}

const (
	defaultSilence = 45 * time.Second
	// firstRetry is the wait before the first retry until the service says how long it is to be; each one after that is twice as long, up to lastRetry.
	firstRetry = 2 * time.Second
	lastRetry  = time.Minute
)

const streamType = "text/event-stream"

// The names of events that are about the stream itself.
const (
	eventGap  = "gap"
	eventSlow = "slow"
)

var (
	errSilent = errors.New("nothing came any more, not even a heartbeat")
	errSlow   = errors.New("events were read too slowly")
	// errLeft: whoever walks has had enough.
	errLeft = errors.New("the walk was broken off")
)

// Events walks what happens, as it happens, until the context ends, whose error is its last pair. A connection that breaks is opened again behind the last
// event, so that none is missed and none comes twice. A *Problem that no repetition mends, such as a key that was revoked, ends the walk, too.
//
// An *EventsGap is an error as well, so that nobody passes over it by accident, but no end: whoever reads the present state then may go on with the walk.
func (c *Client) Events(ctx context.Context, options EventsOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if options.Silence == 0 {
			options.Silence = defaultSilence
		}
		w := &eventWalk{client: c, options: options, after: options.After, retry: firstRetry, yield: yield}
		if err := w.run(ctx); !errors.Is(err, errLeft) {
			yield(Event{}, err)
		}
	}
}

// eventWalk is a walk through the events over as many connections as it takes.
type eventWalk struct {
	client  *Client
	options EventsOptions
	yield   func(Event, error) bool
	// after is where to go on, and retry what the service wants to be waited for.
	after string
	retry time.Duration
	// failures are the connections in a row that gave nothing.
	failures int
}

// run opens one connection after the other. Its error is what ended the walk.
func (w *eventWalk) run(ctx context.Context) error {
	for {
		err := w.connection(ctx)
		var problem *Problem
		switch {
		case ctx.Err() != nil && !errors.Is(err, errLeft):
			return ctx.Err()
		case errors.Is(err, errLeft), errors.As(err, &problem) && !problem.passes():
			return err
		}
		if err := w.wait(ctx, err, problem); err != nil {
			return err
		}
	}
}

// passes tells whether the same request may be answered otherwise later.
func (p *Problem) passes() bool {
	return p.Status == http.StatusTooManyRequests || p.Status == http.StatusRequestTimeout || p.Status >= http.StatusInternalServerError
}

// wait waits before the next connection. A planned end (io.EOF of a connection that gave something) is waited for as the service says; what fails again and again,
// longer and longer; and a Retry-After at least as long as it says. Some chance keeps those apart that were cut off together.
func (w *eventWalk) wait(ctx context.Context, why error, problem *Problem) error {
	wait := w.retry
	for range w.failures {
		wait = max(w.retry, min(2*wait, lastRetry))
	}
	wait += rand.N(wait/2 + 1) // #nosec G404 -- it spreads load
	if problem != nil {
		wait = max(wait, problem.RetryAfter)
	}
	if planned := w.failures == 0 && errors.Is(why, io.EOF); !planned && w.options.Interrupted != nil {
		w.options.Interrupted(why, wait)
	}
	w.failures++
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// connection gives the events of one connection. It has an end, which is an error.
func (w *eventWalk) connection(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(w.options.Silence, func() { cancel(errSilent) })
	defer silence.Stop()
	answer, err := w.client.answer(ctx, w.request())
	if err == nil {
		defer func() { _ = answer.Body.Close() }()
		err = isStream(answer)
		blocks := newBlockReader(&patientReader{Reader: answer.Body, silence: silence, patience: w.options.Silence})
		for err == nil {
			var next block
			if next, err = blocks.next(); err == nil {
				err = w.take(next)
			}
		}
	}
	if errors.Is(err, context.Canceled) && context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	return err
}

// request asks for what comes behind the last event.
func (w *eventWalk) request() outgoing {
	query := StreamEventsQuery{Kind: w.options.Kinds, SessionID: w.options.SessionID, CampaignID: w.options.CampaignID}
	return outgoing{method: http.MethodGet, path: "/v1/events", query: query.values(), options: []Option{func(request *http.Request) {
		request.Header.Set("Accept", streamType)
		if w.after != "" {
			request.Header.Set("Last-Event-ID", w.after)
		}
	}}}
}

// isStream refuses an answer that is something else, such as the page of a proxy.
func isStream(answer *http.Response) error {
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); answer.StatusCode != http.StatusOK || kind != streamType {
		return fmt.Errorf("the answer is no stream of events, but %s with the type %q", answer.Status, kind)
	}
	return nil
}

// patientReader bounds how long each reading may take. The time that somebody takes over what was read does not count.
type patientReader struct {
	io.Reader
	silence  *time.Timer
	patience time.Duration
}

func (r *patientReader) Read(into []byte) (int, error) {
	r.silence.Reset(r.patience)
	defer r.silence.Stop()
	return r.Reader.Read(into)
}

// take passes on what a block has, and remembers where to go on.
func (w *eventWalk) take(b block) error {
	w.failures = 0
	if b.retry > 0 {
		w.retry = b.retry
	}
	switch {
	case b.data == "":
	case b.event == eventGap:
		gap := &EventsGap{}
		if err := json.Unmarshal([]byte(b.data), gap); err != nil {
			return fmt.Errorf("decode a gap of the events: %w", err)
		}
		if !w.yield(Event{}, gap) {
			return errLeft
		}
	case b.event == eventSlow:
		var slow struct {
			ResumeAfter string `json:"resume_after"`
		}
		if err := json.Unmarshal([]byte(b.data), &slow); err != nil {
			return fmt.Errorf("decode the end of the events: %w", err)
		}
		w.after = slow.ResumeAfter
		return errSlow
	case !w.yield(eventOf(b)):
		return errLeft
	}
	if b.id != nil {
		w.after = *b.id
	}
	return nil
}

// eventOf makes an event of a block. Of one whose data has another shape than facts have, the data is there.
func eventOf(b block) (Event, error) {
	var about struct {
		SessionID  string    `json:"session_id"`
		CampaignID string    `json:"campaign_id"`
		UserID     string    `json:"user_id"`
		At         time.Time `json:"at"`
	}
	_ = json.Unmarshal([]byte(b.data), &about) // the same
	event := Event{Kind: b.event, SessionID: about.SessionID, CampaignID: about.CampaignID, UserID: about.UserID, At: about.At, Data: json.RawMessage(b.data)}
	if b.id != nil {
		event.ID = *b.id
	}
	return event, nil
}
