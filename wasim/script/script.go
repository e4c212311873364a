// Package script says which faults the simulated WhatsApp server shall show, when, and to whom. It is the one form of a fault for Go
// tests and for the HTTP control API: every type here is plain JSON.
//
// Nouns: Rule (when, to whom, how often, what), Event (something that happened at the server and could be answered with a fault),
// Action (the fault), Play (the rules in force).
//
// A test adds rules through wasim.Server.Script or the control API; the server asks Play.Decide at every event. The first rule that
// applies decides. The package must never know connections: it only decides.
package script

import (
	"encoding/json"
	"fmt"
	"time"
)

// Event is a moment at which the server can be told to misbehave.
type Event string

// The moments of a connection.
const (
	// Upgrade is the HTTP request for the websocket. Nobody knows yet which account it is: rules with an Account do not apply.
	Upgrade Event = "upgrade"
	// Pairing is an unlinked device that connected, before it is offered QR codes; Account does not apply.
	Pairing Event = "pairing"
	// Login is a linked device that connected, before it is told success.
	Login Event = "login"
	// Clock is not a moment of a connection: the rule strikes the account's open connections once, Rule.After from now.
	Clock Event = "clock"
	// Upload and Download are HTTP requests to the media host; Account does not apply.
	Upload   Event = "upload"
	Download Event = "download"
)

// The stanzas that a client sends.
const (
	// Stanza is any of those below.
	Stanza         Event = "stanza"
	Message        Event = "message"
	RetryMessage   Event = "message.retry"
	PeerMessage    Event = "message.peer"
	Receipt        Event = "receipt"
	RetryReceipt   Event = "receipt.retry"
	Ack            Event = "ack"
	Presence       Event = "presence"
	ChatState      Event = "chatstate"
	Telemetry      Event = "ib"
	KeepAlive      Event = "keepalive"
	Passive        Event = "passive"
	PreKeyCount    Event = "prekeys.count"
	PreKeyUpload   Event = "prekeys.upload"
	PreKeyFetch    Event = "prekeys.fetch"
	UsyncDevices   Event = "usync.devices"
	UsyncLID       Event = "usync.lid"
	UsyncContact   Event = "usync.contact"
	PrivacyToken   Event = "privacy.token"
	Privacy        Event = "privacy"
	MediaConn      Event = "media_conn"
	AppState       Event = "app_state"
	Logout         Event = "logout"
	PairCode       Event = "pair.code"
	PairCodeFinish Event = "pair.code_finish"
	PairRef        Event = "pair.ref"
	PairPasskey    Event = "pair.passkey"
	PairNonce      Event = "pair.nonce"
	PairRequest    Event = "pair.request"
	ProfilePicture Event = "profile_picture"
	Blocklist      Event = "blocklist"
	Settings       Event = "settings"
	Unknown        Event = "unknown"
)

var stanzas = map[Event]bool{
	Message: true, RetryMessage: true, PeerMessage: true, Receipt: true, RetryReceipt: true, Ack: true, Presence: true,
	ChatState: true, Telemetry: true, KeepAlive: true, Passive: true, PreKeyCount: true, PreKeyUpload: true, PreKeyFetch: true,
	UsyncDevices: true, UsyncLID: true, UsyncContact: true, PrivacyToken: true, Privacy: true, MediaConn: true, AppState: true,
	Logout: true, PairCode: true, PairCodeFinish: true, PairRef: true, PairPasskey: true, PairNonce: true, PairRequest: true,
	ProfilePicture: true, Blocklist: true, Settings: true, Unknown: true,
}

// IsStanza tells whether the event is a stanza that a client sends.
func (e Event) IsStanza() bool { return e == Stanza || stanzas[e] }

// known tells whether the event is one of this package's.
func (e Event) known() bool {
	switch e {
	case Upgrade, Pairing, Login, Clock, Upload, Download:
		return true
	}
	return e.IsStanza()
}

// Duration is a time.Duration that is written in JSON as "1.5s".
type Duration time.Duration

// MarshalJSON writes the duration as text.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads "1.5s".
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("a duration is a text such as \"1.5s\": %w", err)
	}
	parsed, err := time.ParseDuration(text)
	*d = Duration(parsed)
	return err
}

// Rule is one scripted fault.
type Rule struct {
	// Name is for people; it may be empty.
	Name string `json:"name,omitempty"`
	// On is the moment; required.
	On Event `json:"on"`
	// Account limits the rule to one linked account, by its phone number; empty: every account.
	Account string `json:"account,omitempty"`
	// Recipient limits the rule to stanzas that concern one person, by phone number: the addressee of a message or receipt, someone
	// asked for in a query. Empty: everyone.
	Recipient string `json:"recipient,omitempty"`
	// Skip lets that many events pass first.
	Skip int `json:"skip,omitempty"`
	// Times is how often the rule strikes; 0: every time.
	Times int `json:"times,omitempty"`
	// After and Until limit the rule to a time, counted from when it was added; 0: no limit.
	After Duration `json:"after,omitempty"`
	Until Duration `json:"until,omitempty"`
	// Probability is the share of events that the rule strikes, between 0 and 1; 0 means 1.
	Probability float64 `json:"probability,omitempty"`
	// Do is the fault; required.
	Do Action `json:"do"`
}

// Validate tells what is wrong with a rule.
func (r Rule) Validate() error {
	switch {
	case !r.On.known():
		return fmt.Errorf("unknown event %q", r.On)
	case r.Skip < 0 || r.Times < 0:
		return fmt.Errorf("skip %d and times %d must not be negative", r.Skip, r.Times)
	case r.After < 0 || r.Until < 0 || r.Until > 0 && r.Until <= r.After:
		return fmt.Errorf("the time from %v to %v is empty", time.Duration(r.After), time.Duration(r.Until))
	case r.Probability < 0 || r.Probability > 1:
		return fmt.Errorf("probability %v is not between 0 and 1", r.Probability)
	case r.On == Clock && !r.Do.Kind.strikesConnection():
		return fmt.Errorf("a rule on the clock can only do something to a connection, not %q", r.Do.Kind)
	case (r.On == Upgrade || r.On == Upload || r.On == Download) && r.Do.Kind != HTTPStatus:
		return fmt.Errorf("an HTTP request can only be answered with a status, not %q", r.Do.Kind)
	}
	return r.Do.validate()
}
