// Package demo runs the main job from one end to the other on real parts: it starts the whole product in one process, links simulated
// phones by scanning the QR that the API serves, imports an audience, sends one campaign per session, waits for the receipts, and
// compares what the simulated contacts received with what was planned.
//
// Nouns: Options (how many sessions and recipients), Summary (the numbers, as printed and as the JSON line), Books (what the
// simulator saw: the only source of Lost and Duplicated).
//
// Callers: `broadcaster demo` and the end-to-end tests, which assert on the Summary. It speaks to the product only through its HTTP API, as
// any other program does; it must never reach into the store or the queue to make a number right.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/pace"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/wasim"
)

// Options say how large the demo is and how it shows itself.
type Options struct {
	// Sessions is the number of phones to link, 1 to MaxSessions; zero: 2.
	Sessions int
	// Recipients is the size of a generated audience, split over the sessions; zero: every session sends to examples/contacts.csv.
	Recipients int
	// Pace sends at a human-like pace instead of as fast as it can.
	Pace bool
	// Keep leaves the product running after the summary, until the context ends.
	Keep bool
	// JSON prints the summary as one JSON object on the last line.
	JSON bool
	// Out takes what a person reads; Terminal says that it is a terminal, where progress bars make sense.
	Out      io.Writer
	Terminal bool
	// Log takes the product's own log; nil: it is dropped.
	Log *slog.Logger

	// seeQR is told of every code, and examine sees what the demo leaves behind before it is removed, for tests.
	seeQR   func(qr string)
	examine func(data string, stage *stage)
}

// largeAudience is the size above which the simulator keeps no message bodies.
const largeAudience = 20_000

// MaxSessions is how many sessions one egress may host (design.md §10).
const MaxSessions = 6

// Run does the main job and gives its numbers. It fails when a message was lost or seen twice.
func Run(ctx context.Context, options Options) (Summary, error) {
	if options.Sessions == 0 {
		options.Sessions = 2
	}
	if options.Sessions < 1 || options.Sessions > MaxSessions {
		return Summary{}, fmt.Errorf("sessions must be 1 to %d, not %d: WhatsApp tolerates no more from one address", MaxSessions, options.Sessions)
	}
	if options.Recipients < 0 || (options.Recipients > 0 && options.Recipients < options.Sessions) {
		return Summary{}, fmt.Errorf("recipients must be at least one per session, not %d", options.Recipients)
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	directory, err := os.MkdirTemp("", "broadcaster-demo-")
	if err != nil {
		return Summary{}, fmt.Errorf("make the demo's data folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(directory) }()

	simulator, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead(), Strict: true, DropPlaintext: options.Recipients > largeAudience})
	if err != nil {
		return Summary{}, fmt.Errorf("start the simulator: %w", err)
	}
	defer func() { _ = simulator.Close() }()
	stage := &stage{options: options, simulator: simulator, key: app.GenerateAdminKey(), began: time.Now()}
	stage.product, err = app.New(app.Options{
		DataDir: directory, Listen: "127.0.0.1:0", WhatsApp: app.SimulatedBy(simulator), Pace: paceOf(options), Links: app.QuickLinks(),
		Limits: app.GapsOnly(paceOf(options)), Hours: app.AnyHour(), // simulated people mind neither the number of messages nor the hour
		AdminKey: stage.key, RequestsPerSecond: -1, // the demo asks all the time how far it is
		SeeQR: options.seeQR, SeeFact: stage.seeFact, Log: options.Log,
	})
	if err != nil {
		return Summary{}, err
	}
	summary, err := stage.play(ctx)
	if options.examine != nil {
		options.examine(directory, stage)
	}
	return summary, err
}

func paceOf(options Options) pace.Options {
	if options.Pace {
		return pace.Human()
	}
	return pace.Options{}
}

// stage is one run of the demo.
type stage struct {
	options   Options
	simulator *wasim.Server
	product   *app.App
	api       *client.Client
	key       string
	began     time.Time
	sessions  []client.Session
	campaigns []client.Campaign
	// voice is held while a line is printed.
	voice sync.Mutex
	// readyEvents counts the facts that say that a link is ready.
	readyEvents atomic.Int64
}

// seeFact counts what the product says of its links.
func (s *stage) seeFact(_ string, data []byte) {
	var fact events.LinkChanged
	if json.Unmarshal(data, &fact) == nil && fact.State == session.LinkReady && fact.LinkID != "" {
		s.readyEvents.Add(1)
	}
}

// play runs the product and the main job beside each other; the product is stopped cleanly when the job is done.
func (s *stage) play(ctx context.Context) (Summary, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.product.Run(ctx) }()
	select {
	case err := <-ended:
		return Summary{}, fmt.Errorf("start the product: %w", errors.Join(err, ctx.Err()))
	case <-s.product.Ready():
	}
	summary, err := s.mainJob(ctx)
	if err == nil {
		err = s.simulator.Err() // a stanza that the simulator does not know makes its numbers worthless
	}
	if err == nil && s.options.Keep {
		s.say("Running at %s (API documentation: %s/docs). Stop it with Ctrl-C.\nAn API key, until then: %s\n", s.product.URL(), s.product.URL(), s.key)
		<-ctx.Done()
	}
	stop()
	return summary, errors.Join(err, <-ended)
}

func (s *stage) mainJob(ctx context.Context) (Summary, error) {
	api, err := client.New(s.product.URL(), nil)
	if err != nil {
		return Summary{}, err
	}
	s.api = api.WithKey(s.key)
	for number := 1; number <= s.options.Sessions; number++ {
		linked, err := s.link(ctx, number)
		if err != nil {
			return Summary{}, fmt.Errorf("link phone %d: %w", number, err)
		}
		s.sessions = append(s.sessions, linked)
	}
	if err := s.send(ctx); err != nil {
		return Summary{}, err
	}
	if err := s.awaitReceipts(ctx); err != nil {
		return Summary{}, err
	}
	summary, err := s.summarise(ctx)
	if err != nil {
		return Summary{}, err
	}
	if err := summary.write(s.options); err != nil {
		return Summary{}, err
	}
	if summary.Lost != 0 || summary.Duplicated != 0 {
		return summary, fmt.Errorf("%d messages lost, %d seen twice", summary.Lost, summary.Duplicated)
	}
	return summary, nil
}

func (s *stage) say(format string, arguments ...any) {
	s.voice.Lock() // the campaigns are followed side by side
	defer s.voice.Unlock()
	_, _ = fmt.Fprintf(s.options.Out, format, arguments...) // a closed terminal must not end the job
}

// phoneNumber gives the number of a simulated phone, in a range of Buenos Aires that is not handed out.
func phoneNumber(number int) string { return "+54911500000" + strconv.Itoa(10+number) }
