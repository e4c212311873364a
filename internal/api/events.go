package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dannsalud/broadcaster/internal/access"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/feed"
)

const (
	// comeAgainAfter is what readers are told to wait before they come again.
	comeAgainAfter = 2 * time.Second
	// longestStream is after how many heartbeats a stream of events ends, for its reader to come again: what a caller may see is looked up at the
	// beginning, and a key that was taken away must not see on for days.
	longestStream = 40
)

// EventsOptions say where the events come from and how they are streamed.
type EventsOptions struct {
	// Log is what is followed (API.Run); nil: there are no events.
	Log feed.Log
	// Held bounds how many facts are held for readers; zero: feed.DefaultHeld.
	Held int
	// Ticker beats for each stream; nil: time.NewTicker.
	Ticker func(every time.Duration) (beats <-chan time.Time, stop func())
	// Patience is how long a reader may take for one event; zero: writeTimeout.
	Patience time.Duration
}

// EventsInput says which facts a reader wants, and behind which one.
type EventsInput struct {
	LastEventID string   `header:"Last-Event-ID" doc:"Go on behind this event. A browser's EventSource sends it by itself when it comes again."`
	After       string   `query:"after" doc:"The same, for the first time, when an EventSource cannot set headers. The header counts more."`
	Kinds       []string `query:"kind" maxItems:"50" doc:"Only events of these kinds, separated by commas."`
	SessionID   string   `query:"session_id" maxLength:"200" doc:"Only events about this session."`
	CampaignID  string   `query:"campaign_id" maxLength:"200" doc:"Only events about this campaign."`
}

// after gives the event to go on behind; nil: from now on.
func (i *EventsInput) after() (*uint64, error) {
	text := i.LastEventID
	if text == "" {
		text = i.After
	}
	if text == "" {
		return nil, nil //nolint:nilnil // none was asked for
	}
	sequence, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, fault.New(fault.Invalid, "bad_event_id", "The last event's id is not one that this API gave; leave it out to begin with what comes now")
	}
	return &sequence, nil
}

// wants tells whether a fact is among those that were asked for.
func (i *EventsInput) wants(fact *feed.Fact) bool {
	return (len(i.Kinds) == 0 || slices.Contains(i.Kinds, fact.Kind)) &&
		(i.SessionID == "" || i.SessionID == string(fact.About.SessionID)) &&
		(i.CampaignID == "" || i.CampaignID == fact.About.CampaignID)
}

// EventGap is the data of an event named gap: facts that the reader asked for are not kept any more.
type EventGap struct {
	After  string `json:"after" doc:"The event behind which some are gone."`
	First  string `json:"first" doc:"What comes next is from this event on."`
	Detail string `json:"detail"`
}

// EventSlow is the data of an event named slow, the last one of a reader that was too slow.
type EventSlow struct {
	ResumeAfter string `json:"resume_after" doc:"The Last-Event-ID to come again with."`
	Detail      string `json:"detail"`
}

// newFeed makes the feed of the facts; nil without a log of them.
func newFeed(options *Options) (*feed.Feed, error) {
	if options.Events.Log == nil {
		return nil, nil //nolint:nilnil // there are none
	}
	return feed.New(feed.Options{Log: options.Events.Log, Encode: encodeFact, Held: options.Events.Held, Logger: options.Log})
}

// encodeFact makes of a fact its event. Its JSON is passed on whatever its kind, without line breaks, which would end it.
func encodeFact(fact events.Recorded) []byte {
	event := bytes.NewBufferString("id: " + strconv.FormatUint(fact.Sequence, 10) + "\nevent: " + fact.Kind + "\ndata: ")
	if err := json.Compact(event, fact.Data); err != nil {
		return nil
	}
	event.WriteString("\n\n")
	return event.Bytes()
}

// Run follows the facts for the readers of the events until the context ends.
func (a *API) Run(ctx context.Context) error {
	if a.feed == nil {
		<-ctx.Done()
		return nil
	}
	return a.feed.Run(ctx)
}

// registerEvents lists the route of the events.
func (a *API) registerEvents(doors huma.API) {
	described := stream("/v1/events", "stream-events", "Follow what happens as server-sent events")
	described.Responses["200"].Description = "Events named by their kind, each with its fact (docs/queues.md). Their ids go up, with holes. An event named gap comes " +
		"first when events behind the last id are not kept any more; one named slow comes last when the reader is too slow: come again with its " +
		"resume_after. A comment every 15 seconds says that the stream is alive. A stream ends after ten minutes; come again with the last id."
	described.Errors = append(described.Errors, http.StatusServiceUnavailable)
	huma.Register(doors, described, a.streamEvents)
}

// streamEvents sends the facts that a reader wants, as they happen.
func (a *API) streamEvents(ctx context.Context, input *EventsInput) (*huma.StreamResponse, error) {
	reader, err := a.openEvents(ctx, input)
	if err != nil {
		return nil, a.problem(ctx, "stream events", err)
	}
	return &huma.StreamResponse{Body: func(door huma.Context) {
		request, writer := humago.Unwrap(door)
		out := &factStream{eventStream: eventStream{writer: writer, controller: http.NewResponseController(writer), patience: a.options.Events.Patience},
			reader: reader, sent: a.metrics.streamed}
		a.metrics.streams.Inc()
		err := a.followFacts(request.Context(), out)
		a.metrics.streams.Dec()
		a.metrics.streamsEnded.WithLabelValues(whyEnded(err)).Inc()
		a.options.Log.DebugContext(request.Context(), "stream of events ended", "reason", whyEnded(err), "error", err)
	}}, nil
}

