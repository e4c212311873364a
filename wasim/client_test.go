package wasim_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite"

	"github.com/dannsalud/broadcaster/wasim"
)

const (
	ownNumber   = "+4915112345678"
	otherNumber = "+525512345678"
)

func TestMain(m *testing.M) {
	whatsmeow.WACertPubKey = wasim.RootPublicKey()
	goleak.VerifyTestMain(m,
		// whatsmeow leaves its reader behind when a frame arrives while it disconnects: nobody takes the frame any more.
		goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete"))
}

// testWait bounds the wait for something that must happen: virtual time in a bubble.
const testWait = 5 * time.Minute

// newServer makes a server that must have known every stanza in the end.
func newServer(t testing.TB, options wasim.Options) *wasim.Server {
	t.Helper()
	server, err := wasim.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Err(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// inBubble runs a test in a synctest bubble with a server. Traffic settles before the clients are closed, because whatsmeow leaks a
// goroutine if a frame arrives while it disconnects; what is left over drains before the bubble ends.
func inBubble(t *testing.T, options wasim.Options, test func(t *testing.T, server *wasim.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(15 * time.Minute) })
		server := newServer(t, options)
		t.Cleanup(func() { _ = server.Close() })
		defer settle()
		test(t, server)
	})
}

// settledBooks reads the server's books when both sides have come to rest: a client may know of an end before the server has written it down.
// It is for tests in a bubble.
func settledBooks(server *wasim.Server) wasim.Books {
	synctest.Wait()
	return server.Books()
}

// client is a stock whatsmeow client on an in-memory sqlstore, with the events that it raised.
type client struct {
	*whatsmeow.Client
	t         testing.TB
	http      *http.Client
	container *sqlstore.Container
	db        *sql.DB

	mu     sync.Mutex
	events []any
	raised chan struct{}
}

func newContainer(t testing.TB) (*sqlstore.Container, *sql.DB) {
	t.Helper()
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(db, "sqlite", waLog.Noop)
	if err := container.Upgrade(context.Background()); err != nil {
		t.Fatal(err)
	}
	return container, db
}

// settle lets everything happen that is going to happen, in a bubble.
func settle() {
	time.Sleep(2 * time.Minute)
	synctest.Wait()
}

// newClient makes a client of a new, unlinked device; it is closed when the test ends.
func newClient(t testing.TB, through *http.Client) *client {
	t.Helper()
	container, db := newContainer(t)
	c := &client{t: t, http: through, container: container, db: db}
	t.Cleanup(c.close)
	c.open(container.NewDevice())
	return c
}

// open makes the whatsmeow client of a device.
func (c *client) open(device *store.Device) {
	logger := waLog.Noop
	if os.Getenv("WASIM_TEST_LOG") != "" {
		logger = waLog.Stdout("client", "DEBUG", false)
	}
	c.Client = whatsmeow.NewClient(device, logger)
	c.Client.SetPreLoginHTTPClient(c.http)
	c.Client.SetWebsocketHTTPClient(c.http)
	c.Client.SetMediaHTTPClient(c.http)
	c.mu.Lock()
	c.events, c.raised = nil, make(chan struct{}, 1)
	c.mu.Unlock()
	c.Client.AddEventHandler(c.take)
}

func (c *client) take(event any) {
	c.mu.Lock()
	c.events = append(c.events, event)
	c.mu.Unlock()
	select {
	case c.raised <- struct{}{}:
	default:
	}
}

// restart closes the client and makes a new one of the same device, as a new process would.
func (c *client) restart() {
	c.t.Helper()
	c.Disconnect()
	devices, err := c.container.GetAllDevices(context.Background())
	if err != nil || len(devices) != 1 {
		c.t.Fatalf("devices: %v, %v", devices, err)
	}
	c.open(devices[0])
}

func (c *client) connect() {
	c.t.Helper()
	if err := c.Connect(); err != nil {
		c.t.Fatal(err)
	}
}

// close ends the client.
func (c *client) close() {
	c.Disconnect()
	c.http.CloseIdleConnections()
	_ = c.db.Close()
}

// wait waits for the first event that fits, among those already raised as well, and gives it.
func wait[Event any](c *client, fits ...func(Event) bool) Event {
	c.t.Helper()
	timeout := time.NewTimer(testWait)
	defer timeout.Stop()
	for seen := 0; ; {
		c.mu.Lock()
		events := c.events
		c.mu.Unlock()
		for ; seen < len(events); seen++ {
			if event, ok := events[seen].(Event); ok && (len(fits) == 0 || fits[0](event)) {
				return event
			}
		}
		select {
		case <-c.raised:
		case <-timeout.C:
			var missing Event
			c.t.Fatalf("no %T that fits; the client raised %s", missing, c.names())
		}
	}
}

// count tells how many events of a kind were raised.
func count[Event any](c *client) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := 0
	for _, event := range c.events {
		if _, ok := event.(Event); ok {
			found++
		}
	}
	return found
}

// forget drops the events raised so far.
func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = nil
}

// names lists the raised events' types.
func (c *client) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, event := range c.events {
		names = append(names, fmt.Sprintf("%T", event))
	}
	return names
}

// linked makes a phone and a client that is linked to it and connected.
func linked(t testing.TB, server *wasim.Server, through *http.Client, number string, options ...wasim.PhoneOption) (*wasim.Phone, *client) {
	t.Helper()
	phone, err := server.NewPhone(number, options...)
	if err != nil {
		t.Fatal(err)
	}
	return phone, linkTo(t, phone, through)
}

// linkTo links a new client to a phone.
func linkTo(t testing.TB, phone *wasim.Phone, through *http.Client) *client {
	t.Helper()
	c := newClient(t, through)
	c.connect()
	scan(t, phone, wait[*events.QR](c))
	wait[*events.Connected](c)
	return c
}

func scan(t testing.TB, phone *wasim.Phone, qr *events.QR) {
	t.Helper()
	if err := phone.ScanQR(t.Context(), qr.Codes[0]); err != nil {
		t.Fatal(err)
	}
}

func text(body string) *waE2E.Message { return &waE2E.Message{Conversation: proto.String(body)} }

// sendText sends a text and gives the message's id.
func (c *client) sendText(to types.JID, body string) string {
	c.t.Helper()
	response, err := c.SendMessage(c.t.Context(), to, text(body))
	if err != nil {
		c.t.Fatal(err)
	}
	return response.ID
}

// listen serves a server on loopback TCP until the test ends.
func listen(t testing.TB, server *wasim.Server) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { served <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}
