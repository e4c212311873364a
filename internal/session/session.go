// Package session says what a session and a link are.
//
// A session is one WhatsApp companion device, linked for one user of the web app. A link is the work of pairing that device with a
// phone. Both have states: a session's State is what people see on their list (is it connected, and if not, why and what to do); a
// link's LinkState is one step of the state machine in link.go, which is data (a table of transitions) applied by one function, so
// that what the table does not list can do no harm: a QR that arrives after ready, a second "connected", a late time-out.
//
// Signals (signal.go) are what a WhatsApp connection reports, in our words: internal/wa translates whatsmeow's events into them, the
// linker feeds them to the link machine, the host in internal/sender to the session's state.
//
// Callers: internal/api (create, list, show), internal/linker (drives links), internal/sender (hosts sessions), internal/wa
// (signals). It must never know WhatsApp's library, a queue, a database or HTTP.
package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dannsalud/broadcaster/internal/store"
)

// ID names a session for life. It is safe as a NATS subject token.
type ID string

// NewID makes a session id; ids made later sort later.
func NewID() ID { return ID("ses_" + uuid.Must(uuid.NewV7()).String()) }

// State is what a session is doing now, as people see it.
type State string

// The states of a session.
const (
	// New: created, never linked.
	New State = "new"
	// Linking: a link is queued or in progress.
	Linking State = "linking"
	// Offline: linked, with no connection at the moment (its host is starting, moving, or reconnecting).
	Offline State = "offline"
	// Ready: linked and connected; it can send.
	Ready State = "ready"
	// Paused: WhatsApp limits the account until Session.Until.
	Paused State = "paused"
	// LoggedOut: the phone or WhatsApp removed the device; it has to be linked again.
	LoggedOut State = "logged_out"
	// Replaced: another connection of the same device took over; it is opened again only by the owner of its lease.
	Replaced State = "replaced"
	// Outdated: WhatsApp refuses this version of the client.
	Outdated State = "outdated"
	// Removing: a person asked to unlink and delete it; its host logs the device out and then deletes the record.
	Removing State = "removing"
	// Removed: the record is gone. It appears only in the last fact about a session, never in the store.
	Removed State = "removed"
)

// States lists every state, in the order of their declaration.
func States() []State {
	return []State{New, Linking, Offline, Ready, Paused, LoggedOut, Replaced, Outdated, Removing, Removed}
}

// Linked tells whether a session in this state has a device that a host should keep connected.
func (s State) Linked() bool {
	switch s {
	case Offline, Ready, Paused, Replaced:
		return true
	case New, Linking, LoggedOut, Outdated, Removing, Removed:
		return false
	}
	return false
}

// Session is one companion device and its present state.
type Session struct {
	ID ID
	// UserID is the web app's user that the session belongs to. Several sessions may belong to one user.
	UserID string
	// Name is what people call it ("Recepción").
	Name string
	// State is the present state; Reason is a stable code for why (see reasons.go), empty when there is nothing to explain.
	State  State
	Reason Reason
	// Until is the earliest time to go on, when the state is Paused; zero: unknown.
	Until time.Time
	// Device is the linked companion device; zero when the session has none.
	Device Device
	// Link is the last link of this session; its zero value says that none was ever asked.
	Link Link
	// Egress names the network way out: EgressDirect or the name of a proxy.
	Egress    string
	CreatedAt time.Time
	UpdatedAt time.Time
	// LinkedAt is when its last link was ready; zero: never.
	LinkedAt time.Time
	// PhoneSeenAt is when the phone itself last gave a sign of life, within a few hours; zero: never since it was linked.
	PhoneSeenAt time.Time
	// Revision counts the writes; an update with an old one is refused (store.ErrConflict).
	Revision int64
}

// EgressDirect is the host's own network address.
const EgressDirect = "direct"

// Device is the WhatsApp identity of a linked session.
type Device struct {
	// JID is the device's address by phone number, such as "5491150001234:3@s.whatsapp.net". It names the device in the key store.
	JID string
	// LID is its address by hidden id, such as "1234:3@lid".
	LID string
	// Phone is the account's number in E.164 with the plus sign.
	Phone string
}

// IsZero tells whether there is no device.
func (d Device) IsZero() bool { return d == Device{} }

// Identity is how a session's device presents itself to WhatsApp: derived from the user id, so that it is distinct for each user
// and stable for life (design.md §10).
type Identity struct {
	// Name is shown in the phone's list of linked devices.
	Name string
	// Platform is one of the browser platforms that WhatsApp knows: "chrome", "firefox", "edge", "safari".
	Platform string
}

// IdentityFor derives the identity of a user's devices.
func IdentityFor(userID string) Identity {
	sum := sha256.Sum256([]byte("broadcaster device identity\x00" + userID))
	platforms := []string{"chrome", "firefox", "edge", "safari"}
	return Identity{
		Name:     "Broadcaster " + hex.EncodeToString(sum[:2]),
		Platform: platforms[int(sum[2])%len(platforms)],
	}
}

// Filter narrows a list of sessions; its zero value takes all.
type Filter struct {
	// UserID keeps the sessions of one user.
	UserID string
	// States keeps the sessions in one of these states.
	States []State
}

// Store persists sessions. The adapters are in internal/store; store/storetest says how they behave.
type Store interface {
	// Create stores a new session with Revision 1; store.ErrConflict when the id exists.
	Create(ctx context.Context, s Session) error
	// Get gives a session; store.ErrNotFound when there is none.
	Get(ctx context.Context, id ID) (Session, error)
	// List gives sessions in the order of their ids.
	List(ctx context.Context, filter Filter, page store.Page) (store.List[Session], error)
	// Update replaces a session and raises its Revision by one, if the stored one equals s.Revision; else store.ErrConflict.
	Update(ctx context.Context, s Session) error
	// Delete removes a session; store.ErrNotFound when there is none.
	Delete(ctx context.Context, id ID) error
}

// ErrUnchanged is returned by the function given to Modify to leave the record as it is.
var ErrUnchanged = store.ErrUnchanged

// Modify reads a session, lets change alter it, and writes it back, by the rules of store.Modify. It returns the session as stored.
func Modify(ctx context.Context, sessions Store, id ID, change func(*Session) error) (Session, error) {
	stored, written, err := store.Modify(ctx, sessions, id, change)
	if err != nil {
		return stored, fmt.Errorf("modify session %s: %w", id, err)
	}
	if written {
		stored.Revision++
	}
	return stored, nil
}
