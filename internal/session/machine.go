package session

import "time"

// EventKind is something that happens to a link: a signal of its connection, a wish of a person, or the end of a deadline.
type EventKind string

// The events of a link.
const (
	EventStart     EventKind = "start"       // a linker took the job
	EventWait      EventKind = "wait"        // it is too early to connect
	EventConnect   EventKind = "connect"     // the connection is being opened
	EventQR        EventKind = "qr"          // WhatsApp offered a code, or the next one is due
	EventCode      EventKind = "code"        // WhatsApp gave the 8 characters
	EventPasskey   EventKind = "passkey"     // WhatsApp asks for a passkey
	EventConfirm   EventKind = "confirm"     // the passkey was accepted; a code is to be compared
	EventPaired    EventKind = "paired"      // the phone accepted the device
	EventRestart   EventKind = "restart"     // WhatsApp asked for a reconnect (515)
	EventReady     EventKind = "ready"       // logged in and settled
	EventExpired   EventKind = "expired"     // the deadline of the state passed, or no code is left
	EventDuplicate EventKind = "duplicate"   // the number is linked to another session
	EventRefused   EventKind = "refused"     // the phone, or WhatsApp, refused the pairing
	EventCancel    EventKind = "cancel"      // a person cancelled it
	EventFailed    EventKind = "failed"      // it broke
	EventHandBack  EventKind = "handed_back" // the linker stops; another one begins anew
)

// EventKinds lists every event, in the order of their declaration.
func EventKinds() []EventKind {
	return []EventKind{EventStart, EventWait, EventConnect, EventQR, EventCode, EventPasskey, EventConfirm, EventPaired, EventRestart, EventReady,
		EventExpired, EventDuplicate, EventRefused, EventCancel, EventFailed, EventHandBack}
}

// LinkEvent is one event with what it carries.
type LinkEvent struct {
	Kind   EventKind
	Reason Reason
	// For is how long the state that it leads to may last; zero: it has no deadline.
	For time.Duration
}

// linkTransitions is the machine. What is not listed is ignored: there is no way from paired or ready back to a code, so a QR after ready can
// do no harm; an ended state has no way out.
var linkTransitions = map[LinkState]map[EventKind]LinkState{
	LinkQueued: {
		EventStart: LinkConnecting, EventWait: LinkCoolingDown, EventConnect: LinkConnecting, EventHandBack: LinkQueued,
		EventCancel: LinkCancelled, EventDuplicate: LinkDuplicate, EventRefused: LinkRefused, EventFailed: LinkFailed,
	},
	LinkCoolingDown: {
		EventStart: LinkConnecting, EventWait: LinkCoolingDown, EventConnect: LinkConnecting, EventHandBack: LinkQueued,
		EventCancel: LinkCancelled, EventRefused: LinkRefused, EventFailed: LinkFailed,
	},
	LinkConnecting: {
		EventConnect: LinkConnecting, EventQR: LinkQR, EventCode: LinkCode, EventPasskey: LinkPasskeyRequired, EventHandBack: LinkQueued,
		EventExpired: LinkFailed, EventRefused: LinkRefused, EventCancel: LinkCancelled, EventFailed: LinkFailed,
	},
	LinkQR: {
		EventQR: LinkQR, EventPasskey: LinkPasskeyRequired, EventPaired: LinkPaired, EventHandBack: LinkQueued,
		EventExpired: LinkExpired, EventDuplicate: LinkDuplicate, EventRefused: LinkRefused, EventCancel: LinkCancelled, EventFailed: LinkFailed,
	},
	LinkCode: {
		EventConnect: LinkConnecting, EventPasskey: LinkPasskeyRequired, EventPaired: LinkPaired, EventHandBack: LinkQueued,
		EventExpired: LinkExpired, EventDuplicate: LinkDuplicate, EventRefused: LinkRefused, EventCancel: LinkCancelled, EventFailed: LinkFailed,
	},
	LinkPasskeyRequired: {
		EventConfirm: LinkPasskeyConfirm, EventPaired: LinkPaired, EventHandBack: LinkQueued,
		EventExpired: LinkExpired, EventDuplicate: LinkDuplicate, EventRefused: LinkRefused, EventCancel: LinkCancelled, EventFailed: LinkFailed,
	},
	LinkPasskeyConfirm: {
		EventPaired: LinkPaired, EventHandBack: LinkQueued,
		EventExpired: LinkExpired, EventDuplicate: LinkDuplicate, EventRefused: LinkRefused, EventCancel: LinkCancelled, EventFailed: LinkFailed,
	},
	LinkPaired: {
		EventRestart: LinkRestarting, EventReady: LinkReady, EventExpired: LinkFailed, EventCancel: LinkCancelled, EventFailed: LinkFailed,
	},
	LinkRestarting: {
		EventReady: LinkReady, EventExpired: LinkFailed, EventCancel: LinkCancelled, EventFailed: LinkFailed,
	},
}

// Accepts tells whether an event changes a link in this state; else it is ignored.
func (s LinkState) Accepts(kind EventKind) bool {
	_, listed := linkTransitions[s][kind]
	return listed
}

// Step applies an event to a link. It gives the link after it and true, or the link as it is and false when the machine has no such
// transition: the caller counts it and goes on.
func Step(link Link, event LinkEvent, now time.Time) (Link, bool) {
	next, listed := linkTransitions[link.State][event.Kind]
	if !listed {
		return link, false
	}
	link.State, link.Reason, link.Deadline = next, event.Reason, time.Time{}
	if event.For > 0 && !next.Ended() {
		link.Deadline = now.Add(event.For)
	}
	switch {
	case next == LinkQR:
		link.QRIndex++
	case next == LinkQueued:
		link.QRIndex, link.StartedAt = 0, time.Time{}
	case event.Kind == EventStart || (event.Kind == EventConnect && link.StartedAt.IsZero()):
		link.StartedAt = now
	}
	if next.Ended() {
		link.EndedAt = now
	}
	return link, true
}
