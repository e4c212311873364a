package wasim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim/internal/inbox"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// Phone is the primary device of an account: it links other devices, has a copy of what they send, and may write itself.
type Phone struct {
	account  *account
	platform string
	business string
	name     string // guarded by account.mu

	// away: the phone has no network. Its linked devices work without it.
	away atomic.Bool

	mu         sync.Mutex
	nextDevice uint16
	passkey    *passkeyPrompt
}

// PhoneOption is a property of a new phone.
type PhoneOption func(*Phone)

// WithPushName gives the account a name. Linked devices learn it by app state, as from a real phone.
func WithPushName(name string) PhoneOption { return func(p *Phone) { p.name = name } }

// WithPlatform says what kind of phone it is; the default is "android".
func WithPlatform(platform string) PhoneOption { return func(p *Phone) { p.platform = platform } }

// WithBusiness makes it the phone of a business.
func WithBusiness(name string) PhoneOption { return func(p *Phone) { p.business = name } }

// ErrPhoneExists is returned when an account gets a second phone.
var ErrPhoneExists = errors.New("the number has a phone already")

// NewPhone makes an account with its phone.
func (s *Server) NewPhone(number string, options ...PhoneOption) (*Phone, error) {
	parsed, err := stanza.ParseNumber(number)
	if err != nil {
		return nil, err
	}
	phone := &Phone{account: s.ensure(parsed), platform: "android", nextDevice: 1}
	for _, option := range options {
		option(phone)
	}
	phone.account.mu.Lock()
	defer phone.account.mu.Unlock()
	if phone.account.phone != nil {
		return nil, ErrPhoneExists
	}
	phone.account.phone = phone
	return phone, nil
}

// Phone gives the phone that NewPhone made for a number; nil if there is none.
func (s *Server) Phone(number string) *Phone {
	parsed, err := stanza.ParseNumber(number)
	if err != nil {
		return nil
	}
	s.mu.RLock()
	owner := s.accounts[parsed]
	s.mu.RUnlock()
	if owner == nil {
		return nil
	}
	owner.mu.Lock()
	defer owner.mu.Unlock()
	return owner.phone
}

// Number is the phone's number in E.164.
func (p *Phone) Number() string { return stanza.FormatNumber(p.account.number) }

// JID is the account's address by phone number.
func (p *Phone) JID() types.JID { return stanza.PN(p.account.number, 0) }

// LID is the account's address by hidden id.
func (p *Phone) LID() types.JID { return stanza.LID(p.account.number, 0) }

// Contact is the phone's owner as somebody whom others write to.
func (p *Phone) Contact() *Contact { return &Contact{account: p.account} }

// Device is a linked device as the phone lists it.
type Device struct {
	ID        int       `json:"id"`
	LinkedAt  time.Time `json:"linked_at"`
	Connected bool      `json:"connected"`
}

// Devices lists the linked devices.
func (p *Phone) Devices() []Device {
	var devices []Device
	for _, companion := range p.account.companions() {
		devices = append(devices, Device{
			ID: int(companion.id), LinkedAt: companion.linkedAt, Connected: companion.current() != nil,
		})
	}
	return devices
}

// ErrNoSuchDevice is returned for a device number that is not linked.
var ErrNoSuchDevice = errors.New("no such linked device")

// SetOnline takes the phone off the network, or brings it back. What linked devices ask it for while it is away is lost here; a real phone gets it later.
func (p *Phone) SetOnline(online bool) { p.away.Store(!online) }

// answerPeer does what a linked device asks its phone for. It takes the account's locks, so it is not called by who holds them.
func (p *Phone) answerPeer(ctx context.Context, device *companion, body []byte) {
	var message waE2E.Message
	if p.away.Load() || proto.Unmarshal(body, &message) != nil {
		return
	}
	if message.GetProtocolMessage().GetAppStateSyncKeyRequest() == nil {
		return
	}
	if err := p.shareKey(ctx, device); err != nil {
		p.account.server.options.Log.WarnContext(ctx, "app state key not shared", "error", err)
	}
}

// Unlink removes a linked device: it is told if it is connected, and refused at its next login.
func (p *Phone) Unlink(device int) error {
	companion := p.account.companion(uint16(device))
	if companion == nil {
		return fmt.Errorf("device %d: %w", device, ErrNoSuchDevice)
	}
	connection := companion.current()
	p.account.remove(companion)
	if connection != nil {
		connection.strike(script.RemoveDevice())
	}
	return nil
}

// Sent lists the copies that the phone has of what the linked devices sent. It has none with Options.DropPlaintext.
func (p *Phone) Sent() []Message {
	a := p.account
	a.mu.Lock()
	defer a.mu.Unlock()
	var sent []Message
	for _, entry := range a.inbox.Entries() {
		if entry.Peer != a.number || entry.Devices == 0 {
			continue
		}
		if copied, ok := ownCopy(entry, a.number); ok {
			sent = append(sent, copied)
		}
	}
	return sent
}

// ownCopy unwraps a copy that a linked device sent to its own phone; false for what is no copy of a message.
func ownCopy(entry inbox.Entry, own uint64) (Message, bool) {
	var wrapper waE2E.Message
	if err := proto.Unmarshal(entry.Body, &wrapper); err != nil || wrapper.GetDeviceSentMessage() == nil {
		return Message{}, false
	}
	copied := wrapper.GetDeviceSentMessage()
	to := own
	if jid, err := types.ParseJID(copied.GetDestinationJID()); err == nil {
		if number, ok := stanza.Number(jid); ok {
			to = number
		}
	}
	body, err := proto.Marshal(copied.GetMessage())
	entry.Body = body
	return messageOf(entry, own, to), err == nil
}

// Send writes a text from the phone itself; linked devices get a copy. It returns the message's id.
func (p *Phone) Send(ctx context.Context, number, text string) (string, error) {
	target, err := stanza.ParseNumber(number)
	if err != nil {
		return "", err
	}
	message := &waE2E.Message{Conversation: proto.String(text)}
	body, err := proto.Marshal(message)
	if err != nil {
		return "", fmt.Errorf("encode message: %w", err)
	}
	wrapped, err := proto.Marshal(&waE2E.Message{DeviceSentMessage: &waE2E.DeviceSentMessage{
		DestinationJID: proto.String(stanza.LID(target, 0).String()), Message: message,
	}})
	if err != nil {
		return "", fmt.Errorf("encode copy: %w", err)
	}
	letter := &letter{to: p.account, body: wrapped, attrs: p.copyAttrs(target)}
	id, err := p.account.write(ctx, letter, p.account.companions())
	if err != nil {
		return id, err
	}
	receiver := p.account.server.ensure(target)
	receiver.mu.Lock()
	defer receiver.mu.Unlock()
	read := inbox.Copy{Peer: p.account.number, ID: id, At: letter.at, Body: body}
	receiver.inbox.Put(read, !p.account.server.options.DropPlaintext)
	return id, nil
}

// copyAttrs names the chat of a copy.
func (p *Phone) copyAttrs(target uint64) stanza.Attrs {
	if p.account.server.options.InboundByNumber {
		return stanza.Attrs{"recipient": stanza.PN(target, 0), "peer_recipient_lid": stanza.LID(target, 0)}
	}
	return stanza.Attrs{"recipient": stanza.LID(target, 0), "peer_recipient_pn": stanza.PN(target, 0)}
}
