package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/bus/embed"
	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/mongo/mongotest"
	"github.com/dannsalud/broadcaster/wasim"
)

// fleet is the deployed product: services that share a nats-server on TCP and a MongoDB-wire server, and a simulated WhatsApp. The services run
// in this process, each with its own connections; cmd/e2e runs them as processes.
type fleet struct {
	*world
	options app.Options

	facts struct {
		sync.Mutex
		connecting  []session.ID
		running     map[campaign.ID]bool
		mostRunning int
	}
}

// startFleet starts an API process and those of the named workers.
func startFleet(t *testing.T, workers map[string]app.Role) *fleet {
	t.Helper()
	broker, err := embed.Start(embed.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Stop(); err != nil {
			t.Error(err)
		}
	})
	return startFleetOn(t, broker.ClientURL(), workers, nil)
}

// startFleetOn is startFleet on a broker of the test's own; change changes the options of all services.
func startFleetOn(t *testing.T, broker string, workers map[string]app.Role, change func(*app.Options)) *fleet {
	t.Helper()
	simulator, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := errors.Join(simulator.Close(), simulator.Err()); err != nil {
			t.Error(err)
		}
	})
	uri, database := mongotest.Database(t)
	f := &fleet{world: &world{t: t, simulator: simulator, key: app.GenerateAdminKey(), links: map[string][]session.LinkState{}, hosted: map[string][]events.SessionChanged{}, changed: make(chan struct{}, 1)}}
	f.facts.running = map[campaign.ID]bool{}
	f.options = app.Options{
		Servers: &app.Servers{NATS: broker, Mongo: uri, Database: database}, KeySource: app.KeySource{Key: app.GenerateKey()},
		Listen: "127.0.0.1:0", WhatsApp: app.SimulatedBy(simulator), Links: app.QuickLinks(), LeaseTTL: 3 * time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		AdminKey: f.key, RequestsPerSecond: -1,
	}
	if change != nil {
		change(&f.options)
	}
	products := map[string]*app.App{}
	var starting errgroup.Group
	var mu sync.Mutex
	for name, role := range workers {
		starting.Go(func() error {
			product := f.launch(name, role, nil)
			mu.Lock()
			defer mu.Unlock()
			products[name] = product
			return nil
		})
	}
	f.product = f.launch("api", app.RoleAPI, f.see) // the last one: the order of the start must not matter
	_ = starting.Wait()
	f.api = clientOf(t, f.product, f.key)
	return f
}

// launch runs a service until the test ends, and returns when it is ready.
func (f *fleet) launch(name string, role app.Role, see func(string, []byte)) *app.App {
	options := f.options
	options.Name, options.Roles, options.SeeFact = name, []app.Role{role}, see
	product, stop := f.run(options)
	f.t.Cleanup(stop)
	return product
}

// run runs a service until it is stopped, and returns when it is ready.
func (f *fleet) run(options app.Options) (product *app.App, stop func()) {
	product, err := app.New(options)
	if err != nil {
		f.t.Error(err)
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- product.Run(ctx) }()
	select {
	case <-product.Ready():
	case err := <-ended:
		ended <- err
		f.t.Errorf("%s did not start: %v", options.Name, err)
	}
	return product, sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("%s stopped with: %v", options.Name, err)
		}
	})
}

// see notes in which order links begin, and how many campaigns run at once.
func (f *fleet) see(subject string, data []byte) {
	f.seeFact(subject, data)
	f.facts.Lock()
	defer f.facts.Unlock()
	var link events.LinkChanged
	if json.Unmarshal(data, &link) == nil && link.LinkID != "" && link.State == session.LinkConnecting {
		f.facts.connecting = append(f.facts.connecting, link.SessionID)
	}
	var sent events.CampaignChanged
	if json.Unmarshal(data, &sent) == nil && sent.CampaignID != "" {
		f.facts.running[sent.CampaignID] = sent.State == campaign.Running
		count := 0
		for _, running := range f.facts.running {
			if running {
				count++
			}
		}
		f.facts.mostRunning = max(f.facts.mostRunning, count)
	}
}

