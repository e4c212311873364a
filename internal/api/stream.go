package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

const (
	// lookAgainAfter is how often the state is read when nobody said that it changed; a nudge may be lost.
	lookAgainAfter = 5 * time.Second
	// aliveEvery is how often a stream without news says that it is alive: proxies cut connections that are silent for a minute or so.
	aliveEvery = 15 * time.Second
	// writeTimeout bounds one write to a reader that does not read.
	writeTimeout = 10 * time.Second
)

// streamLink sends the state of a link as server-sent events (the HTML standard's EventSource): at first as it is, then at each change, until it has
// ended. A reader that comes again, after a cut or a restart of this service, is sent the state as it is then.
func (a *API) streamLink(ctx context.Context, input *SessionInput) (*huma.StreamResponse, error) {
	if _, err := a.presentLink(ctx, input.ID); err != nil {
		return nil, a.problem(ctx, "stream link", err)
	}
	return &huma.StreamResponse{Body: func(door huma.Context) {
		request, writer := humago.Unwrap(door)
		stream := &eventStream{writer: writer, controller: http.NewResponseController(writer)}
		if err := a.followLink(request.Context(), input.ID, stream); err != nil {
			a.options.Log.DebugContext(ctx, "stream of a link ended", "session", string(input.ID), "class", fault.Of(err).Label(), "error", err)
		}
	}}, nil
}

// followLink sends the link's states until it has ended, the reader is gone, or the service stops.
func (a *API) followLink(ctx context.Context, id session.ID, stream *eventStream) error {
	nudges := make(chan struct{}, 1)
	stop, err := a.options.Watcher.Watch(ctx, "events.session."+string(id)+".link", func(string, []byte) {
		select {
		case nudges <- struct{}{}:
		default: // it is going to look anyway
		}
	})
	if err != nil {
		return fmt.Errorf("watch link: %w", err)
	}
	defer stop()
	stream.begin()
	look, alive := time.NewTicker(lookAgainAfter), time.NewTicker(aliveEvery)
	defer look.Stop()
	defer alive.Stop()
	for {
		view, err := a.presentLink(ctx, id)
		if err != nil {
			return err // the reader comes again, and is told
		}
		if err := stream.send("link", view); err != nil || view.State.Ended() {
			return err
		}
		for changed := false; !changed; {
			select {
			case <-ctx.Done():
				return nil
			case <-a.streams:
				return nil
			case <-nudges:
				changed = true
			case <-look.C:
				changed = true
			case <-alive.C:
				if err := stream.alive(); err != nil {
					return err
				}
			}
		}
	}
}

// eventStream writes server-sent events. What is the same as the event before is not sent again.
type eventStream struct {
	writer     http.ResponseWriter
	controller *http.ResponseController
	last       string
	// patience bounds one write; zero: writeTimeout.
	patience time.Duration
}

func (s *eventStream) begin() {
	header := s.writer.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // asks proxies that know it to pass events on at once
	s.writer.WriteHeader(http.StatusOK)
}

func (s *eventStream) send(name string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if string(encoded) == s.last {
		return nil
	}
	s.last = string(encoded)
	return s.write("event: " + name + "\ndata: " + s.last + "\n\n")
}

// alive sends a comment, which readers ignore.
func (s *eventStream) alive() error { return s.write(": alive\n\n") }

func (s *eventStream) write(text string) error {
	s.deadline()
	if _, err := s.writer.Write([]byte(text)); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return s.flush()
}

// deadline bounds the next writes. Not every writer has one; those of tests do without.
func (s *eventStream) deadline() {
	_ = s.controller.SetWriteDeadline(time.Now().Add(cmp.Or(s.patience, writeTimeout)))
}

func (s *eventStream) flush() error {
	if err := s.controller.Flush(); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}
