package wasim_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"github.com/dannsalud/broadcaster/wasim"
)

var contactNumbers = []string{"+491700000001", "+491700000002", "+491700000003"}

// story links a client and sends to three contacts, of which one has three devices.
func story(t *testing.T, server *wasim.Server, through *http.Client) {
	if _, err := server.Declare(contactNumbers[1], wasim.Profile{Devices: 3}); err != nil {
		t.Fatal(err)
	}
	phone, c := linked(t, server, through, ownNumber)
	var ids []string
	for _, number := range contactNumbers {
		ids = append(ids, c.sendText(server.Contact(number).JID(), "hello "+number))
	}
	for i, number := range contactNumbers {
		wait(c, func(r *events.Receipt) bool { return r.MessageIDs[0] == ids[i] && r.Type == types.ReceiptTypeRead })
		got := server.Contact(number).Received()
		if len(got) != 1 {
			t.Fatalf("contact %d received %d messages", i, len(got))
		}
		want := wasim.Message{ID: ids[i], From: ownNumber, To: number, Text: "hello " + number, Devices: []int{0}}
		if i == 1 {
			want.Devices = []int{0, 1, 2}
		}
		got[0].Body, got[0].At = nil, want.At
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Error(diff)
		}
	}
	if sent := phone.Sent(); len(sent) != 3 || sent[2].Text != "hello "+contactNumbers[2] || sent[2].To != contactNumbers[2] {
		t.Errorf("the phone's copies: %+v", sent)
	}
	books := server.Books()
	want := wasim.Books{
		Messages: 3, Frames: 3, OwnCopies: 3, DeliveredReceipts: 5, ReadReceipts: 3, Linked: 1, Connections: 1, MaxConnections: 1,
		MaxPairings: 1, Stanzas: books.Stanzas, Devices: books.Devices,
	}
	if diff := cmp.Diff(want, books); diff != "" {
		t.Error(diff)
	}
}

func TestStockClientLinksAndSendsOverTCP(t *testing.T) {
	t.Parallel()
	server := newServer(t, wasim.Options{Strict: true, Receipts: wasim.DeliveredAndRead()})
	story(t, server, wasim.DialClient(listen(t, server)))
}

func TestStockClientLinksAndSendsInABubble(t *testing.T) {
	t.Parallel()
	inBubble(t, wasim.Options{Strict: true, Receipts: wasim.DeliveredAndRead()}, func(t *testing.T, server *wasim.Server) {
		story(t, server, server.HTTPClient())
	})
}

func TestStrictServerRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, strict := range map[string]bool{"strict": true, "lenient": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told []error
				server, err := wasim.New(wasim.Options{Strict: strict, OnUnknown: func(err error) { told = append(told, err) }})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { time.Sleep(15 * time.Minute) })
				t.Cleanup(func() { _ = server.Close() })
				_, c := linked(t, server, server.HTTPClient(), ownNumber)
				c.forget()
				if _, err := c.GetSubscribedNewsletters(t.Context()); err == nil {
					t.Error("a query that nobody knows was answered")
				}
				settle()
				var unknown *wasim.UnknownStanzaError
				if !errors.As(server.Err(), &unknown) || unknown.Stanza != "iq w:mex get query" || len(told) == 0 || server.Books().Unknown == 0 {
					t.Errorf("err %v, told %v, books %+v", server.Err(), told, server.Books())
				}
				if ended := strings.Contains(c.story(), "Disconnected"); ended != strict {
					t.Errorf("connection ended: %v; the client raised %q", ended, c.story())
				}
			})
		})
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, options := range []wasim.Options{
		{Latency: -1}, {PairingWindow: -1}, {RefuseUnaddressed: -1}, {Receipts: wasim.Receipts{Delivered: 2}},
		{Receipts: wasim.Receipts{Delivered: 1, Read: -1}}, {Receipts: wasim.Receipts{ReadAfter: -1}},
	} {
		if _, err := wasim.New(options); err == nil {
			t.Errorf("accepted %+v", options)
		}
	}
}

func TestClosedServer(t *testing.T) {
	t.Parallel()
	server := newServer(t, wasim.Options{})
	through := server.HTTPClient()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, through)
	if err := c.Connect(); !errors.Is(err, wasim.ErrClosed) {
		t.Errorf("connect: %v", err)
	}
}

func TestServersOfOneProcessShareARoot(t *testing.T) {
	t.Parallel()
	one, other := newServer(t, wasim.Options{}), newServer(t, wasim.Options{})
	if one.RootPublicKey() != other.RootPublicKey() || one.RootPublicKey() != wasim.RootPublicKey() {
		t.Error("the servers have different roots")
	}
	foreign := newServer(t, wasim.Options{RootKey: &[32]byte{1, 2, 3}})
	defer func() { _ = foreign.Close() }()
	c := newClient(t, foreign.HTTPClient())
	if err := c.Connect(); err == nil || !strings.Contains(err.Error(), "failed to verify intermediate cert signature") {
		t.Errorf("a server of another root: %v", err)
	}
}

func TestPhoneNumbers(t *testing.T) {
	t.Parallel()
	server := newServer(t, wasim.Options{})
	phone, err := server.NewPhone("49 (151) 123-456.78")
	if err != nil || phone.Number() != ownNumber || server.Phone(ownNumber) != phone {
		t.Errorf("phone %v, %v", phone, err)
	}
	if _, err := server.NewPhone(ownNumber); !errors.Is(err, wasim.ErrPhoneExists) {
		t.Errorf("a second phone: %v", err)
	}
	for _, number := range []string{"", "123", "0491511234567", "+49151abc", "1234567890123456", "+"} {
		if _, err := server.NewPhone(number); err == nil || wasim.ValidNumber(number) {
			t.Errorf("accepted %q", number)
		}
	}
	if server.Phone(otherNumber) != nil || server.Phone("x") != nil {
		t.Error("found a phone that nobody made")
	}
	if err := phone.Unlink(3); !errors.Is(err, wasim.ErrNoSuchDevice) {
		t.Errorf("unlink: %v", err)
	}
}
