package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dannsalud/broadcaster/client"
	"github.com/dannsalud/broadcaster/internal/app"
	"github.com/dannsalud/broadcaster/internal/bus/embed/embedtest"
	"github.com/dannsalud/broadcaster/internal/events"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

func TestMain(m *testing.M) {
	served, err := embedtest.Serve()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if served {
		os.Exit(0)
	}
	goleak.VerifyTestMain(m,
		// The embedded nats-server leaves this one behind each start; it reads the machine's load.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/pse.periodic"),
		// whatsmeow leaves its reader behind when a frame arrives while it disconnects: nobody takes the frame any more.
		goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

// world is the whole product in this process, on a simulated WhatsApp.
type world struct {
	t         *testing.T
	simulator *wasim.Server
	product   *app.App
	api       *client.Client
	// key is the admin key of api.
	key string

	mu      sync.Mutex
	links   map[string][]session.LinkState
	hosted  map[string][]events.SessionChanged
	changed chan struct{}
	// last is the last answer while the test waits, for its failure message.
	last string
}

// clientOf gives a client of a product with a key.
func clientOf(t testing.TB, product *app.App, key string) *client.Client {
	t.Helper()
	api, err := client.New(product.URL(), http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	return api.WithKey(key)
}

func start(t *testing.T) *world {
	t.Helper()
	return startWith(t, func(*app.Options, *wasim.Server) {})
}

// startWith is start with other options.
func startWith(t *testing.T, change func(*app.Options, *wasim.Server)) *world {
	t.Helper()
	return startOn(t, wasim.Options{AutoContacts: true, Receipts: wasim.DeliveredAndRead()}, change)
}

// startOn is startWith on another simulator.
func startOn(t *testing.T, simulated wasim.Options, change func(*app.Options, *wasim.Server)) *world {
	t.Helper()
	simulator, err := wasim.New(simulated)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, simulator: simulator, key: app.GenerateAdminKey(), links: map[string][]session.LinkState{}, hosted: map[string][]events.SessionChanged{}, changed: make(chan struct{}, 1)}
	options := app.Options{
		DataDir: t.TempDir(), Listen: "127.0.0.1:0", WhatsApp: app.SimulatedBy(simulator), Links: app.QuickLinks(), SeeFact: w.seeFact,
		Log: slog.New(slog.DiscardHandler), AdminKey: w.key, RequestsPerSecond: -1,
	}
	change(&options, simulator)
	if w.product, err = app.New(options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.product.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the product stopped with: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		if err := simulator.Close(); err != nil {
			t.Error(err)
		}
		if err := simulator.Err(); err != nil {
			t.Errorf("the simulator did not know: %v", err)
		}
	})
	select {
	case <-w.product.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("the product did not start: %v", err)
	}
	w.api = clientOf(t, w.product, w.key)
	return w
}

// seeFact notes the states of links in the order in which they were published.
func (w *world) seeFact(_ string, data []byte) {
	var fact events.LinkChanged
	if json.Unmarshal(data, &fact) == nil && fact.LinkID != "" {
		w.mu.Lock()
		w.links[fact.LinkID] = append(w.links[fact.LinkID], fact.State)
		w.mu.Unlock()
	}
	var changed events.SessionChanged
	if json.Unmarshal(data, &changed) == nil && changed.State != "" && fact.LinkID == "" {
		w.mu.Lock()
		w.hosted[string(changed.SessionID)] = append(w.hosted[string(changed.SessionID)], changed)
		w.mu.Unlock()
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *world) states(link string) []session.LinkState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]session.LinkState(nil), w.links[link]...)
}

// await asks whenever something was published, and now and then besides, until the answer is yes.
func (w *world) await(what string, reached func(context.Context) (bool, error)) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), longestWait)
	defer cancel()
	idle := time.AfterFunc(idleWait, cancel)
	defer idle.Stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		done, err := reached(ctx)
		if err != nil {
			w.t.Fatalf("%s: %v; the last answer was %s", what, err, w.last)
		}
		if done {
			return
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("waited too long: %s; the last answer was %s", what, w.last)
		case <-w.changed:
			idle.Reset(idleWait)
		case <-ticker.C:
		}
	}
}

// A test that waits gives up after a time in which nothing was told, or after a long one: a busy machine is slow, and not broken, as long as it goes on.
const (
	idleWait    = time.Minute
	longestWait = 5 * time.Minute
)

func (w *world) link(number int) (client.Session, *wasim.Phone) {
	w.t.Helper()
	phone, err := w.simulator.NewPhone(fmt.Sprintf("+54911500000%02d", number))
	if err != nil {
		w.t.Fatal(err)
	}
	created, err := w.api.CreateSession(w.t.Context(), fmt.Sprintf("user-%d", number), "")
	if err != nil {
		w.t.Fatal(err)
	}
	w.scan(created.ID, phone)
	w.awaitState(created.ID, "ready")
	return created, phone
}

