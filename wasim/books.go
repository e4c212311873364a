package wasim

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// gauge counts what is going on now and the most that ever was.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) enter() {
	now := g.now.Add(1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
}

func (g *gauge) leave() { g.now.Add(-1) }

// counters are the running totals behind Books.
type counters struct {
	stanzas, frames, messages, repeats, duplicated, undecryptable atomic.Int64
	retriesAsked, retriesAnswered, clientRetries                  atomic.Int64
	ownCopies, unaddressed, refused, withToken, delivered, read   atomic.Int64
	inbound, inboundConfirmed                                     atomic.Int64
	failures, replaced, unknown, linked                           atomic.Int64
	connections, pairings                                         gauge
}

// Books are the server's totals since it was made.
type Books struct {
	// Stanzas is everything that clients sent; Frames the <message> stanzas among them.
	Stanzas int `json:"stanzas"`
	Frames  int `json:"frames"`
	// Messages is the number of distinct messages that people have received and could read. A person with three devices counts once.
	Messages int `json:"messages"`
	// Repeats is how often a message arrived again, under the same id, at a device that had it: nobody sees that.
	Repeats int `json:"repeats"`
	// Duplicated is how often a person got the same content from the same sender under another id: they see it twice.
	Duplicated int `json:"duplicated"`
	// Undecryptable is how often a device could not read a message; RetriesAsked how often one was asked for again, RetriesAnswered
	// how often that helped.
	Undecryptable   int `json:"undecryptable"`
	RetriesAsked    int `json:"retries_asked"`
	RetriesAnswered int `json:"retries_answered"`
	// ClientRetries is how often a client asked for a message again.
	ClientRetries int `json:"client_retries"`
	// OwnCopies is the number of copies that the senders' own phones received.
	OwnCopies int `json:"own_copies"`
	// Unaddressed is the number of messages with nothing encrypted for their addressee; Refused those answered with an error.
	Unaddressed int `json:"unaddressed"`
	Refused     int `json:"refused"`
	// WithToken is the number of <message> stanzas that carried a privacy token of their addressee.
	WithToken int `json:"with_token"`
	// DeliveredReceipts and ReadReceipts were sent by contacts.
	DeliveredReceipts int `json:"delivered_receipts"`
	ReadReceipts      int `json:"read_receipts"`
	// Inbound is the number of messages that contacts wrote to accounts; InboundConfirmed those that a linked device confirmed.
	Inbound          int `json:"inbound"`
	InboundConfirmed int `json:"inbound_confirmed"`
	// Linked is the number of devices that were ever linked; Failures the number of logins that were refused.
	Linked   int `json:"linked"`
	Failures int `json:"failures"`
	// Replaced is how often a second connection of a device took over from a living one.
	Replaced int `json:"replaced"`
	// Unknown is the number of stanzas that the simulator does not know.
	Unknown int `json:"unknown"`
	// Connections of linked devices, and connections of devices that are being linked: now, and the most at any time.
	Connections    int `json:"connections"`
	MaxConnections int `json:"max_connections"`
	Pairings       int `json:"pairings"`
	MaxPairings    int `json:"max_pairings"`
	// Devices are the linked devices of all accounts, in order of their numbers.
	Devices []DeviceBooks `json:"devices"`
	// Takeovers tells of each of Replaced, in their order.
	Takeovers []Takeover `json:"takeovers,omitempty"`
}

// Takeover is a login of a device whose former connection the server still took for a living one.
type Takeover struct {
	Number string    `json:"number"`
	At     time.Time `json:"at"`
	// From and By are the clients' addresses of the former connection and of the new one.
	From string `json:"from"`
	By   string `json:"by"`
	// Silent: a fault kept the server from sending anything on the former connection, so that its client could only give it up.
	Silent bool `json:"silent,omitempty"`
}

// DeviceBooks are the counts of one linked device.
type DeviceBooks struct {
	Number string `json:"number"`
	Device int    `json:"device"`
	// Connected tells whether it is connected now; MaxConnections is the most at one time: more than 1 means that two clients shared
	// the device.
	Connected bool `json:"connected"`
	// Remote is the client's address while it is connected.
	Remote         string `json:"remote,omitempty"`
	MaxConnections int    `json:"max_connections"`
	Logins         int    `json:"logins"`
	Replaced       int    `json:"replaced"`
	// Pending is the number of stanzas that it has not acknowledged; PreKeys the one-time prekeys that the server has.
	Pending int `json:"pending"`
	PreKeys int `json:"prekeys"`
}

// Books gives the totals now.
func (s *Server) Books() Books {
	b := &s.books
	books := Books{
		Stanzas: int(b.stanzas.Load()), Frames: int(b.frames.Load()), Messages: int(b.messages.Load()), Repeats: int(b.repeats.Load()),
		Duplicated: int(b.duplicated.Load()), Undecryptable: int(b.undecryptable.Load()), RetriesAsked: int(b.retriesAsked.Load()),
		RetriesAnswered: int(b.retriesAnswered.Load()), ClientRetries: int(b.clientRetries.Load()), OwnCopies: int(b.ownCopies.Load()),
		Unaddressed: int(b.unaddressed.Load()), Refused: int(b.refused.Load()), DeliveredReceipts: int(b.delivered.Load()),
		WithToken: int(b.withToken.Load()), ReadReceipts: int(b.read.Load()), Inbound: int(b.inbound.Load()), InboundConfirmed: int(b.inboundConfirmed.Load()),
		Linked: int(b.linked.Load()), Failures: int(b.failures.Load()), Replaced: int(b.replaced.Load()), Unknown: int(b.unknown.Load()),
		Connections: int(b.connections.now.Load()), MaxConnections: int(b.connections.most.Load()),
		Pairings: int(b.pairings.now.Load()), MaxPairings: int(b.pairings.most.Load()),
	}
	s.mu.RLock()
	books.Takeovers = slices.Clone(s.takeovers)
	s.mu.RUnlock()
	for _, account := range s.everyAccount() {
		for _, companion := range account.companions() {
			books.Devices = append(books.Devices, companion.books())
		}
	}
	slices.SortFunc(books.Devices, func(one, other DeviceBooks) int {
		return cmp.Or(cmp.Compare(one.Number, other.Number), cmp.Compare(one.Device, other.Device))
	})
	return books
}

func (p *companion) books() DeviceBooks {
	p.mu.Lock()
	defer p.mu.Unlock()
	books := DeviceBooks{
		Number: stanza.FormatNumber(p.owner.number), Device: int(p.id), Connected: p.connection != nil, MaxConnections: p.maxLive,
		Logins: p.logins, Replaced: p.replaced, Pending: p.pending.len(), PreKeys: len(p.oneTime),
	}
	if p.connection != nil {
		books.Remote = p.connection.remote
	}
	return books
}

// noteTakeover writes down that a connection took a device over from another one.
func (s *Server) noteTakeover(former, by *connection) {
	s.books.replaced.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takeovers = append(s.takeovers, Takeover{Number: by.number(), At: time.Now(), From: former.remote, By: by.remote, Silent: former.silent.Load()})
}

// Err tells of the stanzas that the simulator did not know (each an *UnknownStanzaError, at most the first hundred); nil if there were
// none. Tests call it at their end.
func (s *Server) Err() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return errors.Join(s.unknown...)
}
