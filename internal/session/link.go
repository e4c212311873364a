package session

import "time"

// LinkState is one step of a link. The machine (transitions in machine.go) is
//
//	queued → cooling_down → connecting → qr(n) | code → passkey_required → passkey_confirm → paired → restarting → ready
//	       | expired | duplicate | refused | cancelled | failed
type LinkState string

// The states of a link.
const (
	LinkNone            LinkState = ""
	LinkQueued          LinkState = "queued"
	LinkCoolingDown     LinkState = "cooling_down"
	LinkConnecting      LinkState = "connecting"
	LinkQR              LinkState = "qr"
	LinkCode            LinkState = "code"
	LinkPasskeyRequired LinkState = "passkey_required"
	LinkPasskeyConfirm  LinkState = "passkey_confirm"
	LinkPaired          LinkState = "paired"
	LinkRestarting      LinkState = "restarting"
	LinkReady           LinkState = "ready"
	LinkExpired         LinkState = "expired"
	LinkDuplicate       LinkState = "duplicate"
	LinkRefused         LinkState = "refused"
	LinkCancelled       LinkState = "cancelled"
	LinkFailed          LinkState = "failed"
)

// LinkStates lists every state but LinkNone, in the order of their declaration.
func LinkStates() []LinkState {
	return []LinkState{LinkQueued, LinkCoolingDown, LinkConnecting, LinkQR, LinkCode, LinkPasskeyRequired, LinkPasskeyConfirm,
		LinkPaired, LinkRestarting, LinkReady, LinkExpired, LinkDuplicate, LinkRefused, LinkCancelled, LinkFailed}
}

// Ended tells whether nothing more will happen to a link in this state.
func (s LinkState) Ended() bool {
	switch s {
	case LinkReady, LinkExpired, LinkDuplicate, LinkRefused, LinkCancelled, LinkFailed:
		return true
	case LinkNone, LinkQueued, LinkCoolingDown, LinkConnecting, LinkQR, LinkCode, LinkPasskeyRequired, LinkPasskeyConfirm,
		LinkPaired, LinkRestarting:
		return false
	}
	return false
}

// InProgress tells whether a link is queued or being worked on.
func (s LinkState) InProgress() bool { return s != LinkNone && !s.Ended() }

// Method is how a phone is asked to accept the device.
type Method string

// The methods.
const (
	MethodQR   Method = "qr"
	MethodCode Method = "code"
)

// Link is one attempt to pair a session's device with a phone, as stored in its session.
type Link struct {
	// ID names the attempt; a command or a signal of an older attempt is ignored.
	ID     string
	Method Method
	// Phone is the number to pair by code, E.164; empty for QR.
	Phone  string
	State  LinkState
	Reason Reason
	// Holder is the other session that has the phone's number, when State is LinkDuplicate. Only who may see that session may be told.
	Holder ID
	// QRIndex counts the codes shown so far in this attempt, from 1; zero: none yet.
	QRIndex int
	// Deadline is when the present state ends by itself; zero: it has none.
	Deadline time.Time
	QueuedAt time.Time
	// StartedAt is when a linker took it; EndedAt when it reached an ended state.
	StartedAt time.Time
	EndedAt   time.Time
}

// Prompt is what a person has to see to go on with a link: the code to scan, to type or to compare, or the question for a passkey. It is a secret,
// lives only in the memory-only `qr` bucket, and never reaches a database, a log or an event.
type Prompt struct {
	LinkID string
	// QR is the text of the code to scan; Code the 8 characters to type, or to compare after a passkey; Passkey WhatsApp's WebAuthn request options
	// as JSON. One of them is set.
	QR      string
	Code    string
	Passkey []byte
	// Index counts the QR codes of this attempt, from 1.
	Index    int
	Deadline time.Time
}

// Answer is what a person gave for a prompt: the browser's answer to the question for a passkey, or that the codes are the same. It is kept like a
// Prompt, until the linker takes it.
type Answer struct {
	LinkID string
	// Passkey is the browser's WebAuthn response as JSON; empty when the answer is that the codes are the same.
	Passkey []byte
}
