package wasim

import (
	"slices"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/appstate"
	"github.com/dannsalud/broadcaster/wasim/internal/inbox"
	"github.com/dannsalud/broadcaster/wasim/internal/signal"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// account is one phone number on WhatsApp: a simulated person with one or more simulated devices, and possibly devices that real
// clients were linked as. Phone and Contact are its two faces. Most accounts are contacts nobody ever declared, so it is small.
type account struct {
	server *Server
	number uint64

	mu      sync.Mutex
	profile *Profile // nil: the default
	phone   *Phone   // nil: nobody called NewPhone
	devices []*signal.Device
	linked  []*companion
	inbox   inbox.Inbox
	outbox  []*letter

	appState *appstate.State
	privacy  map[string]string
}

// whois gives the profile; the account's lock is held.
func (a *account) whois() Profile {
	if a.profile == nil {
		return Profile{}
	}
	return *a.profile
}

// absent tells whether the number is not on WhatsApp.
func (a *account) absent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.whois().NotOnWhatsApp
}

// device gives a simulated device; nil if the account has none with that number. The account's lock is held.
func (a *account) device(id uint16) *signal.Device {
	if int(id) >= a.simulated() {
		return nil
	}
	for _, device := range a.devices {
		if device.ID() == id {
			return device
		}
	}
	device := signal.NewDevice(&a.server.secret, a.number, id)
	a.devices = append(a.devices, device)
	return device
}

// simulated is the number of simulated devices, numbered from 0. The account's lock is held.
func (a *account) simulated() int { return max(1, a.whois().Devices) }

// deviceIDs lists all devices, simulated and real.
func (a *account) deviceIDs() []uint16 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.whois().NotOnWhatsApp {
		return nil
	}
	ids := make([]uint16, 0, a.simulated()+len(a.linked))
	for id := range a.simulated() {
		ids = append(ids, uint16(id))
	}
	for _, companion := range a.linked {
		ids = append(ids, companion.id)
	}
	return ids
}

// companion finds a linked device; nil if there is none.
func (a *account) companion(id uint16) *companion {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, companion := range a.linked {
		if companion.id == id {
			return companion
		}
	}
	return nil
}

// companions lists the linked devices.
func (a *account) companions() []*companion {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.linked)
}

// remove takes a linked device off the account.
func (a *account) remove(gone *companion) {
	a.mu.Lock()
	a.linked = slices.DeleteFunc(a.linked, func(companion *companion) bool { return companion == gone })
	a.mu.Unlock()
	gone.mu.Lock()
	gone.removed = true
	gone.mu.Unlock()
	a.announceDevices()
}

// companion is a linked device that a real client is logged in as.
type companion struct {
	owner        *account
	id           uint16
	noise        [32]byte
	identity     [32]byte
	registration uint32
	signed       signal.PreKey
	linkedAt     time.Time
	ready        chan struct{}

	mu         sync.Mutex
	oneTime    []signal.PreKey
	uploaded   bool
	settled    bool
	removed    bool
	available  bool
	keyShared  bool
	connection *connection
	pending    pending
	live       int
	maxLive    int
	logins     int
	replaced   int
}

// markReady notes that the client finished its login: it asked to become active.
func (p *companion) markReady() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.settled {
		p.settled = true
		close(p.ready)
	}
}

// address is the device as Signal sessions know it.
func (p *companion) address() signal.Address {
	return signal.Address{User: p.owner.number, Device: p.id}
}

// deliver brings a stanza to the device: now if it is connected, and again at every login until the client acknowledges it.
func (p *companion) deliver(node stanza.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending.add(node)
	if p.connection != nil {
		p.connection.send(node)
	}
}

// acknowledged forgets a stanza that the client has taken.
func (p *companion) acknowledged(class, id string, from types.JID, kind string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending.remove(pendingKey{class: class, id: id, from: from.String(), kind: kind})
}

// current gives the device's connection; nil if it is not connected.
func (p *companion) current() *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connection
}
