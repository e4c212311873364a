// Package events holds the words that processes say to each other: commands (jobs to do, kept in the COMMANDS stream until done), facts
// (what happened, kept in EVENTS) and the one request, "send this message through session S". All are plain JSON with a version.
//
// A command is published once per intention: its message id derives from what it asks (MessageID), so that publishing it twice is
// harmless. A fact is published after the thing happened and is written down; nobody may refuse it. The way is always API → command →
// worker → store → fact; nothing here is ever answered, but for SendRequest.
//
// Callers: internal/api, internal/sender and internal/webhook publish commands, the workers read them and publish facts, the projector, the webhooks and
// later the console read facts. It must never know a transport: subjects are here, connections are in internal/bus.
//
// A change of a message's shape raises its version and its golden file in testdata.
package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dannsalud/broadcaster/internal/campaign"
	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// The streams.
const (
	StreamCommands = "COMMANDS"
	StreamEvents   = "EVENTS"
	StreamFailed   = "FAILED"
)

// Message is anything that has a subject, a kind and a version: every command and every fact. Validate refuses one whose ids are missing or would
// make another subject of it, and what no worker could do; such a message is poison.
type Message interface {
	// Kind names the type on the wire ("link_session"), stable for ever.
	Kind() string
	// Subject is where it is published.
	Subject() string
	// MessageID is its identity for de-duplication; two messages with one id are one message.
	MessageID() string
	// SchemaVersion is the version of its shape.
	SchemaVersion() int
	// Validate gives a fault.Poison for a message that must not be published.
	Validate() error
}

// Command is a job to do.
type Command interface {
	Message
	command()
}

// Fact is something that happened.
type Fact interface {
	Message
	fact()
}

// The subjects of commands, as filters for consumers.
const (
	LinkCommands     = "commands.link.>"
	CampaignCommands = "commands.campaign.>"
	WebhookCommands  = "commands.webhook.>"
	AllEvents        = "events.>"
	AllFailed        = "failed.>"
)

// LinkSession asks a linker to pair a session's device with a phone.
type LinkSession struct {
	Version   int            `json:"version"`
	SessionID session.ID     `json:"session_id"`
	LinkID    string         `json:"link_id"`
	Method    session.Method `json:"method"`
	// Phone is the number to pair by code, E.164; empty for QR.
	Phone       string    `json:"phone,omitempty"`
	RequestedAt time.Time `json:"requested_at"`
	// Due is set when a link that had to wait for its turn is asked for again: when that was written down. Each is a message of its own.
	Due time.Time `json:"due,omitzero"`
}

// The versions of LinkSession. The first one asks for a link and has no Due; workers of all versions read it.
const (
	LinkSessionVersion      = 1
	LinkSessionAgainVersion = 2
)

// Kind implements Message.
func (LinkSession) Kind() string { return "link_session" }

// Subject implements Message.
func (c LinkSession) Subject() string { return "commands.link." + string(c.SessionID) }

// MessageID implements Message: one link attempt is one job, and one more each time that it had to wait.
func (c LinkSession) MessageID() string {
	if c.Due.IsZero() {
		return "link:" + c.LinkID
	}
	return "link:" + c.LinkID + ":" + stamp(c.Due)
}

// SchemaVersion implements Message.
func (c LinkSession) SchemaVersion() int { return c.Version }

// Validate implements Message.
func (c LinkSession) Validate() error {
	if c.Version < LinkSessionVersion || c.Version > LinkSessionAgainVersion {
		return unknownVersion(c)
	}
	return needsIDs(c, field{"session_id", string(c.SessionID)}, field{"link_id", c.LinkID})
}

func (LinkSession) command() {}

// RunCampaign asks a sender to run a campaign for one bounded slice.
type RunCampaign struct {
	Version    int         `json:"version"`
	CampaignID campaign.ID `json:"campaign_id"`
	SessionID  session.ID  `json:"session_id"`
	// Slice numbers the jobs of this campaign from 1; each is a message of its own.
	Slice       int       `json:"slice"`
	RequestedAt time.Time `json:"requested_at"`
	// Due is set in the job of a scheduled campaign: the time that it was made for. It is out of date when the campaign begins at another one.
	Due time.Time `json:"due,omitzero"`
}

// The versions of RunCampaign. The first one has no Due; workers of all versions read it.
const (
	RunCampaignVersion    = 1
	RunCampaignDueVersion = 2
)

// Kind implements Message.
func (RunCampaign) Kind() string { return "run_campaign" }

// Subject implements Message.
func (c RunCampaign) Subject() string { return "commands.campaign." + string(c.CampaignID) }

// MessageID implements Message.
func (c RunCampaign) MessageID() string {
	id := "campaign:" + string(c.CampaignID) + ":" + strconv.Itoa(c.Slice)
	if !c.Due.IsZero() {
		id += ":" + stamp(c.Due)
	}
	return id
}

