package session

import "time"

// Signal is something that a WhatsApp connection reports. The concrete types are listed below; internal/wa makes them, a type switch
// reads them.
type Signal interface{ signal() }

// QROffered: WhatsApp offered codes to scan. Each is shown for a while, in order; a code is a secret.
type QROffered struct{ Codes []string }

// PairingCode: WhatsApp gave the 8-character code to type on the phone, as "ABCD-EFGH". It is a secret.
type PairingCode struct{ Code string }

// PasskeyAsked: WhatsApp wants a WebAuthn assertion before it goes on. Options is its public-key request as JSON.
type PasskeyAsked struct{ Options []byte }

// PasskeyConfirm: the assertion was accepted; Code must be compared with the phone (empty: nothing to compare).
type PasskeyConfirm struct{ Code string }

// Paired: the phone accepted the device. The connection restarts by itself and reports Connected when it can send.
type Paired struct{ Device Device }

// PairRefused: the pairing ended without a device. Reason says why, Detail is for the log.
type PairRefused struct {
	Reason Reason
	Detail string
}

// Connected: the session is logged in and can send. It is reported after every reconnect.
type Connected struct{}

// Disconnected: the connection ended and is being opened again by the client.
type Disconnected struct{}

// Restarting: WhatsApp asked for a reconnect (stream error 515), as it does after a pairing.
type Restarting struct{}

// Ended: the connection ended and the client will not open it again. Reason says why; Until is set for a temporary ban.
type Ended struct {
	Reason Reason
	Until  time.Time
	// Detail is WhatsApp's own code or text, for the log.
	Detail string
	// Renewed: the cause is put right by now (an outdated client has a newer version), so that another connection is worth a try at once.
	Renewed bool
}

// StreamFailed: WhatsApp reported a stream error that whatsmeow does not explain.
type StreamFailed struct{ Code string }

// KeepAliveLate: WhatsApp did not answer keep-alives; Since is when the last answer came.
type KeepAliveLate struct{ Since time.Time }

// Restricted: WhatsApp changed the reach-out lock of the account (the event behind error 463). Until is zero when it did not say.
type Restricted struct {
	Active bool
	Until  time.Time
}

// ReceiptKind says how far a message came.
type ReceiptKind string

// The kinds of receipts, from the contact's devices.
const (
	ReceiptDelivered ReceiptKind = "delivered"
	ReceiptRead      ReceiptKind = "read"
	ReceiptPlayed    ReceiptKind = "played"
)

// ReceiptArrived: a contact's device confirmed messages that this session sent.
type ReceiptArrived struct {
	MessageIDs []string
	Kind       ReceiptKind
	At         time.Time
}

// PhoneSeen: the account's phone itself was online. It is not reported more often than every hour or so.
type PhoneSeen struct{ At time.Time }

// RetryAsked: a contact's device could not decrypt a message and asked for it again; the client answers by itself.
type RetryAsked struct {
	MessageID string
	Answered  bool
}

// MessageArrived: somebody wrote to this session. Phone is E.164, empty when only a hidden id is known.
type MessageArrived struct {
	MessageID string
	Phone     string
	LID       string
	Text      string
	At        time.Time
}

func (QROffered) signal()      {}
func (PairingCode) signal()    {}
func (PasskeyAsked) signal()   {}
func (PasskeyConfirm) signal() {}
func (Paired) signal()         {}
func (PairRefused) signal()    {}
func (Connected) signal()      {}
func (Disconnected) signal()   {}
func (Restarting) signal()     {}
func (Ended) signal()          {}
func (StreamFailed) signal()   {}
func (KeepAliveLate) signal()  {}
func (Restricted) signal()     {}
func (ReceiptArrived) signal() {}
func (PhoneSeen) signal()      {}
func (RetryAsked) signal()     {}
func (MessageArrived) signal() {}
