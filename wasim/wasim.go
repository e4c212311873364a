// Package wasim is a WhatsApp multi-device server for tests and demos: it talks to the unmodified whatsmeow client over loopback TCP
// or in-memory pipes, with the real Noise handshake, real linking and real Signal encryption, and with phones and contacts that are
// simulated (or real clients: two of them can talk to each other through it).
//
// Nouns: Server; Phone (an account with its primary device, which scans QR codes and signs linked devices); Contact (someone who
// receives, confirms and writes messages); script.Rule (a fault on purpose); Books (what was counted, and what must add up).
//
// A client reaches it through the http.Client of Server.HTTPClient (pipes) or DialClient (TCP), set with SetPreLoginHTTPClient,
// SetWebsocketHTTPClient and SetMediaHTTPClient, and must trust RootPublicKey (whatsmeow.WACertPubKey, set once per process before
// the first connection). Inside testing/synctest, make the server and the client in the bubble and Close the server before it ends.
//
// Anybody may import it. It must never be reachable where real accounts are: it proves nothing about WhatsApp's policy, only about
// its protocol, as far as whatsmeow v0.0.0-20260821 shows it.
package wasim

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/dannsalud/broadcaster/wasim/internal/noise"
	"github.com/dannsalud/broadcaster/wasim/internal/signal"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

const (
	// DefaultCloseDelay is how long the server waits between a stream error or failure and closing the connection. With no delay
	// whatsmeow often misses the stanza and reconnects instead.
	DefaultCloseDelay = 100 * time.Millisecond
	// CloseAtOnce as Options.CloseDelay closes without a delay: a nasty test.
	CloseAtOnce time.Duration = -1
	// DefaultPairingWindow is how long an unlinked device is served before it is cut, if nobody scans.
	DefaultPairingWindow = 160 * time.Second
)

// Options are a server's settings. The zero value is a lenient server on which only declared contacts exist and nobody sends
// receipts.
type Options struct {
	// Log receives what happens, without numbers or keys; nil: nothing is logged.
	Log *slog.Logger
	// Strict ends a connection that sends a stanza the simulator does not know; Server.Err then tells. Without it such a stanza is
	// counted and, if it is a query, answered with error 501.
	Strict bool
	// OnUnknown, if set, is called for each stanza that the simulator does not know, from the connection's goroutine.
	OnUnknown func(error)
	// CloseDelay is the time between a stream error or a failure and the end of the connection; 0 means DefaultCloseDelay.
	CloseDelay time.Duration
	// Latency is how long every stanza takes from the server to a client.
	Latency time.Duration
	// PairingWindow is how long an unlinked device is served; 0 means DefaultPairingWindow.
	PairingWindow time.Duration
	// Seed makes the server's contacts, keys and chances the same in every run; 0: random.
	Seed uint64
	// RootKey is the private key that signs the server's certificates, shared by the processes of one test; nil: this process's own.
	RootKey *[32]byte
	// AutoContacts puts every valid phone number on WhatsApp, unless Declare says otherwise. Contacts are made when first needed.
	AutoContacts bool
	// Receipts says which receipts contacts send by themselves.
	Receipts Receipts
	// ListOwnDevice includes the asking device when it asks for its own account's devices. What the real server does is not known.
	ListOwnDevice bool
	// RefuseUnaddressed is the ack error for a message that carries nothing encrypted for its addressee; 0 accepts it, as it is only
	// counted in Books.Unaddressed.
	RefuseUnaddressed int
	// DropPlaintext keeps counts and fingerprints of messages, but not their bodies: for very large audiences.
	DropPlaintext bool
	// InboundByNumber addresses messages to linked devices by phone number instead of LID.
	InboundByNumber bool
}

// Receipts says which receipts contacts send by themselves. The zero value: none.
type Receipts struct {
	// Delivered and Read are the shares of messages, between 0 and 1, that are confirmed. Only delivered messages are read.
	Delivered float64 `json:"delivered"`
	Read      float64 `json:"read"`
	// DeliveredAfter is the time from a message's arrival to its delivery receipt, ReadAfter from there to its read receipt.
	DeliveredAfter time.Duration `json:"delivered_after,omitempty"`
	ReadAfter      time.Duration `json:"read_after,omitempty"`
}

// DeliveredAndRead confirms everything at once.
func DeliveredAndRead() Receipts { return Receipts{Delivered: 1, Read: 1} }

// processRoot is the root of every server of this process that is not given another.
var processRoot = sync.OnceValues(func() (*noise.Root, error) {
	signal.Quiet()
	return noise.NewRoot()
})

// RootPublicKey is the key that clients of this process's servers must trust: assign it to whatsmeow.WACertPubKey before the first
// connection. It is random, and the same for the life of the process.
func RootPublicKey() [32]byte {
	root, err := processRoot()
	if err != nil {
		return [32]byte{}
	}
	return root.PublicKey()
}

// New makes a server. It serves as soon as one of its HTTP clients dials, or Serve is called; Close ends it.
func New(options Options) (*Server, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	root, err := processRoot()
	if options.RootKey != nil {
		root, err = noise.RootFromKey(*options.RootKey)
	}
	if err != nil {
		return nil, err
	}
	identity, err := root.Issue()
	if err != nil {
		return nil, err
	}
	seed := seedOf(options.Seed)
	server := &Server{
		options:     options.withDefaults(),
		identity:    identity,
		rootPublic:  root.PublicKey(),
		secret:      seed,
		random:      mathrand.New(mathrand.NewChaCha8(seed)),
		accounts:    make(map[uint64]*account),
		offers:      make(map[string]*pairing),
		connections: make(map[*connection]struct{}),
		pipes:       newPipes(),
		queries:     queryKinds(),
		stanzas:     stanzaKinds(),
	}
	server.script = script.New(mathrand.New(mathrand.NewChaCha8(server.secret)))
	server.latency.Store(int64(options.Latency))
	return server, nil
}

func (o Options) validate() error {
	if o.Latency < 0 || o.PairingWindow < 0 || o.RefuseUnaddressed < 0 {
		return fmt.Errorf("latency %v, pairing window %v and refusal code %d must not be negative",
			o.Latency, o.PairingWindow, o.RefuseUnaddressed)
	}
	r := o.Receipts
	if r.Delivered < 0 || r.Delivered > 1 || r.Read < 0 || r.Read > 1 || r.DeliveredAfter < 0 || r.ReadAfter < 0 {
		return fmt.Errorf("receipts %+v: shares are between 0 and 1, times not negative", r)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch o.CloseDelay {
	case 0:
		o.CloseDelay = DefaultCloseDelay
	case CloseAtOnce:
		o.CloseDelay = 0
	}
	if o.PairingWindow == 0 {
		o.PairingWindow = DefaultPairingWindow
	}
	return o
}

// seedOf spreads a seed over a key, or makes a random one for seed 0.
func seedOf(seed uint64) (key [32]byte) {
	if seed == 0 {
		_, _ = rand.Read(key[:]) // never fails: the process ends if the system has no randomness
		return key
	}
	binary.BigEndian.PutUint64(key[:8], seed)
	copy(key[8:], "wasim")
	return key
}

// ValidNumber tells whether a text is an international phone number that can have an account: 7 to 15 digits, not starting with 0,
// with or without the plus sign.
func ValidNumber(number string) bool {
	_, err := stanza.ParseNumber(number)
	return err == nil
}
