// Package wa is the door to WhatsApp: the only package that knows whatsmeow. It pairs devices, opens connections of linked ones, sends
// messages, and translates what whatsmeow reports into the signals of internal/session and what it refuses into the classes of
// internal/fault.
//
// Nouns: Gateway (one per process: the devices' keys, which internal/wa/keys keeps, and the way to WhatsApp), Client (one connection of one
// device), Endpoint (the real WhatsApp, or a simulator).
//
// Promises to its callers, the linker and the host (through internal/app): signals of a client come in order, never two at once, and none
// after Close returned; a receipt or a message is acknowledged to WhatsApp only after its signal was handled; a send is nil only when the
// server accepted something that the addressee can decrypt. It must never decide what a signal means, retry a send, or log a phone
// number, a key or a code.
package wa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

// Endpoint says where WhatsApp is. Its zero value is the real one.
type Endpoint struct {
	// HTTPClient dials a simulator whatever the address; nil: the real WhatsApp.
	HTTPClient *http.Client
	// Address is where the simulator listens, for sessions that reach it through a proxy; empty: none can.
	Address string
	// RootKey is the public key that the simulator's certificates are signed with.
	RootKey [32]byte
}

// Options are the parts of a Gateway. Keys is required.
type Options struct {
	Keys     *keys.Store
	Endpoint Endpoint
	// Silence is how long a connection may bring nothing before it is opened again; zero: DefaultSilence.
	Silence time.Duration
	// Versions keeps the version of WhatsApp Web that devices say they are; nil: in this process's memory.
	Versions VersionStore
	Log      *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Gateway opens connections to WhatsApp. Its methods may be called at the same time.
type Gateway struct {
	keys     *keys.Store
	endpoint Endpoint
	silence  time.Duration
	versions *versions
	log      *slog.Logger
	metrics  *metrics
}

// New checks the options and makes a gateway. With a simulator's endpoint the whole process trusts that simulator's certificates, and
// WhatsApp's no longer; a process uses one endpoint for life.
func New(options Options) (*Gateway, error) {
	if options.Keys == nil {
		return nil, errors.New("wa: Keys is required")
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	metrics, err := newMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	if options.Endpoint.HTTPClient != nil {
		if err := trustSimulator(options.Endpoint.RootKey); err != nil {
			return nil, err
		}
	}
	if options.Versions == nil {
		options.Versions = &versionInMemory{}
	}
	return &Gateway{keys: options.Keys, endpoint: options.Endpoint, silence: cmp.Or(options.Silence, DefaultSilence),
		versions: &versions{store: options.Versions, log: options.Log, metrics: metrics}, log: options.Log, metrics: metrics}, nil
}

// Pair makes a new device and connects it. What follows is reported to request.Signals, beginning with the codes to show.
func (g *Gateway) Pair(ctx context.Context, request session.PairRequest) (*Client, error) {
	out, err := wayOut(g.endpoint, request.Proxy)
	if err != nil {
		return nil, err
	}
	owner, err := g.own(ctx, request.Session, request.Epoch)
	if err != nil {
		return nil, err
	}
	client := g.newClient(owner, owner.NewDevice(), clientOptions{session: request.Session, identity: request.Identity, signals: request.Signals,
		version: g.versions.current(ctx), way: out})
	client.pairing = &request
	client.whatsmeow.PrePairCallback = client.acceptPairing
	if err := client.connect(ctx); err != nil {
		return nil, err
	}
	return client, nil
}

// Open connects a linked device. A device whose keys are not here is fault.Relink.
func (g *Gateway) Open(ctx context.Context, request session.OpenRequest) (*Client, error) {
	out, err := wayOut(g.endpoint, request.Proxy)
	if err != nil {
		return nil, err
	}
	owner, err := g.own(ctx, request.Session, request.Epoch)
	if err != nil {
		return nil, err
	}
	device, err := findDevice(ctx, owner, request.Device)
	if err == nil {
		err = owner.Attest(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, owner.Close(ctx))
	}
	client := g.newClient(owner, device, clientOptions{session: request.Session, device: request.Device, identity: request.Identity, signals: request.Signals,
		again: request.Again, version: g.versions.current(ctx), way: out})
	if err := client.connect(ctx); err != nil {
		return nil, err
	}
	return client, nil
}

// Forget deletes the keys of a device; what stays says when and why. One that is not here is no error.
func (g *Gateway) Forget(ctx context.Context, request session.ForgetRequest) (err error) {
	owner, err := g.own(ctx, request.Session, request.Epoch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, owner.Close(ctx)) }()
	tombstone, err := owner.Tombstone(ctx)
	if err != nil {
		return err
	}
	if tombstone == nil {
		if _, err := findDevice(ctx, owner, request.Device); fault.Of(err) == fault.Relink {
			return nil
		} else if err != nil {
			return err
		}
	}
	return owner.Bury(ctx, string(request.Reason))
}

// own takes over the keys of a session for the holder of its lease.
func (g *Gateway) own(ctx context.Context, id session.ID, epoch uint64) (*keys.Owner, error) {
	owner, err := g.keys.Own(ctx, keys.OwnerOptions{Session: string(id), Epoch: epoch})
	if err != nil {
		return nil, describe("open the keys", id, err)
	}
	return owner, nil
}

// findDevice gives the device of a session, if it is the one that is wanted.
func findDevice(ctx context.Context, owner *keys.Owner, wanted session.Device) (*store.Device, error) {
	found, err := owner.Device(ctx)
	if err != nil {
		return nil, fmt.Errorf("read a device's keys: %w", err)
	}
	if found != nil && found.ID.String() == wanted.JID {
		return found, nil
	}
	message := "The keys of this session's device are gone; link the phone again"
	tombstone, err := owner.Tombstone(ctx)
	if err != nil {
		return nil, err
	}
	if tombstone != nil {
		message = fmt.Sprintf("This session's device was removed at %s (%s); link the phone again",
			tombstone.At.Format(time.RFC3339), cmp.Or(tombstone.Reason, "reason unknown"))
	}
	return nil, fault.New(fault.Relink, "device_unknown", message)
}

func deviceOf(jid, lid types.JID) session.Device {
	device := session.Device{JID: jid.String(), Phone: "+" + jid.User}
	if !lid.IsEmpty() {
		device.LID = lid.String()
	}
	return device
}

// phoneJID gives the address of a phone number in E.164 with the plus sign.
func phoneJID(phone string) (types.JID, error) {
	if len(phone) < 2 || phone[0] != '+' {
		return types.EmptyJID, fault.New(fault.Invalid, "phone_not_e164", "The phone number is not in international form (+ and digits)")
	}
	for _, digit := range phone[1:] {
		if digit < '0' || digit > '9' {
			return types.EmptyJID, fault.New(fault.Invalid, "phone_not_e164", "The phone number is not in international form (+ and digits)")
		}
	}
	return types.NewJID(phone[1:], types.DefaultUserServer), nil
}

func describe(doing string, id session.ID, err error) error {
	return fmt.Errorf("%s of %s: %w", doing, id, err)
}
