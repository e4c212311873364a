package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/dannsalud/broadcaster/cmd/internal/fleet"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/wasim"
)

// report is what a run came to; the package's comment says what each number means.
type report struct {
	Faults            int     `json:"faults"`
	Recipients        int     `json:"recipients"`
	Lost              int     `json:"lost"`
	Duplicated        int     `json:"duplicated"`
	DoubleConnections int     `json:"double_connections"`
	ResentOnWire      int     `json:"resent_on_wire"`
	FailoverP99       float64 `json:"failover_p99_s"`
}

func (r report) verdict(given options) error {
	switch {
	case r.Recipients != given.sessions*given.recipients:
		return fmt.Errorf("%d recipients were planned, not %d", r.Recipients, given.sessions*given.recipients)
	case r.Lost+r.Duplicated+r.DoubleConnections > 0:
		return fmt.Errorf("%d messages lost, %d seen twice, %d double connections", r.Lost, r.Duplicated, r.DoubleConnections)
	case !given.slow && r.FailoverP99 > 2*given.ttl.Seconds():
		return fmt.Errorf("failover took %.1f s, more than two lease TTLs of %s", r.FailoverP99, given.ttl)
	}
	return nil
}

// story is what happens to a fleet.
type story struct {
	fleet   *fleet.Fleet
	crowd   *fleet.Crowd
	network *network
	options options
	out     io.Writer
	began   time.Time
	// failovers are in seconds, one for each session that had to move.
	failovers []float64
}

// prove starts the fleet, does the harm, counts, and ends the fleet, whatever came of it.
func prove(ctx context.Context, given options, out io.Writer) (result report, err error) {
	network, err := newNetwork(ctx)
	if err != nil {
		return report{}, err
	}
	defer network.close()
	s := &story{network: network, options: given, out: out, began: time.Now()}
	s.fleet, err = fleet.New(fleet.Options{Name: "chaos", Logs: given.logs, Binaries: given.binaries, Program: given.program,
		AdminKey: app.GenerateAdminKey(), Senders: given.senders, Settings: []string{"LEASE_TTL=" + given.ttl.String()}, Ways: network.lay})
	if err != nil {
		return report{}, err
	}
	s.crowd = &fleet.Crowd{Fleet: s.fleet}
	defer func() {
		if err != nil {
			s.fleet.Dump(ctx)
		}
		s.fleet.Stop()
		if err == nil {
			err = result.verdict(given)
		}
		if err == nil && given.logs == "" {
			err = os.RemoveAll(s.fleet.Dir)
		} else {
			_, _ = fmt.Fprintln(out, "The logs of the processes are in", s.fleet.Dir)
		}
	}()
	if err := s.play(ctx); err != nil {
		return report{}, err
	}
	return s.count(ctx)
}

func (s *story) play(ctx context.Context) error {
	if err := s.fleet.Start(ctx); err != nil {
		return err
	}
	if err := s.crowd.Link(ctx, s.options.sessions); err != nil {
		return err
	}
	if err := s.fleet.Simulator.SetLatency(ctx, s.options.latency); err != nil {
		return err
	}
	if err := s.crowd.Send(ctx, s.options.recipients); err != nil {
		return err
	}
	s.say("%d phones linked, %d messages to send; seed %d.", s.options.sessions, s.options.sessions*s.options.recipients, s.options.seed)
	made := plan{seed: s.options.seed, faults: s.options.faults, senders: s.options.senders, ttl: s.options.ttl, kinds: s.options.kinds}
	for number, next := range made.schedule() {
		if err := pause(ctx, next.Calm); err != nil {
			return err
		}
		if err := s.suffer(ctx, next); err != nil {
			return fmt.Errorf("fault %d, %s: %w", number+1, next, err)
		}
		if err := s.allAlive(); err != nil {
			return fmt.Errorf("fault %d, %s: %w", number+1, next, err)
		}
	}
	return s.settle(ctx)
}

