package wasim_test

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/control"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// remote runs a simulator on loopback TCP with its control API, as another process would, and gives the API's client.
func remote(t *testing.T) (*control.Client, control.Info) {
	t.Helper()
	server := newServer(t, wasim.Options{Strict: true, AutoContacts: true, Receipts: wasim.DeliveredAndRead()})
	api := httptest.NewServer(control.NewHandler(server, control.Info{Address: listen(t, server)}))
	t.Cleanup(api.Close)
	client := control.NewClient(api.URL, api.Client())
	info, err := client.Server(t.Context())
	must(t, err)
	return client, info
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
	client, info := remote(t)
	ctx := t.Context()
	must(t, client.NewPhone(ctx, control.NewPhone{Number: ownNumber, PushName: "Ana", Platform: "iphone", Business: "Clinic"}))
	must(t, client.Declare(ctx, otherNumber, wasim.Profile{Devices: 2, PushName: "Bob"}))

	d := newClient(t, wasim.DialClient(info.Address))
	d.connect()
	must(t, client.ScanQR(ctx, ownNumber, wait[*events.QR](d).Codes[0]))
	if paired := wait[*events.PairSuccess](d); paired.Platform != "iphone" || paired.BusinessName != "Clinic" {
		t.Errorf("paired %+v", paired)
	}
	wait[*events.Connected](d)
	wait[*events.AppStateSyncComplete](d)

	rule, err := client.Script(ctx, script.Rule{Name: "once", On: script.Message, Times: 1, Do: script.RefuseMessage(463)})
	must(t, err)
	bob, _ := types.ParseJID(strings.TrimPrefix(otherNumber, "+") + "@" + types.DefaultUserServer)
	if _, err := d.SendMessage(ctx, bob, text("refused")); err == nil || !strings.HasSuffix(err.Error(), "463") {
		t.Errorf("send: %v", err)
	}
	d.sendText(bob, "hello")
	wait(d, func(r *events.Receipt) bool { return r.Type == types.ReceiptTypeRead })
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
	got := wait(d, func(m *events.Message) bool { return m.Info.ID == id })
	if got.Info.PushName != "Bob" || got.Message.GetConversation() != "hola" {
		t.Errorf("got %+v", got.Info)
	}
	sent, err := client.Sent(ctx, otherNumber)
	must(t, err)
	if len(sent) != 1 || sent[0].Text != "hola" {
		t.Errorf("sent %+v", sent)
	}
	id, err = client.SendFromPhone(ctx, ownNumber, otherNumber, "from the phone")
	must(t, err)
	if got := wait(d, func(m *events.Message) bool { return m.Info.ID == id }); !got.Info.IsFromMe {
		t.Errorf("got %+v", got.Info)
	}
	must(t, client.SetPushName(ctx, ownNumber, "Ana María"))
	wait(d, func(s *events.PushNameSetting) bool { return s.Action.GetName() == "Ana María" })
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
	wait[*events.LoggedOut](d)
}

func TestPasskeyAndCodeOverHTTP(t *testing.T) {
	t.Parallel()
	client, info := remote(t)
	ctx := t.Context()
	must(t, client.NewPhone(ctx, control.NewPhone{Number: ownNumber}))
	must(t, client.AskPasskey(ctx, ownNumber))
	d := newClient(t, wasim.DialClient(info.Address))
	d.connect()
	scanned := make(chan error, 1)
	qr := wait[*events.QR](d).Codes[0]
	go func() { scanned <- client.ScanQR(ctx, ownNumber, qr) }()
	options, err := json.Marshal(wait[*events.PairPasskeyRequest](d).PublicKey)
	must(t, err)
	response, err := client.RespondPasskey(ctx, ownNumber, options)
	must(t, err)
	must(t, d.SendPasskeyResponse(ctx, response))
	wait[*events.PairPasskeyConfirmation](d)
	must(t, d.SendPasskeyConfirmation(ctx))
	must(t, <-scanned)

	second := newClient(t, wasim.DialClient(info.Address))
	second.connect()
	wait[*events.QR](second)
	code, err := second.PairPhone(ctx, ownNumber, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	must(t, err)
	if err := client.EnterCode(ctx, ownNumber, "1111-1111"); !errors.Is(err, wasim.ErrWrongCode) {
		t.Errorf("a wrong code: %v", err)
	}
	must(t, client.EnterCode(ctx, ownNumber, code))
	wait[*events.Connected](second)
	wait[*events.Connected](d)
}
