package wasim_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// stockClient is a whatsmeow client as anybody would make one, but that its HTTP clients lead to the simulator.
func stockClient(server *wasim.Server) (client *whatsmeow.Client, raised chan any, closeStore func()) {
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(db, "sqlite", waLog.Noop)
	if err := container.Upgrade(context.Background()); err != nil {
		log.Fatal(err)
	}
	client = whatsmeow.NewClient(container.NewDevice(), waLog.Noop)
	client.SetPreLoginHTTPClient(server.HTTPClient())  // until a phone has scanned
	client.SetWebsocketHTTPClient(server.HTTPClient()) // from then on
	client.SetMediaHTTPClient(server.HTTPClient())
	raised = make(chan any, 100)
	client.AddEventHandler(func(event any) { raised <- event })
	return client, raised, func() { _ = db.Close() }
}

// until waits for an event of a kind.
func until[Event any](raised chan any) Event {
	for event := range raised {
		if found, ok := event.(Event); ok {
			return found
		}
	}
	panic("unreachable: the channel is never closed")
}

// A phone scans the QR code of a stock client, which then writes to a contact and gets its receipt. Once in the process, before the
// first connection, the client must be told whom to trust: whatsmeow.WACertPubKey = wasim.RootPublicKey().
func Example() {
	server, err := wasim.New(wasim.Options{Receipts: wasim.DeliveredAndRead()})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	phone, err := server.NewPhone("+49 151 12345678")
	if err != nil {
		log.Fatal(err)
	}
	contact := server.Contact("+52 55 1234 5678")

	client, raised, closeStore := stockClient(server)
	defer closeStore()
	if err := client.Connect(); err != nil {
		log.Fatal(err)
	}
	defer client.Disconnect()
	if err := phone.ScanQR(context.Background(), until[*events.QR](raised).Codes[0]); err != nil {
		log.Fatal(err)
	}
	until[*events.Connected](raised)

	message := &waE2E.Message{Conversation: proto.String("hola")}
	if _, err := client.SendMessage(context.Background(), contact.JID(), message); err != nil {
		log.Fatal(err)
	}
	for until[*events.Receipt](raised).Type != types.ReceiptTypeRead {
	}
	for _, message := range contact.Received() {
		fmt.Println(message.From, "wrote:", message.Text)
	}
	fmt.Println("received in all:", server.Books().Messages)
	// Output:
	// +4915112345678 wrote: hola
	// received in all: 1
}

// The second message to one contact is refused with error 463, as for an account that may not write to strangers.
func ExampleServer_Script() {
	server, err := wasim.New(wasim.Options{AutoContacts: true})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	phone, err := server.NewPhone("+4915112345678")
	if err != nil {
		log.Fatal(err)
	}
	client, raised, closeStore := stockClient(server)
	defer closeStore()
	if err := client.Connect(); err != nil {
		log.Fatal(err)
	}
	defer client.Disconnect()
	if err := phone.ScanQR(context.Background(), until[*events.QR](raised).Codes[0]); err != nil {
		log.Fatal(err)
	}
	until[*events.Connected](raised)

	rule, err := server.Script(script.Rule{
		On: script.Message, Recipient: "+525512345678", Skip: 1, Times: 1, Do: script.RefuseMessage(463),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"one", "two", "three"} {
		message := &waE2E.Message{Conversation: proto.String(text)}
		_, err := client.SendMessage(context.Background(), server.Contact("+525512345678").JID(), message)
		fmt.Println(text, err)
	}
	fmt.Println("struck", rule.Hits(), "time")
	// Output:
	// one <nil>
	// two server returned error 463
	// three <nil>
	// struck 1 time
}