func (w *world) scan(id string, phone *wasim.Phone) {
	w.t.Helper()
	if _, err := w.api.StartLink(w.t.Context(), id, "qr", ""); err != nil {
		w.t.Fatal(err)
	}
	var prompt *client.Prompt
	w.await("a QR is shown", func(ctx context.Context) (bool, error) {
		link, err := w.api.Link(ctx, id)
		prompt = link.Prompt
		return prompt != nil, err
	})
	if err := phone.ScanQR(w.t.Context(), prompt.QR); err != nil {
		w.t.Fatalf("scan: %v", err)
	}
}

func (w *world) awaitState(id, state string) client.Session {
	w.t.Helper()
	var found client.Session
	w.await("session is "+state, func(ctx context.Context) (done bool, err error) {
		found, err = w.api.Session(ctx, id)
		return found.State == state, err
	})
	return found
}

func (w *world) awaitCounter(name string, least float64) {
	w.t.Helper()
	w.await(fmt.Sprintf("%s is %v", name, least), func(context.Context) (bool, error) {
		value, err := w.product.Counters(name)
		return value >= least, err
	})
}

func (w *world) strike(phone *wasim.Phone, action script.Action) {
	w.t.Helper()
	if _, err := w.simulator.Script(script.Rule{On: script.Clock, Account: phone.Number(), Times: 1, Do: action}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) send(id string, recipients int) client.Campaign {
	w.t.Helper()
	return w.sendText(id, recipients, "Hola {{nombre}}")
}

func (w *world) sendText(id string, recipients int, text string) client.Campaign {
	w.t.Helper()
	var file strings.Builder
	file.WriteString("nombre,telefono\n")
	for i := range recipients {
		fmt.Fprintf(&file, "Ana %d,+54911%08d\n", i, 40000000+i)
	}
	created, err := w.api.UploadCampaign(w.t.Context(), client.NewCampaign{SessionID: id, Text: text}, strings.NewReader(file.String()))
	if err != nil {
		w.t.Fatal(err)
	}
	return created
}

func (w *world) awaitCampaign(id, state string) client.Campaign {
	w.t.Helper()
	var found client.Campaign
	w.await("campaign is "+state, func(ctx context.Context) (done bool, err error) {
		found, err = w.api.Campaign(ctx, id)
		if err == nil {
			w.last = fmt.Sprintf("%+v", found)
		}
		return found.State == state, err
	})
	return found
}

func TestQRAfterReadyIsOnlyCounted(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	before := len(w.states(w.linkOf(linked.ID)))
	w.strike(phone, script.OfferLateQR())
	w.awaitCounter("wa_hosted_qr_ignored_total", 1)
	w.unharmed(linked.ID, before)
}

func TestSecondConnectedIsOnlyCounted(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	before := len(w.states(w.linkOf(linked.ID)))
	w.strike(phone, script.SucceedAgain())
	w.awaitCounter("wa_hosted_ready_duplicates_total", 1)
	w.unharmed(linked.ID, before)
}

func TestSecondLinkOfAReadySessionIsOnlyCounted(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, _ := w.link(1)
	before := len(w.states(w.linkOf(linked.ID)))
	if _, err := w.api.StartLink(t.Context(), linked.ID, "qr", ""); !client.IsCode(err, "session_linked") {
		t.Errorf("the API answered %v", err)
	}
	// A command that slips past the API, as a redelivered one may.
	err := w.product.SendCommand(t.Context(), events.LinkSession{Version: events.LinkSessionVersion, SessionID: session.ID(linked.ID),
		LinkID: "an-older-attempt", Method: session.MethodQR})
	if err != nil {
		t.Fatal(err)
	}
	w.awaitCounter("link_commands_refused_total", 1)
	w.unharmed(linked.ID, before)
}

func (w *world) linkOf(id string) string {
	w.t.Helper()
	link, err := w.api.Link(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return link.ID
}

// unharmed checks that a session is ready as before: no further state of its link was published, no second device exists, and it sends.
func (w *world) unharmed(id string, linkStates int) {
	w.t.Helper()
	w.awaitState(id, "ready")
	states := w.states(w.linkOf(id))
	ready := 0
	for _, state := range states {
		if state == session.LinkReady {
			ready++
		}
	}
	if ready != 1 || len(states) != linkStates {
		w.t.Errorf("link states %v: want one ready and nothing after it", states)
	}
	created := w.send(id, 3)
	w.awaitCampaign(created.ID, "completed")
	books := w.simulator.Books()
	if books.Linked != 1 || books.Messages != 3 || books.Replaced != 0 {
		w.t.Errorf("%d devices, %d messages, %d replaced; want 1, 3, 0", books.Linked, books.Messages, books.Replaced)
	}
}

func TestCutConnectionComesBackAndTheCampaignGoesOn(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	if _, err := w.simulator.Script(script.Rule{On: script.Message, Account: phone.Number(), Skip: 20, Times: 1, Do: script.CutConnection()}); err != nil {
		t.Fatal(err)
	}
	created := w.send(linked.ID, 60)
	ended := w.awaitCampaign(created.ID, "completed")
	books := w.simulator.Books()
	if books.Messages != 60 || books.Duplicated != 0 || ended.Counts.Failed != 0 {
		t.Errorf("%d messages, %d seen twice, counts %+v", books.Messages, books.Duplicated, ended.Counts)
	}
}

func TestLogoutPausesTheCampaignAndLinkingAgainResumesIt(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	if _, err := w.simulator.Script(script.Rule{On: script.Message, Account: phone.Number(), Skip: 10, Times: 1, Do: script.RemoveDevice()}); err != nil {
		t.Fatal(err)
	}
	created := w.send(linked.ID, 30)
	out := w.awaitState(linked.ID, "logged_out")
	if out.Reason != "device_removed" {
		t.Errorf("reason %q", out.Reason)
	}
	w.awaitCampaign(created.ID, "paused")
	w.scan(linked.ID, phone)
	w.awaitState(linked.ID, "ready")
	w.awaitCampaign(created.ID, "completed")
	if books := w.simulator.Books(); books.Messages != 30 || books.Duplicated != 0 {
		t.Errorf("%d messages, %d seen twice", books.Messages, books.Duplicated)
	}
}

// TestPhoneOfAnotherSessionIsRefused, and which session has it is told to its own user only.
func TestPhoneOfAnotherSessionIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	first, phone := w.link(1)
	for _, user := range []string{"somebody else", first.UserID} {
		second, err := w.api.CreateSession(t.Context(), user, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.api.StartLink(t.Context(), second.ID, "qr", ""); err != nil {
			t.Fatal(err)
		}
		if err := phone.ScanQR(t.Context(), w.awaitLink(second.ID, "qr").Prompt.QR); err == nil {
			t.Error("the phone was accepted")
		}
		link := w.awaitLink(second.ID, "duplicate")
		if told := link.Holder != nil; told != (user == first.UserID) || told && (link.Holder.ID != first.ID || link.Holder.Name != first.Name) {
			t.Errorf("%s is told of %+v", user, link.Holder)
		}
		if state := w.awaitState(second.ID, "new"); state.Reason != "number_already_linked" {
			t.Errorf("reason %q", state.Reason)
		}
	}
	if devices := phone.Devices(); len(devices) != 1 {
		t.Errorf("%d devices on the phone, want 1", len(devices))
	}
}

func TestDeletedSessionDisappearsFromThePhone(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	if err := w.api.DeleteSession(t.Context(), linked.ID); err != nil {
		t.Fatal(err)
	}
	w.await("the session is gone", func(ctx context.Context) (bool, error) {
		_, err := w.api.Session(ctx, linked.ID)
		if client.IsCode(err, "not_found") {
			return true, nil
		}
		return false, err
	})
	if devices := phone.Devices(); len(devices) != 0 {
		t.Errorf("%d devices still on the phone", len(devices))
	}
}

func TestPauseHoldsAndResumeCompletes(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.simulator.SetLatency(2 * time.Millisecond)
	linked, _ := w.link(1)
	created := w.send(linked.ID, 200)
	w.await("some messages arrived", func(context.Context) (bool, error) { return w.simulator.Books().Messages >= 20, nil })
	if _, err := w.api.PauseCampaign(t.Context(), created.ID); err != nil {
		t.Fatal(err)
	}
	atPause := w.simulator.Books().Messages
	w.await("the slice has ended", func(context.Context) (bool, error) {
		running, err := w.product.Gauge("campaigns_running")
		return running == 0, err
	})
	if after := w.simulator.Books().Messages; after > atPause+1 {
		t.Errorf("%d messages arrived after the pause was answered", after-atPause)
	}
	if _, err := w.api.ResumeCampaign(t.Context(), created.ID); err != nil {
		t.Fatal(err)
	}
	w.awaitCampaign(created.ID, "completed")
	if books := w.simulator.Books(); books.Messages != 200 || books.Duplicated != 0 || books.Repeats != 0 {
		t.Errorf("%d messages, %d seen twice, %d repeated on the wire", books.Messages, books.Duplicated, books.Repeats)
	}
}

func TestNumbersThatCannotBeWrittenToAreNamedAndTheOthersGetTheirs(t *testing.T) {
	t.Parallel()
	w := start(t)
	linked, phone := w.link(1)
	if _, err := w.simulator.Declare("+5491140000001", wasim.Profile{NotOnWhatsApp: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.simulator.Script(script.Rule{On: script.Message, Account: phone.Number(), Recipient: "+5491140000002", Do: script.RefuseMessage(463)}); err != nil {
		t.Fatal(err)
	}
	created := w.send(linked.ID, 5)
	ended := w.awaitCampaign(created.ID, "completed")
	if ended.Counts.Skipped != 2 {
		t.Errorf("counts %+v, want 2 skipped", ended.Counts)
	}
	codes := map[string]string{}
	for delivery, err := range w.api.Deliveries(t.Context(), created.ID, "skipped") {
		if err != nil {
			t.Fatal(err)
		}
		codes[delivery.Phone] = delivery.Code
	}
	if codes["+5491140000001"] != "recipient_not_on_whatsapp" || codes["+5491140000002"] != "reach_out_refused" {
		t.Errorf("codes %v", codes)
	}
}
