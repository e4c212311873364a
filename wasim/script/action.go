package script

import (
	"fmt"
	"time"
)

// Kind names a fault.
type Kind string

// The faults.
const (
	// Pass is the zero action: nothing happens. As a rule it protects what it matches from the rules added after it.
	Pass Kind = ""
	// HTTPStatus answers an HTTP request with Action.Code.
	HTTPStatus Kind = "http_status"
	// Failure refuses a login with <failure reason=Code>; Ban and For belong to reason 402.
	Failure Kind = "failure"
	// StreamError sends <stream:error code=Code>.
	StreamError Kind = "stream_error"
	// Replaced sends the stream error for "another connection of this device took over".
	Replaced Kind = "replaced"
	// DeviceRemoved unlinks the device and sends the stream error that tells it.
	DeviceRemoved Kind = "device_removed"
	// Cut closes the TCP connection, without a word.
	Cut Kind = "cut"
	// Silence keeps the connection open and reads on, but nothing is sent any more.
	Silence Kind = "silence"
	// AckError answers a message with <ack error=Code>; it is not delivered.
	AckError Kind = "ack_error"
	// QueryError answers a query (iq) with the error Code; nothing is done.
	QueryError Kind = "query_error"
	// DropStanza loses the client's stanza: nothing is done, nothing answered.
	DropStanza Kind = "drop_stanza"
	// DropReply does what the stanza asks and loses the answer.
	DropReply Kind = "drop_reply"
	// Delay holds the answer back for Action.For.
	Delay Kind = "delay"
	// TimeLock tells the account that it may not write to strangers (the notification that goes with ack error 463), until For from
	// now; Code 0 lifts the lock, any other sets it.
	TimeLock Kind = "time_lock"
	// PreKeysLow tells the device that the server has only Code of its one-time prekeys left.
	PreKeysLow Kind = "prekeys_low"
	// Downgrade tells a pairing device that the phone has no multi-device.
	Downgrade Kind = "downgrade"
	// OfferQR offers codes to scan to a device that is linked already.
	OfferQR Kind = "offer_qr"
	// SecondSuccess tells a device once more that its login succeeded.
	SecondSuccess Kind = "second_success"
)

// Kinds lists every kind but Pass, in the order of their declaration.
func Kinds() []Kind {
	return []Kind{HTTPStatus, Failure, StreamError, Replaced, DeviceRemoved, Cut, Silence, AckError, QueryError, DropStanza, DropReply, Delay, TimeLock,
		PreKeysLow, Downgrade, OfferQR, SecondSuccess}
}

// Action is what happens when a rule strikes. Make it with the functions below.
type Action struct {
	Kind Kind `json:"kind"`
	// Code is the number of the fault, by Kind.
	Code int `json:"code,omitempty"`
	// Text goes with the code where the protocol has one.
	Text string `json:"text,omitempty"`
	// Ban is the code of a temporary ban (101 to 106), with Failure 402.
	Ban int `json:"ban,omitempty"`
	// For is a delay, or how long a ban or lock lasts.
	For Duration `json:"for,omitempty"`
	// Afterwards lets the server do what the stanza asks before a fault of the connection strikes in place of the answer; without
	// it the stanza is lost with the connection.
	Afterwards bool `json:"afterwards,omitempty"`
	// KeepOpen leaves the connection open after a failure or a stream error.
	KeepOpen bool `json:"keep_open,omitempty"`
}

func (k Kind) strikesConnection() bool {
	switch k {
	case StreamError, Replaced, DeviceRemoved, Cut, Silence, TimeLock, PreKeysLow, Downgrade, OfferQR, SecondSuccess:
		return true
	}
	return false
}

func (a Action) validate() error {
	switch a.Kind {
	case HTTPStatus, Failure, AckError, QueryError:
		if a.Code <= 0 {
			return fmt.Errorf("%q needs a code", a.Kind)
		}
	case Delay:
		if a.For <= 0 {
			return fmt.Errorf("%q needs a time", a.Kind)
		}
	case Pass, StreamError, Replaced, DeviceRemoved, Cut, Silence, DropStanza, DropReply, TimeLock, PreKeysLow, Downgrade, OfferQR, SecondSuccess:
	default:
		return fmt.Errorf("unknown fault %q", a.Kind)
	}
	return nil
}

// StrikesConnection tells whether the fault hits the connection as a whole rather than the answer to one stanza.
func (a Action) StrikesConnection() bool { return a.Kind.strikesConnection() }

// Status answers an HTTP request with a status.
func Status(code int) Action { return Action{Kind: HTTPStatus, Code: code} }

// Refuse refuses a login with a failure reason.
func Refuse(reason int) Action { return Action{Kind: Failure, Code: reason} }

// TemporaryBan refuses a login with reason 402; code is one of 101 to 106.
func TemporaryBan(code int, lasts time.Duration) Action {
	return Action{Kind: Failure, Code: 402, Ban: code, For: Duration(lasts)}
}

// EndStream sends a stream error, such as 503 or 515, and closes the connection.
func EndStream(code int) Action { return Action{Kind: StreamError, Code: code} }

// EndReplaced ends the connection as if another one of the same device had taken over.
func EndReplaced() Action { return Action{Kind: Replaced} }

// RemoveDevice unlinks the device.
func RemoveDevice() Action { return Action{Kind: DeviceRemoved} }

// CutConnection closes the TCP connection.
func CutConnection() Action { return Action{Kind: Cut} }

// GoSilent stops sending on the connection.
func GoSilent() Action { return Action{Kind: Silence} }

// RefuseMessage answers a message with an ack error.
func RefuseMessage(code int) Action { return Action{Kind: AckError, Code: code} }

// RefuseQuery answers a query with an error; the text that belongs to the code is added.
func RefuseQuery(code int) Action { return Action{Kind: QueryError, Code: code} }

// LoseStanza loses what the client sent.
func LoseStanza() Action { return Action{Kind: DropStanza} }

// LoseReply loses the server's answer.
func LoseReply() Action { return Action{Kind: DropReply} }

// DelayReply holds the server's answer back.
func DelayReply(by time.Duration) Action { return Action{Kind: Delay, For: Duration(by)} }

// Lock tells the account that it may not write to strangers for a time.
func Lock(lasts time.Duration) Action {
	return Action{Kind: TimeLock, Code: 1, For: Duration(lasts)}
}

// Unlock lifts the lock.
func Unlock() Action { return Action{Kind: TimeLock} }

// OfferLateQR offers codes to a device that is linked already.
func OfferLateQR() Action { return Action{Kind: OfferQR} }

// SucceedAgain tells a device once more that its login succeeded.
func SucceedAgain() Action { return Action{Kind: SecondSuccess} }

// Then strikes after the stanza was processed, instead of before.
func (a Action) Then() Action {
	a.Afterwards = true
	return a
}

// Open leaves the connection open after a failure or a stream error.
func (a Action) Open() Action {
	a.KeepOpen = true
	return a
}
