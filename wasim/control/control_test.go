package control_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
	"github.com/dannsalud/broadcaster/wasim/script"
)

const (
	ownNumber   = "+4915112345678"
	otherNumber = "+525512345678"
)

func TestMain(m *testing.M) {
	whatsmeow.WACertPubKey = wasim.RootPublicKey()
	goleak.VerifyTestMain(m)
}

// serve runs a simulator on TCP with its control API and gives the API's client.
func serve(t *testing.T) (*control.Client, control.Info) {
	t.Helper()
	server, err := wasim.New(wasim.Options{Strict: true, AutoContacts: true, Receipts: wasim.DeliveredAndRead()})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	api := httptest.NewServer(control.NewHandler(server, control.Info{Address: listener.Addr().String()}))
	t.Cleanup(func() {
		api.Close()
		cancel()
		if err := errors.Join(<-served, server.Err()); err != nil {
			t.Error(err)
		}
	})
	client := control.NewClient(api.URL+"/", api.Client())
	info, err := client.Server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if [32]byte(info.RootPublicKey) != wasim.RootPublicKey() {
		t.Error("the API tells another key")
	}
	return client, info
}

// device is a stock whatsmeow client.
type device struct {
	*whatsmeow.Client
	raised chan any
}

func newDevice(t *testing.T, info control.Info) *device {
	t.Helper()
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(db, "sqlite", waLog.Noop)
	if err := container.Upgrade(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := &device{Client: whatsmeow.NewClient(container.NewDevice(), waLog.Noop), raised: make(chan any, 1000)}
	through := wasim.DialClient(info.Address)
	d.SetPreLoginHTTPClient(through)
	d.SetWebsocketHTTPClient(through)
	d.SetMediaHTTPClient(through)
	d.AddEventHandler(func(event any) { d.raised <- event })
	t.Cleanup(func() {
		d.Disconnect()
		through.CloseIdleConnections()
		_ = db.Close()
	})
	if err := d.Connect(); err != nil {
		t.Fatal(err)
	}
	return d
}

// next waits for the next event of a kind.
func next[Event any](t *testing.T, d *device) Event {
	t.Helper()
	for {
		select {
		case event := <-d.raised:
			if found, ok := event.(Event); ok {
				return found
			}
		case <-time.After(30 * time.Second):
			var missing Event
			t.Fatalf("no %T", missing)
		}
	}
}

func (d *device) sendText(t *testing.T, number, body string) error {
	t.Helper()
	to := types.NewJID(strings.TrimPrefix(number, "+"), types.DefaultUserServer)
	_, err := d.SendMessage(t.Context(), to, &waE2E.Message{Conversation: proto.String(body)})
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestStoryOverHTTP does everything that the API can do to one stock client.
func TestStoryOverHTTP(t *testing.T) {
	t.Parallel()
	client, info := serve(t)
	ctx := t.Context()
	must(t, client.NewPhone(ctx, control.NewPhone{Number: ownNumber, PushName: "Ana", Platform: "iphone", Business: "Clinic"}))
	must(t, client.Declare(ctx, otherNumber, wasim.Profile{Devices: 2, PushName: "Bob"}))

	d := newDevice(t, info)
	must(t, client.ScanQR(ctx, ownNumber, next[*events.QR](t, d).Codes[0]))
	if paired := next[*events.PairSuccess](t, d); paired.Platform != "iphone" || paired.BusinessName != "Clinic" {
		t.Errorf("paired %+v", paired)
	}
	next[*events.Connected](t, d)
	next[*events.AppStateSyncComplete](t, d)

	rule, err := client.Script(ctx, script.Rule{Name: "once", On: script.Message, Times: 1, Do: script.RefuseMessage(463)})
	must(t, err)
	if err := d.sendText(t, otherNumber, "refused"); err == nil || !strings.HasSuffix(err.Error(), "463") {
		t.Errorf("send: %v", err)
	}
	must(t, d.sendText(t, otherNumber, "hello"))
	read := next[*events.Receipt](t, d)
	for read.Type != types.ReceiptTypeRead {
		read = next[*events.Receipt](t, d)
	}
	received, err := client.Received(ctx, otherNumber)
	must(t, err)
	if len(received) != 1 || received[0].Text != "hello" || len(received[0].Devices) != 2 || received[0].From != ownNumber {
		t.Errorf("received %+v", received)
	}
	var everything []string
	for message, err := range client.Everything(ctx) {
		must(t, err)
		everything = append(everything, message.To+" "+message.Text)
	}
	if diff := cmp.Diff([]string{otherNumber + " hello"}, everything); diff != "" {
		t.Error(diff)
	}
	copies, err := client.CopiesOf(ctx, ownNumber)
	must(t, err)
	undecrypted, err := client.Undecrypted(ctx, otherNumber)
	must(t, err)
	if len(copies) != 1 || len(undecrypted) != 0 {
		t.Errorf("copies %+v, undecrypted %+v", copies, undecrypted)
	}

	rule, err = client.Rule(ctx, rule.ID)
	must(t, err)
	rules, err := client.Rules(ctx)
	must(t, err)
	if rule.Hits != 1 || rule.Rule.Name != "once" || len(rules) != 1 {
		t.Errorf("rule %+v, rules %+v", rule, rules)
	}
	must(t, client.StopRule(ctx, rule.ID))
	must(t, client.SetLatency(ctx, time.Millisecond))

	id, err := client.Send(ctx, otherNumber, ownNumber, "hola")
	must(t, err)
	if got := next[*events.Message](t, d); got.Info.ID != id || got.Info.PushName != "Bob" || got.Message.GetConversation() != "hola" {
		t.Errorf("got %+v", got.Info)
	}
	sent, err := client.Sent(ctx, otherNumber)
	must(t, err)
	if len(sent) != 1 || sent[0].Text != "hola" {
		t.Errorf("sent %+v", sent)
	}
	id, err = client.SendFromPhone(ctx, ownNumber, otherNumber, "from the phone")
	must(t, err)
	if got := next[*events.Message](t, d); got.Info.ID != id || !got.Info.IsFromMe {
		t.Errorf("got %+v", got.Info)
	}
	must(t, client.SetPushName(ctx, ownNumber, "Ana María"))
	if name := next[*events.PushNameSetting](t, d).Action.GetName(); name != "Ana María" {
		t.Errorf("push name %q", name)
	}
	books, err := client.Books(ctx)
	must(t, err)
	if books.Messages != 1 || books.Refused != 1 || books.Linked != 1 || len(books.Devices) != 1 || !books.Devices[0].Connected {
		t.Errorf("books %+v", books)
	}
	unknown, err := client.Unknown(ctx)
	must(t, err)
	phone, err := client.Phone(ctx, ownNumber)
	must(t, err)
	if len(unknown) != 0 || len(phone.Devices) != 1 || phone.Number != ownNumber {
		t.Errorf("unknown %q, phone %+v", unknown, phone)
	}
	must(t, client.Unlink(ctx, ownNumber, phone.Devices[0].ID))
	next[*events.LoggedOut](t, d)
}

func TestPasskeyAndCodeOverHTTP(t *testing.T) {
	t.Parallel()
	client, info := serve(t)
	ctx := t.Context()
	must(t, client.NewPhone(ctx, control.NewPhone{Number: ownNumber}))
	must(t, client.AskPasskey(ctx, ownNumber))
	d := newDevice(t, info)
	scanned := make(chan error, 1)
	qr := next[*events.QR](t, d).Codes[0]
	go func() { scanned <- client.ScanQR(ctx, ownNumber, qr) }()
	options, err := json.Marshal(next[*events.PairPasskeyRequest](t, d).PublicKey)
	must(t, err)
	response, err := client.RespondPasskey(ctx, ownNumber, options)
	must(t, err)
	must(t, d.SendPasskeyResponse(ctx, response))
	next[*events.PairPasskeyConfirmation](t, d)
	must(t, d.SendPasskeyConfirmation(ctx))
	must(t, <-scanned)

	second := newDevice(t, info)
	next[*events.QR](t, second)
	code, err := second.PairPhone(ctx, ownNumber, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	must(t, err)
	if err := client.EnterCode(ctx, ownNumber, "1111-1111"); !errors.Is(err, wasim.ErrWrongCode) {
		t.Errorf("a wrong code: %v", err)
	}
	must(t, client.EnterCode(ctx, ownNumber, code))
	next[*events.Connected](t, second)
	next[*events.Connected](t, d)
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	client, _ := serve(t)
	ctx := t.Context()
	must(t, client.NewPhone(ctx, control.NewPhone{Number: ownNumber}))
	const deadQR = "2@gone,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=," +
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	_, noDevice := client.Send(ctx, otherNumber, ownNumber, "hola")
	for name, row := range map[string]struct {
		got  error
		code string
		is   error
	}{
		"second phone":   {client.NewPhone(ctx, control.NewPhone{Number: ownNumber}), "phone_exists", wasim.ErrPhoneExists},
		"bad number":     {client.NewPhone(ctx, control.NewPhone{Number: "x"}), "invalid", nil},
		"no QR":          {client.ScanQR(ctx, ownNumber, "x"), "not_a_qr", nil},
		"expired QR":     {client.ScanQR(ctx, ownNumber, deadQR), "expired", wasim.ErrExpired},
		"no code":        {client.EnterCode(ctx, ownNumber, "ABCDEFGH"), "expired", wasim.ErrExpired},
		"no phone":       {client.ScanQR(ctx, otherNumber, "x"), "not_found", nil},
		"no device":      {noDevice, "no_device", wasim.ErrNoDevice},
		"unlinked":       {client.Unlink(ctx, ownNumber, 9), "no_such_device", wasim.ErrNoSuchDevice},
		"no rule":        {client.StopRule(ctx, 9), "not_found", nil},
		"no contact":     {client.Declare(ctx, "x", wasim.Profile{}), "invalid", nil},
		"nonsense fault": {func() error { _, err := client.Script(ctx, script.Rule{On: "x"}); return err }(), "invalid", nil},
	} {
		var answered *control.Error
		if !errors.As(row.got, &answered) || answered.Code != row.code || row.is != nil && !errors.Is(row.got, row.is) {
			t.Errorf("%s: %v", name, row.got)
		}
	}
}

func TestRequestsThatAreNoRequests(t *testing.T) {
	t.Parallel()
	server, err := wasim.New(wasim.Options{})
	must(t, err)
	handler := control.NewHandler(server, control.Info{})
	for _, row := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/rules", `{"on":"message","do":{"kind":"ack_error","cod":463}}`, http.StatusUnprocessableEntity},
		{"POST", "/v1/phones", `{`, http.StatusUnprocessableEntity},
		{"GET", "/v1/contacts/x/received", "", http.StatusNotFound},
		{"GET", "/v1/nonsense", "", http.StatusNotFound},
		{"DELETE", "/v1/phones", "", http.StatusMethodNotAllowed},
	} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), row.method, row.path, strings.NewReader(row.body)))
		if recorder.Code != row.status {
			t.Errorf("%s %s: %d %s", row.method, row.path, recorder.Code, recorder.Body)
		}
	}
}