func (a *API) openEvents(ctx context.Context, input *EventsInput) (*feed.Reader, error) {
	after, err := input.after()
	if err != nil {
		return nil, err
	}
	for _, kind := range input.Kinds {
		if !slices.Contains(events.FactKinds(), kind) {
			return nil, fault.New(fault.Invalid, "unknown_kind", "There are no events of the kind "+strconv.Quote(kind)+"; there are "+strings.Join(events.FactKinds(), ", "))
		}
	}
	sees := a.seesFacts(ctx)
	if a.feed == nil {
		return nil, fault.New(fault.RetryLater, "queue_unavailable", "This service does not follow events")
	}
	return a.feed.Open(ctx, func(ctx context.Context, fact *feed.Fact) (bool, error) {
		if !input.wants(fact) {
			return false, nil
		}
		return sees(ctx, fact)
	}, after)
}

// seesFacts gives what tells which facts the caller of a request may see: those of all users, or of the one whom the key is for.
func (a *API) seesFacts(ctx context.Context) feed.Wants {
	caller := access.From(ctx)
	return func(ctx context.Context, fact *feed.Fact) (bool, error) {
		user := fact.About.UserID
		if caller.User != "" && user == "" {
			var err error
			if user, err = a.owners.Of(ctx, fact.About.SessionID); err != nil {
				return false, err
			}
		}
		return caller.Sees(user), nil
	}
}

// Why a stream ended that its reader did not leave.
var (
	errStopping = errors.New("the service stops")
	errRenew    = errors.New("the stream is to be opened again")
	errLeft     = errors.New("the reader left")
)

// whyEnded gives the label of a stream's end.
func whyEnded(err error) string {
	switch {
	case errors.Is(err, feed.ErrTooSlow), errors.Is(err, os.ErrDeadlineExceeded):
		return "slow"
	case errors.Is(err, errStopping):
		return "stopping"
	case errors.Is(err, errRenew), errors.Is(err, feed.ErrOtherLog):
		return "renewed"
	case errors.Is(err, errLeft):
		return "left"
	}
	return "failed"
}

// followFacts sends facts until the reader is gone or too slow, or the service stops. It runs in the request's goroutine and starts no other.
func (a *API) followFacts(ctx context.Context, out *factStream) error {
	beats, stop := a.options.Events.Ticker(aliveEvery)
	defer stop()
	out.begin()
	if err := out.hello(); err != nil {
		return err
	}
	for beat := 0; ; {
		changed := out.reader.Changed()
		more, err := out.pass(ctx)
		switch {
		case ctx.Err() != nil && !errors.Is(err, os.ErrDeadlineExceeded): // The server ends the context of a write that took too long, too.
			return errLeft
		case err != nil:
			return err
		case more:
			changed = closed // do not wait
		}
		select {
		case <-ctx.Done():
			return errLeft
		case <-a.streams:
			return errStopping
		case <-beats:
			if beat++; beat == longestStream {
				return errRenew
			}
			if err := out.beat(); err != nil {
				return err
			}
		case <-changed:
		}
	}
}

// closed is ready at once.
var closed = func() chan struct{} {
	ready := make(chan struct{})
	close(ready)
	return ready
}()

// factStream writes facts.
type factStream struct {
	eventStream
	reader *feed.Reader
	// told is the last id that the reader knows.
	told uint64
	// sent counts the facts, of all streams.
	sent prometheus.Counter
}

// hello says when to come again, and where the stream begins: who is cut off before the first event comes again from here. An id without data
// is no event, and is remembered.
func (s *factStream) hello() error {
	s.told = s.reader.Position()
	return s.write(fmt.Sprintf("retry: %d\nid: %d\n\n", comeAgainAfter.Milliseconds(), s.told))
}

// beat says that the stream is alive, and how far the reader is, who may want few of many facts.
func (s *factStream) beat() error {
	if at := s.reader.Position(); at != s.told {
		s.told = at
		return s.write(fmt.Sprintf(": alive\nid: %d\n\n", at))
	}
	return s.alive()
}

// pass sends what there is, and tells whether there may be more at once.
func (s *factStream) pass(ctx context.Context) (more bool, err error) {
	batch, err := s.reader.Take(ctx)
	if errors.Is(err, feed.ErrTooSlow) {
		at := strconv.FormatUint(s.reader.Position(), 10)
		return false, errors.Join(err, s.send("slow", EventSlow{ResumeAfter: at, Detail: "You read too slowly; come again with this Last-Event-ID"}))
	}
	if err != nil {
		return false, err // the reader comes again with its last id
	}
	if batch.Gap != nil {
		err := s.send("gap", EventGap{After: strconv.FormatUint(batch.Gap.After, 10), First: strconv.FormatUint(batch.Gap.First, 10),
			Detail: "Events behind the last one that you saw are not kept any more; read the present state again"})
		if err != nil {
			return false, err
		}
	}
	for _, fact := range batch.Facts {
		s.deadline()
		if _, err := s.writer.Write(fact.Encoded); err != nil {
			return false, fmt.Errorf("write event: %w", err)
		}
		s.told = fact.Sequence
		s.sent.Inc()
	}
	if len(batch.Facts) > 0 {
		return batch.More, s.flush()
	}
	return batch.More, nil
}