// settle waits until everything that was planned is done.
func (s *story) settle(ctx context.Context) error {
	books, err := s.fleet.Simulator.Books(ctx)
	if err != nil {
		return err
	}
	s.say("The faults are over; %d messages are out.", books.Messages)
	if err := s.fleet.Simulator.SetLatency(ctx, 0); err != nil {
		return err
	}
	if err := s.awaitComplete(ctx, books.Messages); err != nil {
		return err
	}
	return s.allAlive()
}

// awaitComplete waits until all campaigns are complete, for as long as more messages go out than those that were out before.
func (s *story) awaitComplete(ctx context.Context, before int) error {
	for {
		var last error
		err := fleet.Await(ctx, "all campaigns are complete", func(ctx context.Context) (bool, error) {
			var done bool
			done, last = s.crowd.Completed(ctx) // the API may still be coming back
			return done && last == nil, nil
		})
		if err == nil {
			return nil
		}
		books, asked := s.fleet.Simulator.Books(ctx)
		if asked != nil || books.Messages == before {
			return fmt.Errorf("%w (%s)", errors.Join(err, last, asked), s.describe(ctx))
		}
		before = books.Messages
	}
}

// describe tells of campaigns that are not complete.
func (s *story) describe(ctx context.Context) string {
	text := ""
	for _, sent := range s.crowd.Campaigns {
		current, err := s.fleet.API.Campaign(context.WithoutCancel(ctx), sent.ID)
		text += fmt.Sprintf("%s is %s %s %+v %v; ", sent.Name, current.State, current.Reason, current.Counts, err)
	}
	return text
}

// allAlive tells of a process that ended by itself.
func (s *story) allAlive() error {
	names := []string{"api", "linker", "nats-server", "wasim"}
	if s.fleet.Database != nil {
		names = append(names, "ferret")
	}
	for number := range s.options.senders {
		names = append(names, senderName(number+1))
	}
	for _, name := range names {
		if found, err := s.fleet.Process(name); err != nil || found.Ended() {
			return fmt.Errorf("%s ended by itself, which nothing made it do: %w", name, err)
		}
	}
	return nil
}

func senderName(number int) string { return fmt.Sprint("sender-", number) }

func (s *story) count(ctx context.Context) (report, error) {
	tally, err := s.crowd.Count(ctx)
	if err != nil {
		return report{}, err
	}
	books, err := s.fleet.Simulator.Books(ctx)
	if err != nil {
		return report{}, err
	}
	result := report{Faults: s.options.faults, Recipients: tally.Recipients, Lost: tally.Lost + tally.Misrecorded, Duplicated: books.Duplicated,
		DoubleConnections: s.doubleConnections(books), ResentOnWire: books.Repeats, FailoverP99: percentile99(s.failovers)}
	s.say("%d messages: %d never arrived, %d recorded wrongly, %d seen twice, %d resent on the wire. %d takeovers, %d of them from connections that could be used. %d sessions moved by failover, the slowest after %.1f s.",
		tally.Recipients, tally.Lost, tally.Misrecorded, result.Duplicated, result.ResentOnWire, len(books.Takeovers), result.DoubleConnections, len(s.failovers), result.FailoverP99)
	return result, nil
}

// doubleConnections counts takeovers from connections that their clients could have used.
func (s *story) doubleConnections(books wasim.Books) int {
	count := 0
	for _, one := range books.Takeovers {
		from, by := s.network.carrier(one.From), s.network.carrier(one.By)
		if one.Silent || s.network.mute(from, one.At, s.options.ttl/5) {
			continue
		}
		count++
		s.say("Double connection: %q took a session over from %q, %.1f s into the run.", by, from, one.At.Sub(s.began).Seconds())
	}
	return count
}

// percentile99 is the nearest-rank percentile, rounded up to a hundredth; zero of none.
func percentile99(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return math.Ceil(sorted[(len(sorted)*99+99)/100-1]*100) / 100
}

func (s *story) say(format string, arguments ...any) {
	_, _ = fmt.Fprintf(s.out, "%6.1f  "+format+"\n", append([]any{time.Since(s.began).Seconds()}, arguments...)...)
}

// pause waits; it is how long faults last and how long it is calm between them.
func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(max(0, length))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
