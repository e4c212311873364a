// Package wa is the door to WhatsApp: the only package that knows whatsmeow. It pairs devices, opens connections of linked ones, sends
// messages, and translates what whatsmeow reports into the signals of internal/session and what it refuses into the classes of
// internal/fault.
//
// Nouns: Gateway (one per process: the devices' keys and the way to WhatsApp), Devices (the key store), Client (one connection of one
// device), Endpoint (the real WhatsApp, or a simulator).
//
// Promises to its callers, the linker and the host (through internal/app): signals of a client come in order, never two at once, and none
// after Close returned; a receipt or a message is acknowledged to WhatsApp only after its signal was handled; a send is nil only when the
// server accepted something that the addressee can decrypt. It must never decide what a signal means, retry a send, or log a phone
// number, a key or a code.
package wa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// Endpoint says where WhatsApp is. Its zero value is the real one.
type Endpoint struct {
	// HTTPClient dials a simulator whatever the address; nil: the real WhatsApp.
	HTTPClient *http.Client
	// RootKey is the public key that the simulator's certificates are signed with.
	RootKey [32]byte
}

// Options are the parts of a Gateway. Devices is required.
type Options struct {
	Devices  *Devices
	Endpoint Endpoint
	Log      *slog.Logger
	// Registerer takes the metrics; nil: they are not exposed.
	Registerer prometheus.Registerer
}

// Gateway opens connections to WhatsApp. Its methods may be called at the same time.
type Gateway struct {
	devices  *Devices
	endpoint Endpoint
	log      *slog.Logger
	metrics  *metrics
}

// New checks the options and makes a gateway. With a simulator's endpoint the whole process trusts that simulator's certificates, and
// WhatsApp's no longer; a process uses one endpoint for life.
func New(options Options) (*Gateway, error) {
	if options.Devices == nil {
		return nil, errors.New("wa: Devices is required")
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	quietSignal()
	metrics, err := newMetrics(options.Registerer)
	if err != nil {
		return nil, err
	}
	if options.Endpoint.HTTPClient != nil {
		if err := trustSimulator(options.Endpoint.RootKey); err != nil {
			return nil, err
		}
	}
	return &Gateway{devices: options.Devices, endpoint: options.Endpoint, log: options.Log, metrics: metrics}, nil
}

// Pair makes a new device and connects it. What follows is reported to request.Signals, beginning with the codes to show.
func (g *Gateway) Pair(ctx context.Context, request session.PairRequest) (*Client, error) {
	client := g.newClient(g.devices.fresh(), clientOptions{session: request.Session, identity: request.Identity, signals: request.Signals})
	client.pairing = &request
	client.whatsmeow.PrePairCallback = client.acceptPairing
	if err := client.connect(ctx); err != nil {
		return nil, err
	}
	return client, nil
}

// Open connects a linked device. A device whose keys are not here is fault.Relink.
func (g *Gateway) Open(ctx context.Context, request session.OpenRequest) (*Client, error) {
	device, err := g.devices.find(ctx, request.Device)
	if err != nil {
		return nil, err
	}
	client := g.newClient(device, clientOptions{session: request.Session, device: request.Device, identity: request.Identity, signals: request.Signals})
	if err := client.connect(ctx); err != nil {
		return nil, err
	}
	return client, nil
}

// Forget deletes the keys of a device. One that is not here is no error.
func (g *Gateway) Forget(ctx context.Context, device session.Device) error {
	found, err := g.devices.find(ctx, device)
	if fault.Of(err) == fault.Relink {
		return nil
	}
	if err != nil {
		return err
	}
	return g.devices.remove(ctx, found)
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