// SchemaVersion implements Message.
func (c RunCampaign) SchemaVersion() int { return c.Version }

// Validate implements Message.
func (c RunCampaign) Validate() error {
	if c.Version < RunCampaignVersion || c.Version > RunCampaignDueVersion {
		return unknownVersion(c)
	}
	if c.Slice < 1 {
		return incomplete(c, "a slice from 1")
	}
	return needsIDs(c, field{"campaign_id", string(c.CampaignID)}, field{"session_id", string(c.SessionID)})
}

func (RunCampaign) command() {}

// FactVersion is the present version of every fact.
const FactVersion = 1

// SessionChanged: a session's state changed.
type SessionChanged struct {
	Version   int            `json:"version"`
	SessionID session.ID     `json:"session_id"`
	UserID    string         `json:"user_id"`
	State     session.State  `json:"state"`
	Reason    session.Reason `json:"reason,omitempty"`
	Until     time.Time      `json:"until,omitzero"`
	At        time.Time      `json:"at"`
}

// Kind implements Message.
func (SessionChanged) Kind() string { return "session_changed" }

// Subject implements Message.
func (f SessionChanged) Subject() string { return "events.session." + string(f.SessionID) + ".state" }

// MessageID implements Message.
func (f SessionChanged) MessageID() string {
	return digest("session", string(f.SessionID), string(f.State), string(f.Reason), stamp(f.At))
}

// SchemaVersion implements Message.
func (f SessionChanged) SchemaVersion() int { return f.Version }

// Validate implements Message.
func (f SessionChanged) Validate() error {
	return checkFact(f, field{"session_id", string(f.SessionID)})
}

func (SessionChanged) fact() {}

// LinkChanged: a link went on to another state, or shows its next code (the code itself is never in an event).
type LinkChanged struct {
	Version   int               `json:"version"`
	SessionID session.ID        `json:"session_id"`
	UserID    string            `json:"user_id"`
	LinkID    string            `json:"link_id"`
	State     session.LinkState `json:"state"`
	Reason    session.Reason    `json:"reason,omitempty"`
	// QRIndex counts the codes of this attempt, from 1, while State is "qr".
	QRIndex  int       `json:"qr_index,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"`
	At       time.Time `json:"at"`
}

// Kind implements Message.
func (LinkChanged) Kind() string { return "link_changed" }

// Subject implements Message.
func (f LinkChanged) Subject() string { return "events.session." + string(f.SessionID) + ".link" }

// MessageID implements Message.
func (f LinkChanged) MessageID() string {
	return digest("link", f.LinkID, string(f.State), strconv.Itoa(f.QRIndex), stamp(f.At))
}

// SchemaVersion implements Message.
func (f LinkChanged) SchemaVersion() int { return f.Version }

// Validate implements Message.
func (f LinkChanged) Validate() error {
	return checkFact(f, field{"session_id", string(f.SessionID)}, field{"link_id", f.LinkID})
}

func (LinkChanged) fact() {}

// SessionStable: a session has been connected for a while without a break. It is told again after each break.
type SessionStable struct {
	Version   int        `json:"version"`
	SessionID session.ID `json:"session_id"`
	UserID    string     `json:"user_id"`
	// Since is when it was connected.
	Since time.Time `json:"since"`
	At    time.Time `json:"at"`
}

// Kind implements Message.
func (SessionStable) Kind() string { return "session_stable" }

// Subject implements Message.
func (f SessionStable) Subject() string { return "events.session." + string(f.SessionID) + ".stable" }

// MessageID implements Message.
func (f SessionStable) MessageID() string {
	return digest("stable", string(f.SessionID), stamp(f.Since))
}

// SchemaVersion implements Message.
func (f SessionStable) SchemaVersion() int { return f.Version }

// Validate implements Message.
func (f SessionStable) Validate() error {
	return checkFact(f, field{"session_id", string(f.SessionID)})
}

func (SessionStable) fact() {}

// PhoneOffline: a linked session's phone has given no sign for many days, so that WhatsApp will unlink its devices soon. It is told at each degree.
type PhoneOffline struct {
	Version   int               `json:"version"`
	SessionID session.ID        `json:"session_id"`
	UserID    string            `json:"user_id"`
	Attention session.Attention `json:"attention"`
	// SeenAt is when the phone last gave a sign; zero: not since it was linked.
	SeenAt time.Time `json:"seen_at,omitzero"`
	At     time.Time `json:"at"`
}

// Kind implements Message.
func (PhoneOffline) Kind() string { return "phone_offline" }

// Subject implements Message.
func (f PhoneOffline) Subject() string { return "events.session." + string(f.SessionID) + ".phone" }

