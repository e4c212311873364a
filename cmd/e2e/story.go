package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// report is what the story came to.
type report struct {
	Recipients int `json:"recipients"`
	// Lost are messages that never arrived at their contact, Duplicated those that a contact saw twice.
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
	// DoubleConnections counts connections of a device beside a living one, and those that took over from one.
	DoubleConnections int `json:"double_connections"`
	// FailoverSeconds is the time from the SIGKILL of a sender until all of its sessions were connected again.
	FailoverSeconds float64 `json:"failover_seconds"`
	// Prometheus is what a real one saw meanwhile.
	Prometheus seen `json:"prometheus"`

	drain, handover time.Duration
}

func (r report) verdict(given options) error {
	if r.Recipients != given.sessions*given.recipients {
		return fmt.Errorf("%d recipients were planned, not %d", r.Recipients, given.sessions*given.recipients)
	}
	if r.Lost+r.Duplicated+r.DoubleConnections > 0 {
		return fmt.Errorf("%d messages lost, %d seen twice, %d double connections", r.Lost, r.Duplicated, r.DoubleConnections)
	}
	if len(r.Prometheus.SeriesMissing) > 0 {
		return fmt.Errorf("rules or dashboards select what Prometheus never saw: %s", strings.Join(r.Prometheus.SeriesMissing, ", "))
	}
	return nil
}

// story is what happens to a fleet.
type story struct {
	fleet   *fleet.Fleet
	crowd   *fleet.Crowd
	options options
	out     io.Writer
	// watcher is nil where there is no Prometheus.
	watcher *watcher
	// adminKey is the API's.
	adminKey string
}

// prove starts the fleet, plays the story and ends the fleet, whatever came of it.
func prove(ctx context.Context, given options, out io.Writer) (result report, err error) {
	story := &story{options: given, out: out, adminKey: app.GenerateAdminKey()}
	story.fleet, err = fleet.New(fleet.Options{Name: "e2e", Logs: given.logs, Binaries: given.binaries, AdminKey: story.adminKey, Senders: 2, Started: story.started})
	if err != nil {
		return report{}, err
	}
	story.crowd = &fleet.Crowd{Fleet: story.fleet}
	defer func() {
		story.fleet.Stop()
		if err == nil && given.logs == "" {
			err = os.RemoveAll(story.fleet.Dir)
		} else {
			fmt.Fprintln(out, "The logs of the processes are in", story.fleet.Dir)
		}
	}()
	if err := story.watch(ctx); err != nil {
		return report{}, err
	}
	story.sayWatched()
	if err := story.fleet.Start(ctx); err != nil {
		return report{}, err
	}
	if result, err = story.play(ctx); err != nil {
		return report{}, err
	}
	return result, story.alarm(ctx, &result)
}

// started tells the watcher of a service.
func (s *story) started(binary, metrics string) error {
	if s.watcher == nil {
		return nil
	}
	return s.watcher.add(binary, metrics)
}

// longestDrain is how long a service may take to end after SIGTERM.
const longestDrain = 20 * time.Second

func (s *story) play(ctx context.Context) (report, error) {
	if err := s.crowd.Link(ctx, s.options.sessions); err != nil {
		return report{}, err
	}
	s.say("%d phones linked.", len(s.crowd.Sessions))
	if err := s.crowd.Send(ctx, s.options.recipients); err != nil {
		return report{}, err
	}
	var result report
	if err := s.crash(ctx, &result); err != nil {
		return report{}, err
	}
	if err := s.deploy(ctx, &result); err != nil {
		return report{}, err
	}
	if err := s.awaitMessages(ctx, "all campaigns are complete", 1); err != nil {
		return report{}, err
	}
	return result, s.audit(ctx, &result)
}

func (s *story) say(format string, arguments ...any) { fmt.Fprintf(s.out, format+"\n", arguments...) }

// crash kills a sender while messages go out, and starts another one, as an orchestrator does.
func (s *story) crash(ctx context.Context, result *report) error {
	if err := s.awaitMessages(ctx, "a fifth of the messages is out", 0.2); err != nil {
		return err
	}
	victim, err := s.fleet.Process("sender-1")
	if err != nil {
		return err
	}
	victim.Kill()
	began := time.Now()
	if err := fleet.Await(ctx, "the killed sender's sessions are cut", func(ctx context.Context) (bool, error) {
		connected, err := s.crowd.Connected(ctx)
		return connected < len(s.crowd.Sessions), err
	}); err != nil {
		return err
	}
	if err := s.fleet.Service("sender-3"); err != nil {
		return err
	}
	if err := s.crowd.AwaitConnected(ctx); err != nil {
		return err
	}
	result.FailoverSeconds = time.Since(began).Seconds()
	s.say("A sender was killed; all sessions were connected again after %.1f s.", result.FailoverSeconds)
	return nil
}

// deploy ends the other old sender as a rolling deployment does.
func (s *story) deploy(ctx context.Context, result *report) error {
	if err := s.awaitMessages(ctx, "half of the messages are out", 0.5); err != nil {
		return err
	}
	old, err := s.fleet.Process("sender-2")
	if err != nil {
		return err
	}
	began := time.Now()
	if result.drain, err = old.Terminate(ctx, longestDrain); err != nil {
		return err
	}
	if w := s.watcher; w != nil {
		if err := w.drop(s.fleet.Metrics[old.Name]); err != nil {
			return err
		}
	}
	if err := s.crowd.AwaitConnected(ctx); err != nil {
		return err
	}
	result.handover = time.Since(began)
	s.say("A sender was told to stop: it ended after %.1f s, and all sessions were connected elsewhere after %.1f s.",
		result.drain.Seconds(), result.handover.Seconds())
	return nil
}

// awaitMessages waits until a share of all messages is out; for all of them, until the campaigns say so too.
func (s *story) awaitMessages(ctx context.Context, what string, share float64) error {
	goal := int(share * float64(s.options.sessions*s.options.recipients))
	return fleet.Await(ctx, what, func(ctx context.Context) (bool, error) {
		books, err := s.fleet.Simulator.Books(ctx)
		if err != nil || books.Messages < goal {
			return false, err
		}
		if share < 1 {
			return true, nil
		}
		return s.crowd.Completed(ctx)
	})
}

// audit compares what was planned with what the contacts have.
func (s *story) audit(ctx context.Context, result *report) error {
	tally, err := s.crowd.Count(ctx)
	if err != nil {
		return err
	}
	result.Recipients, result.Lost = tally.Recipients, tally.Lost
	books, err := s.fleet.Simulator.Books(ctx)
	if err != nil {
		return err
	}
	result.Duplicated, result.DoubleConnections = books.Duplicated, doubleConnections(books)
	s.say("%d messages, %d lost, %d seen twice (%d repeats on the wire), %d double connections.",
		result.Recipients, result.Lost, result.Duplicated, books.Repeats, result.DoubleConnections)
	return nil
}

func doubleConnections(books wasim.Books) int {
	count := books.Replaced
	for _, device := range books.Devices {
		count += max(0, device.MaxConnections-1)
	}
	return count
}
