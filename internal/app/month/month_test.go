package month

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mau.fi/whatsmeow"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/sender"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/store/sqlite"
	"github.com/dannsalud/broadcaster/internal/wa"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
	"github.com/dannsalud/broadcaster/wasim"
)

const (
	account    = "ses_ana"
	recipients = 1700
	days       = 30
	aDay       = 24 * time.Hour
)

// wroteBefore tells which of the recipients wrote to the account before: first so many that the caps of a young account hold them up, later so many that
// those of an old one do, each for days. Between them are strangers, who have their own cap. Without such stretches a cap could be missed unseen.
func wroteBefore(i int) bool { return i < 150 || i >= 500 && i < 1150 }

// fleet is one sender on an in-memory queue: what is tested here is what it does over a month, not how jobs travel.
type fleet struct {
	t       *testing.T
	runner  *sender.Runner
	inbound *sender.Inbound
	jobs    chan events.RunCampaign
	receipt *sender.Projector

	mu      sync.Mutex
	waiting map[string]int
	answer  func(context.Context, events.SendRequest) events.SendReply
	facts   chan events.Fact
}

func (f *fleet) SendCommand(_ context.Context, command events.Command) error {
	job := command.(events.RunCampaign)
	f.mu.Lock()
	f.waiting[job.Subject()]++
	f.mu.Unlock()
	f.jobs <- job
	return nil
}

func (f *fleet) PublishFact(_ context.Context, fact events.Fact) error {
	f.facts <- fact
	return nil
}

func (f *fleet) Waiting(_ context.Context, subject string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting[subject] > 0, nil
}

func (f *fleet) Watch(context.Context, string, func(string, []byte)) (func(), error) {
	return func() {}, nil
}

func (f *fleet) RequestSend(ctx context.Context, request events.SendRequest) (events.SendReply, error) {
	f.mu.Lock()
	answer := f.answer
	f.mu.Unlock()
	return answer(ctx, request), nil
}

func (f *fleet) ServeSends(_ context.Context, _ session.ID, answer func(context.Context, events.SendRequest) events.SendReply) (func(), error) {
	turn := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = func(ctx context.Context, request events.SendRequest) events.SendReply {
		turn <- struct{}{}
		defer func() { <-turn }()
		return answer(ctx, request)
	}
	return func() {}, nil
}

// work does jobs and handles facts, one after the other, until the context ends.
func (f *fleet) work(ctx context.Context) error {
	var hands sync.WaitGroup
	defer hands.Wait()
	hands.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case job := <-f.jobs:
				if err := f.runner.Handle(ctx, job); err != nil && ctx.Err() == nil {
					f.t.Errorf("a slice ended with %v", err)
				}
				f.mu.Lock()
				f.waiting[job.Subject()]--
				f.mu.Unlock()
			}
		}
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case fact := <-f.facts:
			var err error
			switch fact := fact.(type) {
			case events.MessageReceived:
				err = f.inbound.Handle(ctx, fact)
			case events.MessageReceipt:
				err = f.receipt.Handle(ctx, fact)
			}
			if err != nil && ctx.Err() == nil {
				f.t.Errorf("a fact ended with %v", err)
			}
		}
	}
}

// owner holds every lease: there is one worker.
type owner struct{ done chan struct{} }

func (o owner) Claim(context.Context, session.ID) (sender.Lease, error) { return o, nil }
func (o owner) Epoch() uint64                                           { return 2 }
func (o owner) Done() <-chan struct{}                                   { return o.done }
func (o owner) Held() bool                                              { return true }
func (o owner) Release(context.Context) error                           { return nil }

// whatsApp opens real connections to the simulator.
type whatsApp struct{ *wa.Gateway }