// MessageID implements Message.
func (f PhoneOffline) MessageID() string {
	return digest("phone", string(f.SessionID), string(f.Attention), stamp(f.SeenAt))
}

// SchemaVersion implements Message.
func (f PhoneOffline) SchemaVersion() int { return f.Version }

// Validate implements Message.
func (f PhoneOffline) Validate() error {
	return checkFact(f, field{"session_id", string(f.SessionID)}, field{"attention", string(f.Attention)})
}

func (PhoneOffline) fact() {}

// CampaignChanged: a campaign's state changed.
type CampaignChanged struct {
	Version    int            `json:"version"`
	CampaignID campaign.ID    `json:"campaign_id"`
	SessionID  session.ID     `json:"session_id"`
	UserID     string         `json:"user_id"`
	State      campaign.State `json:"state"`
	Reason     string         `json:"reason,omitempty"`
	At         time.Time      `json:"at"`
}

// Kind implements Message.
func (CampaignChanged) Kind() string { return "campaign_changed" }

// Subject implements Message.
func (f CampaignChanged) Subject() string {
	return "events.campaign." + string(f.CampaignID) + ".state"
}

// MessageID implements Message.
func (f CampaignChanged) MessageID() string {
	return digest("campaign", string(f.CampaignID), string(f.State), f.Reason, stamp(f.At))
}

// SchemaVersion implements Message.
func (f CampaignChanged) SchemaVersion() int { return f.Version }

// Validate implements Message.
func (f CampaignChanged) Validate() error {
	return checkFact(f, field{"campaign_id", string(f.CampaignID)}, field{"session_id", string(f.SessionID)})
}

func (CampaignChanged) fact() {}

// MessageReceipt: a recipient's device confirmed messages of one campaign.
type MessageReceipt struct {
	Version    int         `json:"version"`
	SessionID  session.ID  `json:"session_id"`
	CampaignID campaign.ID `json:"campaign_id"`
	// MessageIDs are delivery ids.
	MessageIDs []string            `json:"message_ids"`
	Receipt    session.ReceiptKind `json:"receipt"`
	At         time.Time           `json:"at"`
}

// Kind implements Message.
func (MessageReceipt) Kind() string { return "message_receipt" }

// Subject implements Message.
func (f MessageReceipt) Subject() string {
	return "events.message." + string(f.CampaignID) + ".receipt"
}

// MessageID implements Message: the same receipt reported twice is one fact.
func (f MessageReceipt) MessageID() string {
	return digest(append([]string{"receipt", string(f.Receipt), string(f.SessionID)}, f.MessageIDs...)...)
}

// SchemaVersion implements Message.
func (f MessageReceipt) SchemaVersion() int { return f.Version }

// Validate implements Message.
func (f MessageReceipt) Validate() error {
	if err := checkFact(f, field{"campaign_id", string(f.CampaignID)}, field{"session_id", string(f.SessionID)}); err != nil {
		return err
	}
	if len(f.MessageIDs) == 0 || slices.Contains(f.MessageIDs, "") {
		return incomplete(f, "message_ids")
	}
	return nil
}

func (MessageReceipt) fact() {}

// MessageReceived: somebody wrote to a session.
type MessageReceived struct {
	Version   int        `json:"version"`
	SessionID session.ID `json:"session_id"`
	MessageIn string     `json:"message_id"`
	// Phone is E.164; empty when only a hidden id is known.
	Phone string    `json:"phone,omitempty"`
	LID   string    `json:"lid,omitempty"`
	Text  string    `json:"text"`
	At    time.Time `json:"at"`
}

// Kind implements Message.
func (MessageReceived) Kind() string { return "message_received" }

// Subject implements Message.
func (f MessageReceived) Subject() string {
	return "events.session." + string(f.SessionID) + ".inbound"
}

// MessageID implements Message.
func (f MessageReceived) MessageID() string {
	return digest("inbound", string(f.SessionID), f.MessageIn)
}

// SchemaVersion implements Message.
func (f MessageReceived) SchemaVersion() int { return f.Version }

// Validate implements Message.
func (f MessageReceived) Validate() error {
	if err := checkFact(f, field{"session_id", string(f.SessionID)}); err != nil {
		return err
	}
	if f.MessageIn == "" { // WhatsApp's own, in no subject: it may be any text.
		return incomplete(f, "message_id")
	}
	return nil
}

func (MessageReceived) fact() {}

// SendSubject is where the worker that holds a session answers SendRequests. It is core NATS request/reply, in no stream: a request
// that nobody answers was not sent.
func SendSubject(id session.ID) string { return "wa.send." + string(id) }

// LookupSubject is where the same worker answers SendRequests that only ask about numbers: who may ask need not be allowed to send.
func LookupSubject(id session.ID) string { return "wa.lookup." + string(id) }

