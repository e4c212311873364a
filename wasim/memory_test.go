package wasim

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim/internal/signal"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// heap is the memory that is really in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestContactsAreCheap bounds what a contact costs that nobody declared and that received one message, because an audience can have a
// hundred thousand.
func TestContactsAreCheap(t *testing.T) {
	server, err := New(Options{AutoContacts: true, DropPlaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	const contacts, limit = 150, 1000
	deliverOne(t, server, 4916000000000) // what the process needs once
	before := heap()
	for i := range uint64(contacts) {
		deliverOne(t, server, 4917000000000+i)
	}
	each := (heap() - before) / contacts
	t.Logf("%d bytes a contact", each)
	if each > limit {
		t.Errorf("a contact costs %d bytes, more than %d", each, limit)
	}
	if got := server.Books().Messages; got != contacts+1 {
		t.Errorf("%d messages", got)
	}
}

// deliverOne brings one message to a contact, from a device that is forgotten afterwards.
func deliverOne(t *testing.T, server *Server, number uint64) {
	t.Helper()
	sender := signal.NewDevice(&[32]byte{1}, 4915112345678, 1)
	contact := server.account(number)
	contact.mu.Lock()
	bundle := contact.device(0).Bundle(true)
	contact.mu.Unlock()
	address := signal.Address{User: number}
	if err := sender.Establish(t.Context(), address, bundle); err != nil {
		t.Fatal(err)
	}
	body, err := proto.Marshal(&waE2E.Message{Conversation: proto.String(fmt.Sprint("hello ", number))})
	if err != nil {
		t.Fatal(err)
	}
	kind, ciphertext, err := sender.Encrypt(t.Context(), address, body)
	if err != nil {
		t.Fatal(err)
	}
	mail := &envelope{
		sender: &companion{owner: server.ensure(4915112345678), id: 1}, to: stanza.LID(number, 0),
		id: fmt.Sprintf("3EB0%018X", number), at: time.Now(), node: &stanza.Node{},
	}
	enc := stanza.Node{Tag: "enc", Attrs: stanza.Attrs{"type": kind}, Content: ciphertext}
	if result := contact.receive(t.Context(), mail, parcel{jid: mail.to, enc: enc}); !result.first {
		t.Fatalf("outcome %+v", result)
	}
}

// BenchmarkReceive is what the simulator itself spends on a message to a known contact and the copy for the sender's own phone: the
// upper bound of every rate that is measured against it.
func BenchmarkReceive(b *testing.B) {
	server, err := New(Options{AutoContacts: true})
	if err != nil {
		b.Fatal(err)
	}
	sender := signal.NewDevice(&[32]byte{1}, 4915112345678, 1)
	contact := server.account(4917000000000)
	address := signal.Address{User: contact.number}
	if err := sender.Establish(b.Context(), address, contact.device(0).Bundle(true)); err != nil {
		b.Fatal(err)
	}
	from := &companion{owner: server.ensure(4915112345678), id: 1}
	mails := make([]*envelope, b.N)
	parcels := make([]parcel, b.N)
	for i := range b.N {
		body, err := proto.Marshal(&waE2E.Message{Conversation: proto.String(fmt.Sprint("hello ", i))})
		if err != nil {
			b.Fatal(err)
		}
		kind, ciphertext, err := sender.Encrypt(b.Context(), address, body)
		if err != nil {
			b.Fatal(err)
		}
		mails[i] = &envelope{sender: from, to: stanza.LID(contact.number, 0), id: fmt.Sprintf("3EB0%018X", i), at: time.Now()}
		enc := stanza.Node{Tag: "enc", Attrs: stanza.Attrs{"type": kind}, Content: ciphertext}
		parcels[i] = parcel{jid: mails[i].to, enc: enc}
	}
	b.ResetTimer()
	for i := range b.N {
		if result := contact.receive(b.Context(), mails[i], parcels[i]); !result.read {
			b.Fatalf("message %d: %+v", i, result)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
