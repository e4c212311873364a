package wasim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim/internal/inbox"
	"github.com/dannsalud/broadcaster/wasim/internal/signal"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// ErrNoDevice is returned when somebody writes to an account that no device is linked to.
var ErrNoDevice = errors.New("no device is linked to the account")

// letter is one message that a simulated person wrote, kept for retries and for what became of it.
type letter struct {
	id        string
	to        *account
	at        time.Time
	body      []byte
	attrs     stanza.Attrs
	delivered bool
	read      bool
	retries   int
}

// Sent is one message that a contact wrote.
type Sent struct {
	ID   string    `json:"id"`
	To   string    `json:"to"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
	// Delivered and Read tell what the linked devices confirmed.
	Delivered bool `json:"delivered"`
	Read      bool `json:"read"`
	// Retries is how often a linked device asked for it again.
	Retries int `json:"retries"`
}

// Send writes a text to an account, by its phone number; it returns the message's id. Linked devices that are not connected get it at
// their next login.
func (c *Contact) Send(ctx context.Context, number, text string) (string, error) {
	return c.SendMessage(ctx, number, &waE2E.Message{Conversation: proto.String(text)})
}

// SendMessage writes any message to an account, by its phone number.
func (c *Contact) SendMessage(ctx context.Context, number string, message *waE2E.Message) (string, error) {
	if c.err != nil {
		return "", c.err
	}
	parsed, err := stanza.ParseNumber(number)
	if err != nil {
		return "", err
	}
	body, err := proto.Marshal(message)
	if err != nil {
		return "", fmt.Errorf("encode message: %w", err)
	}
	target := c.account.server.account(parsed)
	if target == nil {
		return "", ErrNoDevice
	}
	companions := target.companions()
	if len(companions) == 0 {
		return "", ErrNoDevice
	}
	c.account.server.books.inbound.Add(1)
	return c.account.write(ctx, &letter{to: target, body: body}, companions)
}

// write encrypts a letter for each linked device and brings it there.
func (a *account) write(ctx context.Context, letter *letter, companions []*companion) (string, error) {
	letter.id, letter.at = a.server.newID("3A"), time.Now()
	a.mu.Lock()
	a.outbox = append(a.outbox, letter)
	a.mu.Unlock()
	for _, companion := range companions {
		if err := a.post(ctx, letter, companion, posting{}); err != nil {
			return letter.id, err
		}
	}
	return letter.id, nil
}

// posting is how a letter is sent to one device.
type posting struct {
	// fresh starts a new session from this bundle.
	fresh *signal.Bundle
	// as is the address that the receiver used for the sender; empty: the server's default.
	as types.JID
	// count is the number of the retry.
	count int
}

// post encrypts a letter for one linked device and brings it there.
func (a *account) post(ctx context.Context, letter *letter, to *companion, how posting) error {
	if how.as.IsEmpty() {
		how.as = stanza.LID(a.number, 0)
		if a.server.options.InboundByNumber {
			how.as = stanza.PN(a.number, 0)
		}
	}
	kind, ciphertext, err := a.encrypt(ctx, letter.body, to, how.fresh)
	if err != nil {
		return fmt.Errorf("encrypt for linked device: %w", err)
	}
	enc := stanza.Attrs{"v": "2", "type": kind}
	if how.count > 0 {
		enc["count"] = how.count
	}
	attrs := stanza.Attrs{
		"from": stanza.As(how.as, a.number, 0), "id": letter.id, "t": letter.at.Unix(), "type": "text", "notify": a.pushName(),
	}
	addressBoth(attrs, how.as, a.number, 0)
	for name, value := range letter.attrs {
		attrs[name] = value
	}
	to.deliver(stanza.Node{Tag: "message", Attrs: attrs, Content: []stanza.Node{{Tag: "enc", Attrs: enc, Content: ciphertext}}})
	return nil
}

func (a *account) encrypt(ctx context.Context, body []byte, to *companion, fresh *signal.Bundle) (string, []byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	device := a.device(0)
	if fresh == nil && !device.HasSession(to.address()) {
		bundle := to.bundle()
		fresh = &bundle
	}
	if fresh != nil {
		if err := device.Establish(ctx, to.address(), *fresh); err != nil {
			return "", nil, err
		}
	}
	return device.Encrypt(ctx, to.address(), body)
}

// resend sends a letter again to a device that could not read it.
func (a *account) resend(ctx context.Context, asker *companion, id string, how posting) {
	a.mu.Lock()
	found := a.letter(id)
	if found != nil {
		found.retries++
	}
	a.mu.Unlock()
	if found == nil {
		return
	}
	if err := a.post(ctx, found, asker, how); err != nil {
		a.server.options.Log.WarnContext(ctx, "retry not answered", "error", err)
	}
}

// letter finds what the person wrote; the account's lock is held.
func (a *account) letter(id string) *letter {
	for i := len(a.outbox) - 1; i >= 0; i-- {
		if a.outbox[i].id == id {
			return a.outbox[i]
		}
	}
	return nil
}

// noteReceipt writes down what a linked device confirmed.
func (a *account) noteReceipt(from *account, ids []string, kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		letter := a.letter(id)
		if letter == nil || letter.to != from {
			continue
		}
		switch kind {
		case "", "inactive":
			if !letter.delivered {
				a.server.books.inboundConfirmed.Add(1)
			}
			letter.delivered = true
		case "read", "read-self", "played":
			letter.read = true
		}
	}
}

// Sent lists what the contact wrote, in order.
func (c *Contact) Sent() []Sent {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	sent := make([]Sent, len(c.account.outbox))
	for i, letter := range c.account.outbox {
		sent[i] = Sent{
			ID: letter.id, To: stanza.FormatNumber(letter.to.number), Text: inbox.Text(letter.body), At: letter.at,
			Delivered: letter.delivered, Read: letter.read, Retries: letter.retries,
		}
	}
	return sent
}

// pushName is the name that comes with the person's messages.
func (a *account) pushName() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.phone != nil && a.phone.name != "" {
		return a.phone.name
	}
	return a.whois().PushName
}

// GivePrivacyToken lets an account write to the contact as somebody whom the contact trusts: its linked devices are given a token, which
// whatsmeow then sends along with its messages.
func (c *Contact) GivePrivacyToken(number string) error {
	if c.err != nil {
		return c.err
	}
	parsed, err := stanza.ParseNumber(number)
	if err != nil {
		return err
	}
	target := c.account.server.account(parsed)
	if target == nil || len(target.companions()) == 0 {
		return ErrNoDevice
	}
	now := time.Now().Unix()
	target.tell(stanza.Node{
		Tag: "notification",
		Attrs: stanza.Attrs{
			"from": c.JID(), "sender_lid": c.LID(), "type": "privacy_token", "id": c.account.server.newID("N"), "t": now,
		},
		Content: []stanza.Node{{Tag: "tokens", Content: []stanza.Node{
			{Tag: "token", Attrs: stanza.Attrs{"t": now, "type": "trusted_contact"}, Content: randomBytes(16)},
		}}},
	})
	return nil
}