// SubjectOf is where a request goes.
func (r SendRequest) SubjectOf() string {
	if len(r.Lookup) > 0 {
		return LookupSubject(r.SessionID)
	}
	return SendSubject(r.SessionID)
}

// SendRequest asks the holder of a session to send one message. It is paced by the holder; its answer may take as long as the pace does,
// up to the request's deadline. Sending the same MessageID again is safe: the phone that receives keeps one copy.
type SendRequest struct {
	Version    int         `json:"version"`
	SessionID  session.ID  `json:"session_id"`
	CampaignID campaign.ID `json:"campaign_id,omitempty"`
	MessageID  string      `json:"message_id"`
	// Phone is the recipient, E.164 with the plus sign.
	Phone string `json:"phone"`
	Text  string `json:"text"`
	// Attachment is a file that goes with the text; Typing shows that somebody types before it.
	Attachment campaign.Attachment `json:"attachment,omitzero"`
	Typing     bool                `json:"typing,omitempty"`
	// Limits are what the campaign says about the pace.
	Limits campaign.Limits `json:"limits,omitzero"`
	// NotAfter is the end of the hours in which it may be sent; zero: there is none.
	NotAfter time.Time `json:"not_after,omitzero"`
	// Preview is shown below the text.
	Preview session.Preview `json:"preview,omitzero"`
	// WarmOnly skips a recipient who never wrote to the session.
	WarmOnly bool `json:"warm_only,omitempty"`
	// Lookup makes it a question instead: which of these numbers are on WhatsApp? Nothing is sent then.
	Lookup []string `json:"lookup,omitempty"`
}

// Validate gives a fault.Poison for a request without a message id, or whose session's id makes no subject.
func (r SendRequest) Validate() error {
	if r.MessageID == "" || !isToken(string(r.SessionID)) || r.SessionID == "" {
		return fault.New(fault.Poison, "incomplete_message", "The send request needs a message_id, and a session_id of letters, digits, - and _")
	}
	return nil
}

// SendReply is the answer: sent at SentAt, or a failure with its class.
type SendReply struct {
	SentAt time.Time `json:"sent_at,omitzero"`
	// Class is empty for success; Code, Message, RetryAfter and Until are those of fault.Error.
	Class      fault.Class   `json:"class,omitempty"`
	Code       string        `json:"code,omitempty"`
	Message    string        `json:"message,omitempty"`
	RetryAfter time.Duration `json:"retry_after_ns,omitempty"`
	Until      time.Time     `json:"until,omitzero"`
	// Lookups answers a question about numbers.
	Lookups []campaign.Lookup `json:"lookups,omitempty"`
}

// Err gives the failure as a classed error, nil for success.
func (r SendReply) Err() error {
	if r.Class == "" {
		return nil
	}
	return fault.New(r.Class, r.Code, r.Message).WithAfter(r.RetryAfter).WithUntil(r.Until)
}

// FailedReply makes the answer for a failed send.
func FailedReply(err error) SendReply {
	failure := fault.As(err)
	return SendReply{Class: failure.Class, Code: failure.Code, Message: failure.Message, RetryAfter: failure.After, Until: failure.Until}
}

// field is an id of a message, by its name on the wire.
type field struct{ name, value string }

// checkFact refuses a fact of a version that is not known here, or without its ids.
func checkFact(fact Fact, ids ...field) error {
	if version := fact.SchemaVersion(); version < 1 || version > FactVersion {
		return unknownVersion(fact)
	}
	return needsIDs(fact, ids...)
}

// needsIDs refuses a message whose ids are missing, or are more than one token of a subject: with a dot, a space or a wildcard in it an id
// would be published to another subject, or to none. The id itself is not shown: it may be anything.
func needsIDs(message Message, ids ...field) error {
	for _, id := range ids {
		if id.value == "" {
			return incomplete(message, id.name)
		}
		if !isToken(id.value) {
			return fault.New(fault.Poison, "unsafe_id",
				fmt.Sprintf("The %s of the %s message has characters other than letters, digits, - and _", id.name, message.Kind()))
		}
	}
	return nil
}

// maxIDBytes bounds an id; ours have 40.
const maxIDBytes = 128

func isToken(id string) bool {
	return len(id) <= maxIDBytes && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

func unknownVersion(message Message) error {
	return fault.New(fault.Poison, "unknown_version",
		fmt.Sprintf("The %s message has version %d, which this worker does not know; upgrade the workers or edit the job",
			message.Kind(), message.SchemaVersion()))
}

func incomplete(message Message, what string) error {
	return fault.New(fault.Poison, "incomplete_message", fmt.Sprintf("The %s message needs %s; edit the job", message.Kind(), what))
}

func stamp(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }

func digest(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write([]byte(part))
		hash.Write([]byte{0})
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}
