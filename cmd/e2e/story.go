package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
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
	fleet     *fleet
	options   options
	out       io.Writer
	sessions  []client.Session
	campaigns []client.Campaign
}

// prove starts the fleet, plays the story and ends the fleet, whatever came of it.
func prove(ctx context.Context, given options, out io.Writer) (result report, err error) {
	fleet, err := newFleet(given)
	if err != nil {
		return report{}, err
	}
	defer func() {
		fleet.stop()
		if err == nil && given.logs == "" {
			err = os.RemoveAll(fleet.dir) //nolint:gosec // the folder that newFleet made
		} else {
			fmt.Fprintln(out, "The logs of the processes are in", fleet.dir)
		}
	}()
	story := &story{fleet: fleet, options: given, out: out}
	if err := fleet.watch(ctx, given); err != nil {
		return report{}, err
	}
	story.sayWatched()
	if err := fleet.start(ctx); err != nil {
		return report{}, err
	}
	if result, err = story.play(ctx); err != nil {
		return report{}, err
	}
	return result, story.alarm(ctx, &result)
}

// longestDrain is how long a service may take to end after SIGTERM.
const longestDrain = 20 * time.Second

func (s *story) play(ctx context.Context) (report, error) {
	for number := 1; number <= s.options.sessions; number++ {
		if err := s.link(ctx, number); err != nil {
			return report{}, fmt.Errorf("link phone %d: %w", number, err)
		}
	}
	if err := s.awaitConnected(ctx); err != nil {
		return report{}, err
	}
	s.say("%d phones linked.", len(s.sessions))
	if err := s.send(ctx); err != nil {
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

func phoneNumber(number int) string { return fmt.Sprintf("+549115000%04d", number) }

// link pairs a simulated phone by the QR that the API shows.
func (s *story) link(ctx context.Context, number int) error {
	phone := phoneNumber(number)
	if err := s.fleet.simulator.NewPhone(ctx, control.NewPhone{Number: phone}); err != nil {
		return err
	}
	created, err := s.fleet.api.CreateSession(ctx, fmt.Sprintf("e2e-user-%d", number), "")
	if err != nil {
		return err
	}
	if _, err := s.fleet.api.StartLink(ctx, created.ID, "qr", ""); err != nil {
		return err
	}
	var code string
	err = s.await(ctx, "a QR is shown", func(ctx context.Context) (bool, error) {
		link, err := s.fleet.api.Link(ctx, created.ID)
		if err != nil || link.Prompt == nil {
			return false, err
		}
		code = link.Prompt.QR
		return code != "", nil
	})
	if err != nil {
		return err
	}
	if err := s.fleet.simulator.ScanQR(ctx, phone, code); err != nil {
		return err
	}
	s.sessions = append(s.sessions, created)
	return s.await(ctx, "the session is ready", func(ctx context.Context) (bool, error) {
		found, err := s.fleet.api.Session(ctx, created.ID)
		return found.State == "ready", err
	})
}

// send starts one campaign per session.
func (s *story) send(ctx context.Context) error {
	for number, session := range s.sessions {
		var audience strings.Builder
		audience.WriteString("nombre,telefono\n")
		for i := range s.options.recipients {
			fmt.Fprintf(&audience, "Paciente %d,+54911%08d\n", i+1, 40_000_000+number*s.options.recipients+i)
		}
		created, err := s.fleet.api.UploadCampaign(ctx, client.NewCampaign{SessionID: session.ID, Name: fmt.Sprint("Campaign ", number+1),
			Text: "Hola {{nombre}}, su turno es mañana."}, strings.NewReader(audience.String()))
		if err != nil {
			return fmt.Errorf("create campaign %d: %w", number+1, err)
		}
		s.campaigns = append(s.campaigns, created)
	}
	return nil
}

// crash kills a sender while messages go out, and starts another one, as an orchestrator does.
func (s *story) crash(ctx context.Context, result *report) error {
	if err := s.awaitMessages(ctx, "a fifth of the messages is out", 0.2); err != nil {
		return err
	}
	victim, err := s.fleet.process("sender-1")
	if err != nil {
		return err
	}
	victim.kill()
	began := time.Now()
	if err := s.await(ctx, "the killed sender's sessions are cut", func(ctx context.Context) (bool, error) {
		connected, err := s.connected(ctx)
		return connected < len(s.sessions), err
	}); err != nil {
		return err
	}
	if _, err := s.fleet.service("sender-3"); err != nil {
		return err
	}
	if err := s.awaitConnected(ctx); err != nil {
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
	old, err := s.fleet.process("sender-2")
	if err != nil {
		return err
	}
	began := time.Now()
	if result.drain, err = old.terminate(ctx, longestDrain); err != nil {
		return err
	}
	if w := s.fleet.watcher; w != nil {
		if err := w.drop(s.fleet.metrics[old.name]); err != nil {
			return err
		}
	}
	if err := s.awaitConnected(ctx); err != nil {
		return err
	}
	result.handover = time.Since(began)
	s.say("A sender was told to stop: it ended after %.1f s, and all sessions were connected elsewhere after %.1f s.",
		result.drain.Seconds(), result.handover.Seconds())
	return nil
}

func (s *story) connected(ctx context.Context) (int, error) {
	books, err := s.fleet.simulator.Books(ctx)
	return books.Connections, err
}

func (s *story) awaitConnected(ctx context.Context) error {
	return s.await(ctx, "all sessions are connected", func(ctx context.Context) (bool, error) {
		connected, err := s.connected(ctx)
		return connected == len(s.sessions), err
	})
}

// awaitMessages waits until a share of all messages is out; for all of them, until the campaigns say so too.
func (s *story) awaitMessages(ctx context.Context, what string, share float64) error {
	goal := int(share * float64(s.options.sessions*s.options.recipients))
	return s.await(ctx, what, func(ctx context.Context) (bool, error) {
		books, err := s.fleet.simulator.Books(ctx)
		if err != nil || books.Messages < goal {
			return false, err
		}
		if share < 1 {
			return true, nil
		}
		for _, sent := range s.campaigns {
			current, err := s.fleet.api.Campaign(ctx, sent.ID)
			if err != nil || current.State != "completed" {
				return false, err
			}
		}
		return true, nil
	})
}

// audit compares what was planned with what the contacts have.
func (s *story) audit(ctx context.Context, result *report) error {
	arrived := map[string]bool{}
	for message, err := range s.fleet.simulator.Everything(ctx) {
		if err != nil {
			return err
		}
		arrived[message.To+" "+message.ID] = true
	}
	for _, sent := range s.campaigns {
		for delivery, err := range s.fleet.api.Deliveries(ctx, sent.ID, "") {
			if err != nil {
				return err
			}
			result.Recipients++
			if !arrived[delivery.Phone+" "+delivery.ID] {
				result.Lost++
			}
		}
	}
	books, err := s.fleet.simulator.Books(ctx)
	if err != nil {
		return err
	}
	result.Duplicated, result.DoubleConnections = books.Duplicated, doubleConnections(books)
	unknown, err := s.fleet.simulator.Unknown(ctx)
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("the simulator did not know %d stanzas, which makes its numbers worthless: %s", len(unknown), strings.Join(unknown, "; "))
	}
	s.say("%d messages, %d lost, %d seen twice (%d repeats on the wire), %d double connections.",
		result.Recipients, result.Lost, result.Duplicated, books.Repeats, result.DoubleConnections)
	return err
}

func doubleConnections(books wasim.Books) int {
	count := books.Replaced
	for _, device := range books.Devices {
		count += max(0, device.MaxConnections-1)
	}
	return count
}

// stepPatience is how long one step of the story may take.
const stepPatience = 3 * time.Minute

var errPatience = errors.New("it took too long")

func (s *story) await(ctx context.Context, what string, reached func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepPatience, errPatience)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		done, err := reached(ctx)
		if done && err == nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
