package wasim

import (
	"iter"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim/internal/inbox"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// Profile is what a contact is like. The zero value is an ordinary one: one device, on WhatsApp, with a LID, confirming as
// Options.Receipts says.
type Profile struct {
	// Devices is the number of simulated devices (1 to 30); 0 means 1.
	Devices int `json:"devices,omitempty"`
	// NotOnWhatsApp: the number has no account.
	NotOnWhatsApp bool `json:"not_on_whatsapp,omitempty"`
	// KnownAs is the number that the server knows the account as, where it is another form of this one: it answers lookups with it. Empty: this one.
	KnownAs string `json:"known_as,omitempty"`
	// NoLID: the server does not tell the account's LID.
	NoLID bool `json:"no_lid,omitempty"`
	// NoPreKeys: the server has no keys of the contact, so nothing can be encrypted for it.
	NoPreKeys bool `json:"no_prekeys,omitempty"`
	// NeverReads: it confirms delivery but never reading.
	NeverReads bool `json:"never_reads,omitempty"`
	// Silent: it sends no receipts at all.
	Silent bool `json:"silent,omitempty"`
	// Undecryptable is how many messages its devices fail to read at first, and ask for again.
	Undecryptable int `json:"undecryptable,omitempty"`
	// RetryWithKeys: it sends its keys along when it asks for the first time, not only from the second on.
	RetryWithKeys bool `json:"retry_with_keys,omitempty"`
	// PushName is the name that comes with its messages.
	PushName string `json:"push_name,omitempty"`
}

// Contact is a person who receives and writes messages. Its methods may be used at any time.
type Contact struct {
	account *account
	err     error
}

// Contact gives the contact with a phone number, and puts it on WhatsApp if it was not. With a text that is no phone number (see
// ValidNumber) it gives a contact that received nothing and cannot send.
func (s *Server) Contact(number string) *Contact {
	parsed, err := stanza.ParseNumber(number)
	if err != nil {
		return &Contact{account: &account{server: s}, err: err}
	}
	return &Contact{account: s.ensure(parsed)}
}

// Declare says what the contact with a phone number is like, from now on.
func (s *Server) Declare(number string, profile Profile) (*Contact, error) {
	contact := s.Contact(number)
	if contact.err != nil {
		return nil, contact.err
	}
	contact.Change(func(current *Profile) { *current = profile })
	return contact, nil
}

// Change changes what the contact is like, from now on. What clients have cached, such as its list of devices, stays cached there.
func (c *Contact) Change(change func(*Profile)) {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	profile := c.account.whois()
	change(&profile)
	profile.Devices = min(max(profile.Devices, 0), 30)
	c.account.profile = &profile
}

// Number is the contact's phone number in E.164.
func (c *Contact) Number() string { return stanza.FormatNumber(c.account.number) }

// JID is the contact's address by phone number.
func (c *Contact) JID() types.JID { return stanza.PN(c.account.number, 0) }

// LID is the contact's address by hidden id.
func (c *Contact) LID() types.JID { return stanza.LID(c.account.number, 0) }

// Message is one message as a person has it.
type Message struct {
	ID string `json:"id"`
	// From and To are phone numbers in E.164.
	From string `json:"from"`
	To   string `json:"to"`
	// Text is what can be read: the text or the caption.
	Text string `json:"text"`
	// Body is the encoded waE2E.Message; nil with Options.DropPlaintext.
	Body []byte    `json:"body,omitempty"`
	At   time.Time `json:"at"`
	// Devices lists the person's devices that have it; 0 is the phone. None: nobody could read it yet.
	Devices []int `json:"devices"`
	// Repeats is how often the same message arrived again at one of them; nobody sees that.
	Repeats int `json:"repeats"`
	// Duplicate: the person already had the same content from the same sender, under another id, and sees it twice.
	Duplicate bool `json:"duplicate"`
}

// Proto decodes the message.
func (m Message) Proto() (*waE2E.Message, error) {
	message := &waE2E.Message{}
	return message, proto.Unmarshal(m.Body, message)
}

// Received lists what the contact has received and could read, in order of arrival.
func (c *Contact) Received() []Message { return c.received(true) }

// Undecrypted lists what arrived at the contact but could not be read by any device yet.
func (c *Contact) Undecrypted() []Message { return c.received(false) }

func (c *Contact) received(readable bool) []Message {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	var messages []Message
	for _, entry := range a.inbox.Entries() {
		if entry.Peer != a.number && (entry.Devices != 0) == readable {
			messages = append(messages, messageOf(entry, entry.Peer, a.number))
		}
	}
	return messages
}

func messageOf(entry inbox.Entry, from, to uint64) Message {
	message := Message{
		ID: entry.ID, From: stanza.FormatNumber(from), To: stanza.FormatNumber(to), Text: inbox.Text(entry.Body), Body: entry.Body,
		At: entry.At, Repeats: entry.Repeats, Duplicate: entry.Duplicate,
	}
	for device := range 32 {
		if entry.Devices&(1<<device) != 0 {
			message.Devices = append(message.Devices, device)
		}
	}
	return message
}

// Forget makes the contact's devices lose their encryption sessions with an account's linked devices, as after a restored backup: what
// is sent in a session that has settled cannot be read any more and is asked for again.
func (c *Contact) Forget(phone *Phone) {
	companions := phone.account.companions()
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	for _, device := range c.account.devices {
		for _, companion := range companions {
			device.Forget(companion.address())
		}
	}
}

// Received lists what all people have received and could read, in no order between people. Messages that arrive meanwhile may be
// missing.
func (s *Server) Received() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for _, account := range s.everyAccount() {
			for _, message := range (&Contact{account: account}).Received() {
				if !yield(message) {
					return
				}
			}
		}
	}
}