func TestTwoLinkersPairOneAtATimeInOrder(t *testing.T) {
	t.Parallel()
	f := startFleet(t, map[string]app.Role{"linker-1": app.RoleLinker, "linker-2": app.RoleLinker})
	const users = 10
	var asked []session.ID
	phones := map[string]*wasim.Phone{}
	for number := 1; number <= users; number++ {
		phone, err := f.simulator.NewPhone(fmt.Sprintf("+54911500000%02d", number))
		if err != nil {
			t.Fatal(err)
		}
		created, err := f.api.CreateSession(t.Context(), fmt.Sprintf("user-%d", number), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.api.StartLink(t.Context(), created.ID, "qr", ""); err != nil {
			t.Fatal(err)
		}
		asked = append(asked, session.ID(created.ID))
		phones[created.ID] = phone
	}
	var scanning errgroup.Group
	for id, phone := range phones {
		scanning.Go(func() error { return f.scanWhenShown(id, phone) })
	}
	if err := scanning.Wait(); err != nil {
		t.Fatal(err)
	}
	for id := range phones {
		f.await("the link is ready", func(ctx context.Context) (bool, error) {
			link, err := f.api.Link(ctx, id)
			return link.State == "ready", err
		})
	}
	if books := f.simulator.Books(); books.MaxPairings != 1 || books.Linked != users || books.Replaced != 0 {
		t.Errorf("%d pairings at once, %d linked, %d replaced; want 1, %d, 0", books.MaxPairings, books.Linked, books.Replaced, users)
	}
	f.facts.Lock()
	defer f.facts.Unlock()
	if !slices.Equal(f.facts.connecting, asked) {
		t.Errorf("asked in the order %v, linked in the order %v", asked, f.facts.connecting)
	}
}

// scanWhenShown scans a session's code as soon as there is one. It runs beside others, so it must not end the test itself.
func (f *fleet) scanWhenShown(id string, phone *wasim.Phone) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		link, err := f.api.Link(ctx, id)
		if err != nil {
			return err
		}
		if link.Prompt != nil && link.Prompt.QR != "" {
			return phone.ScanQR(ctx, link.Prompt.QR)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no code was shown for %s, which is %s", id, link.State)
		case <-ticker.C:
		}
	}
}

func TestTwelveCampaignsRunFiveAtATime(t *testing.T) {
	t.Parallel()
	f := startFleet(t, map[string]app.Role{"linker-1": app.RoleLinker, "sender-1": app.RoleSender, "sender-2": app.RoleSender})
	var created []client.Campaign
	var sessions []string
	for number := 1; number <= 6; number++ {
		linked, _ := f.link(number)
		sessions = append(sessions, linked.ID)
	}
	for round := range 2 {
		for _, id := range sessions {
			created = append(created, f.sendText(id, 12, fmt.Sprintf("Aviso %d para {{nombre}}", round+1)))
		}
	}
	most := 0
	for _, sent := range created {
		f.await("the campaign is complete", func(ctx context.Context) (bool, error) {
			inHand, err := f.product.CampaignJobsInHand(ctx)
			if err != nil {
				return false, err
			}
			most = max(most, inHand)
			found, err := f.api.Campaign(ctx, sent.ID)
			f.last = fmt.Sprintf("%+v", found)
			return found.State == "completed", err
		})
	}
	f.facts.Lock()
	defer f.facts.Unlock()
	if f.facts.mostRunning > 5 || f.facts.mostRunning < 2 {
		t.Errorf("%d campaigns ran at once by the store's facts; want 2 to 5", f.facts.mostRunning)
	}
	if most > 5 || most < 2 {
		t.Errorf("JetStream had %d jobs in hand at once; want 2 to 5", most)
	}
	if books := f.simulator.Books(); books.Messages != 12*12 || books.Duplicated != 0 || books.Replaced != 0 {
		t.Errorf("%d messages, %d seen twice, %d replaced", books.Messages, books.Duplicated, books.Replaced)
	}
}
