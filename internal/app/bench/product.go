package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/wasim"
)

// product is the whole product in this process, on a folder of its own, without a pace. Nothing of it is set up otherwise than in `broadcaster up
// --simulate`.
type product struct {
	app       *app.App
	api       *client.Client
	http      *http.Client
	key       string
	simulator *wasim.Server
	facts     *facts
	stop      func() error
}

// productOptions say what a product runs on.
type productOptions struct {
	directory string
	// simulator is the product's WhatsApp; nil: one of its own, which ends with it.
	simulator *wasim.Server
	// change may set more options of the app; nil: it does not.
	change func(*app.Options)
}

func startProduct(ctx context.Context, options productOptions) (*product, error) {
	var err error
	end := func() error { return nil }
	if options.simulator == nil {
		if options.simulator, err = wasim.New(wasim.Options{AutoContacts: true, DropPlaintext: true}); err != nil {
			return nil, err
		}
		end = options.simulator.Close
	}
	p := &product{simulator: options.simulator, facts: newFacts(),
		http: &http.Client{Timeout: 10 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}}
	settings := app.Options{DataDir: options.directory, Listen: "127.0.0.1:0", WhatsApp: app.SimulatedBy(options.simulator), Links: app.QuickLinks(),
		Log: slog.New(slog.DiscardHandler), SeeFact: p.facts.see, SeeQR: p.facts.seeQR}
	settings.AdminKey, settings.RequestsPerSecond = app.GenerateAdminKey(), -1
	p.key = settings.AdminKey
	if options.change != nil {
		options.change(&settings)
	}
	if p.app, err = app.New(settings); err != nil {
		return nil, errors.Join(err, end())
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.app.Run(running) }()
	p.stop = sync.OnceValue(func() error {
		cancel()
		p.http.CloseIdleConnections()
		return errors.Join(<-ended, end())
	})
	select {
	case <-p.app.Ready():
	case err := <-ended:
		cancel()
		return nil, fmt.Errorf("start the product: %w", errors.Join(err, ctx.Err(), end()))
	}
	if p.api, err = client.New(p.app.URL(), p.http); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.api = p.api.WithKey(p.key)
	return p, nil
}

// link links a phone and gives its session, and how long it took from the command to the fact that it is ready.
func (p *product) link(ctx context.Context, number string) (id string, took time.Duration, err error) {
	phone, err := p.simulator.NewPhone(number)
	if err != nil {
		return "", 0, err
	}
	created, err := p.api.CreateSession(ctx, "bench "+number, "")
	if err != nil {
		return "", 0, err
	}
	ready := p.facts.expect(linkSubject(created.ID), string(session.LinkReady))
	began := time.Now()
	if _, err := p.api.StartLink(ctx, created.ID, "qr", ""); err != nil {
		return "", 0, err
	}
	qr, err := await(ctx, p.facts.codes)
	if err == nil {
		err = phone.ScanQR(ctx, qr)
	}
	if err != nil {
		return "", 0, err
	}
	at, err := await(ctx, ready)
	return created.ID, at.Sub(began), err
}

// linkHosted links a phone and waits until its session is connected by the host, which is behind the link.
func (p *product) linkHosted(ctx context.Context, number string) (id string, err error) {
	if id, _, err = p.link(ctx, number); err == nil {
		err = p.awaitHosted(ctx, id)
	}
	return id, err
}

func (p *product) awaitHosted(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		found, err := p.api.Session(ctx, id)
		if err != nil || found.State == string(session.Ready) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until session %s is connected: %w", id, ctx.Err())
		}
	}
}

// draft makes a campaign for the people with the numbers first to first+size-1.
func (p *product) draft(ctx context.Context, id string, first, size int, text string) (client.Campaign, error) {
	return p.api.UploadCampaign(ctx, client.NewCampaign{SessionID: id, Text: text, Settings: client.Settings{Draft: true}}, people(first, size))
}

// runCampaign starts a draft, waits for its end and gives it.
func (p *product) runCampaign(ctx context.Context, id string) (client.Campaign, error) {
	completed := p.facts.expect(campaignSubject(id), string(campaign.Completed))
	if _, err := p.api.StartCampaign(ctx, id); err != nil {
		return client.Campaign{}, err
	}
	if _, err := await(ctx, completed); err != nil {
		return client.Campaign{}, err
	}
	return p.api.Campaign(ctx, id)
}

// people is an audience, made as it is read.
func people(first, size int) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		_, err := io.WriteString(writer, "nombre,telefono,turno,medico\n")
		var lines strings.Builder
		for i := 0; i < size && err == nil; i++ {
			fmt.Fprintf(&lines, "Ana María %d,%s,lunes 10:30,Dra. Quiroga\n", first+i, recipient(first+i))
			if lines.Len() > 32<<10 || i == size-1 {
				_, err = io.WriteString(writer, lines.String())
				lines.Reset()
			}
		}
		_ = writer.CloseWithError(err) // it never fails
	}()
	return reader
}

// recipient is the number of the nth person, in a range of Buenos Aires.
func recipient(n int) string { return fmt.Sprintf("+54911%08d", 20_000_000+n) }

// ownNumber is the number of the nth phone that is linked.
func ownNumber(n int) string { return fmt.Sprintf("+54911%08d", 10_000_000+n) }

func campaignSubject(id string) string { return "events.campaign." + id + ".state" }

func linkSubject(id string) string { return "events.session." + id + ".link" }

// facts lets workloads wait for what the product tells, without asking it again and again.
type facts struct {
	codes chan string

	mu       sync.Mutex
	expected map[[2]string]chan time.Time
}

func newFacts() *facts {
	return &facts{codes: make(chan string, 1024), expected: map[[2]string]chan time.Time{}}
}

// expect gives a channel that gets the time at which a fact with this subject and state is seen.
func (f *facts) expect(subject, state string) <-chan time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := make(chan time.Time, 1)
	f.expected[[2]string{subject, state}] = seen
	return seen
}

// see is told of every fact.
func (f *facts) see(subject string, data []byte) {
	if strings.HasPrefix(subject, "events.message.") {
		return // of each message; nobody waits for one
	}
	now := time.Now()
	var fact struct {
		State string `json:"state"`
	}
	if json.Unmarshal(data, &fact) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := [2]string{subject, fact.State}
	if seen := f.expected[key]; seen != nil {
		seen <- now
		delete(f.expected, key)
	}
}

func (f *facts) seeQR(qr string) {
	select {
	case f.codes <- qr:
	default: // nobody scans
	}
}

// patience is how long anything that a workload waits for may take.
const patience = 2 * time.Minute

// await waits for something, but not for ever.
func await[T any](ctx context.Context, something <-chan T) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case value := <-something:
		return value, nil
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("wait for the product: %w", ctx.Err())
	}
}