func (w whatsApp) Open(ctx context.Context, request session.OpenRequest) (sender.Connection, error) {
	client, err := w.Gateway.Open(ctx, request)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// TestThirtyDaysKeepEveryLimit: a young account writes to 1700 people, more than half of them strangers, as fast as it may. The simulator's times of arrival
// are compared with every limit, by rules that are written down here once more.
func TestThirtyDaysKeepEveryLimit(t *testing.T) {
	whatsmeow.KeepAliveIntervalMin, whatsmeow.KeepAliveIntervalMax = 50*time.Minute, time.Hour
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		log := slog.New(slog.DiscardHandler)
		database, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(t.TempDir(), "books.db")})
		must(t, err)
		simulator, err := wasim.New(wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead()})
		must(t, err)
		gateway, rows := openGateway(ctx, t, simulator)
		linked, phone := link(ctx, t, gateway, simulator)
		must(t, database.Sessions().Create(ctx, linked))

		f := &fleet{t: t, jobs: make(chan events.RunCampaign, 100), facts: make(chan events.Fact, 10_000), waiting: map[string]int{}}
		books := sender.RunnerOptions{Sessions: database.Sessions(), Campaigns: database.Campaigns(), Deliveries: database.Deliveries(),
			Suppressions: database.Suppressions(), Queue: f, Sends: f, Slice: 6 * time.Hour, Log: log}
		f.runner, err = sender.NewRunner(books)
		must(t, err)
		f.inbound, err = sender.NewInbound(sender.InboundOptions{Campaigns: database.Campaigns(), Deliveries: database.Deliveries(),
			Suppressions: database.Suppressions(), Documents: database.Documents(), Sends: f})
		must(t, err)
		f.receipt, err = sender.NewProjector(database.Deliveries(), nil)
		must(t, err)
		host, err := sender.NewHost(sender.HostOptions{Sessions: database.Sessions(), Campaigns: database.Campaigns(), Deliveries: database.Deliveries(),
			Histories: database.Histories(), Documents: database.Documents(), WhatsApp: whatsApp{gateway}, Leases: owner{make(chan struct{})}, Queue: f,
			Watcher: f, Sends: f, Limits: campaign.DefaultLimits(), SweepEvery: time.Hour, Log: log})
		must(t, err)
		sweeper, err := sender.NewSweeper(sender.SweeperOptions{Sessions: database.Sessions(), Campaigns: database.Campaigns(), Deliveries: database.Deliveries(),
			Queue: f, Watcher: f, Every: time.Minute, Log: log})
		must(t, err)
		var running sync.WaitGroup
		for _, run := range []func(context.Context) error{host.Run, f.work, f.receipt.Run, sweeper.Run, f.runner.Run} {
			running.Go(func() {
				if err := run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Minute)
		for i := range recipients {
			if !wroteBefore(i) {
				continue
			}
			_, err := simulator.Contact(number(i)).Send(ctx, phone.Number(), "hola")
			must(t, err)
			if i%50 == 0 {
				time.Sleep(time.Second)
			}
		}
		time.Sleep(time.Hour)
		hours := campaign.DefaultHours(campaign.DefaultTimeZone)
		begin(ctx, t, database, f, hours)
		time.Sleep(days * aDay)

		arrived := arrivals(simulator)
		counts, err := database.Deliveries().Counts(ctx, "cmp_month")
		must(t, err)
		found, err := database.Campaigns().Get(ctx, "cmp_month")
		must(t, err)
		t.Logf("%d arrived; %s; the campaign is %s %s", len(arrived), counts, found.State, found.Reason)
		judge(t, arrived, linked.LinkedAt, hours)

		stop()
		synctest.Wait()
		running.Wait()
		must(t, simulator.Close())
		must(t, rows.Close())
		must(t, database.Close())
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func number(i int) string { return fmt.Sprintf("+54911%08d", 40000000+i) }

func openGateway(ctx context.Context, t *testing.T, simulator *wasim.Server) (*wa.Gateway, *sqlite.Keys) {
	t.Helper()
	rows, err := sqlite.OpenKeys(ctx, sqlite.Options{Path: filepath.Join(t.TempDir(), "keys.db")})
	must(t, err)
	ring, err := keys.ParseRing(keys.GenerateKey())
	must(t, err)
	kept, err := keys.Open(ctx, keys.Options{Keys: rows, Ring: ring})
	must(t, err)
	gateway, err := wa.New(wa.Options{Keys: kept, Silence: 3 * time.Hour, Endpoint: wa.Endpoint{HTTPClient: simulator.HTTPClient(), RootKey: simulator.RootPublicKey()}})
	must(t, err)
	return gateway, rows
}

// link pairs a phone and gives the session as the linker leaves it.
func link(ctx context.Context, t *testing.T, gateway *wa.Gateway, simulator *wasim.Server) (session.Session, *wasim.Phone) {
	t.Helper()
	phone, err := simulator.NewPhone("+5491150000001")
	must(t, err)
	offered, paired, connected := make(chan string, 1), make(chan session.Device, 1), make(chan struct{}, 4)
	pairing, err := gateway.Pair(ctx, session.PairRequest{Session: account, Epoch: 1, Identity: session.IdentityFor("ana"), Method: session.MethodQR,
		Accept: func(session.Device) error { return nil }, Signals: func(signal session.Signal) {
			switch signal := signal.(type) {
			case session.QROffered:
				offered <- signal.Codes[0]
			case session.Paired:
				paired <- signal.Device
			case session.Connected:
				connected <- struct{}{}
			}
		}})
	must(t, err)
	must(t, phone.ScanQR(ctx, <-offered))
	device := <-paired
	<-connected
	synctest.Wait()
	pairing.Close()
	now := time.Now().UTC()
	return session.Session{ID: account, UserID: "ana", State: session.Offline, Device: device, Egress: session.EgressDirect, LinkedAt: now, CreatedAt: now, UpdatedAt: now}, phone
}

// begin plans the campaign and queues it.
func begin(ctx context.Context, t *testing.T, database *sqlite.DB, f *fleet, hours campaign.Hours) {
	t.Helper()
	now := time.Now().UTC()
	made := campaign.Campaign{ID: "cmp_month", SessionID: account, UserID: "ana", Text: "Hola {{nombre}}", State: campaign.Draft, CreatedAt: now, UpdatedAt: now,
		Settings: campaign.Settings{Hours: hours}}
	must(t, database.Campaigns().Create(ctx, made))
	var people []campaign.ListedRecipient
	for i := range recipients {
		people = append(people, campaign.ListedRecipient{Phone: number(i), Fields: map[string]string{"nombre": "Ana"}})
	}
	audience, err := campaign.ListAudience(people, campaign.AudienceOptions{})
	must(t, err)
	planned, err := campaign.PlanAudience(ctx, database.Deliveries(), made.ID, audience.Rows(), time.Now)
	must(t, err)
	if planned.Planned != recipients {
		t.Fatalf("planned %+v", planned)
	}
	queued, err := campaign.Modify(ctx, database.Campaigns(), made.ID, func(c *campaign.Campaign) error {
		next, err := campaign.Apply(*c, campaign.Queue, time.Now().UTC())
		*c = next
		return err
	})
	must(t, err)
	must(t, f.SendCommand(ctx, events.RunCampaign{Version: events.RunCampaignVersion, CampaignID: queued.ID, SessionID: account, Slice: queued.Slice, RequestedAt: now}))
}

// arrival is one message as the simulator saw it.
type arrival struct {
	at       time.Time
	stranger bool
}

func arrivals(simulator *wasim.Server) []arrival {
	wrote := map[string]bool{}
	for i := range recipients {
		wrote[number(i)] = wroteBefore(i)
	}
	times := map[string]arrival{}
	for message := range simulator.Received() {
		if message.Text == "Hola Ana" {
			times[message.ID] = arrival{at: message.At, stranger: !wrote[message.To]}
		}
	}
	return slices.SortedFunc(maps.Values(times), func(a, b arrival) int { return a.at.Compare(b.at) })
}

// judge holds the times against the limits as docs/pacing.md states them.
func judge(t *testing.T, arrived []arrival, linked time.Time, hours campaign.Hours) {
	t.Helper()
	if len(arrived) < 900 {
		t.Errorf("only %d messages arrived in a month: the limits hold it up more than they should", len(arrived))
	}
	zone, err := time.LoadLocation(hours.TimeZone)
	must(t, err)
	sinceRest := 1
	for i, one := range arrived {
		local := one.at.In(zone)
		if clock := local.Format("15:04"); clock < "09:00" || clock >= "20:00" || local.Weekday() == time.Sunday {
			t.Errorf("message %d arrived on %s", i, local.Format("Mon 15:04:05"))
		}
		daily, dailyNew := warmUp(one.at.Sub(linked))
		within(t, arrived[:i+1], one, time.Hour, 80, false)
		within(t, arrived[:i+1], one, aDay, daily, false)
		if one.stranger {
			within(t, arrived[:i+1], one, aDay, dailyNew, true)
		}
		if i == 0 {
			continue
		}
		gap := one.at.Sub(arrived[i-1].at)
		if gap < 4*time.Second-time.Second/2 { // the simulator's times are those of arrival: the way there may differ by a little
			t.Errorf("message %d came %s behind the one before", i, gap)
		}
		if sinceRest++; gap >= 5*time.Minute-time.Second {
			sinceRest = 1
		}
		if sinceRest > 30 {
			t.Errorf("message %d: %d without a rest", i, sinceRest)
		}
	}
}

// warmUp is the table of docs/pacing.md.
func warmUp(age time.Duration) (daily, dailyNew int) {
	switch {
	case age < aDay:
		return 30, 10
	case age < 3*aDay:
		return 60, 15
	case age < 7*aDay:
		return 120, 25
	case age < 14*aDay:
		return 200, 40
	}
	return 300, 60
}

// within counts what came in the window that ends with a message.
func within(t *testing.T, arrived []arrival, last arrival, window time.Duration, most int, strangers bool) {
	t.Helper()
	count := 0
	for i := len(arrived) - 1; i >= 0 && last.at.Sub(arrived[i].at) < window; i-- {
		if !strangers || arrived[i].stranger {
			count++
		}
	}
	if count > most {
		t.Errorf("%d messages (strangers only: %t) in the %s before %s, at most %d are allowed", count, strangers, window, last.at, most)
	}
}
