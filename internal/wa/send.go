package wa

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// ackTimeout is how long the server may take to acknowledge a message before its outcome is unknown.
const ackTimeout = 30 * time.Second

// Send sends one message and gives the time at which the server accepted it. Its errors are classed (errors.go). Sends of one client
// wait for each other inside whatsmeow.
//
// whatsmeow reports success for a message that nobody can read: when a number has no devices, and when its keys could not be fetched
// (protocol note, sections 5 and 6). So the devices are looked up first, which costs nothing, as the send needs the same answer and finds
// it in the cache; and after the first message to somebody, that there is a session with one of them.
func (c *Client) Send(ctx context.Context, message session.Outgoing) (sentAt time.Time, err error) {
	began := time.Now()
	defer func() { c.countSend(err, time.Since(began)) }()
	to, err := phoneJID(message.Phone)
	if err != nil {
		return time.Time{}, err
	}
	address, err := c.resolve(ctx, to)
	if err != nil {
		return time.Time{}, err
	}
	response, err := c.whatsmeow.SendMessage(ctx, address, bodyOf(message), whatsmeow.SendRequestExtra{ID: message.ID, Timeout: ackTimeout})
	if err != nil {
		return time.Time{}, classifySend(err)
	}
	if err := c.confirmReadable(ctx, address); err != nil {
		return time.Time{}, err
	}
	return response.Timestamp, nil
}

// resolve gives the hidden id that a phone number is written to under, and makes sure that somebody is there. For a known contact it
// answers from memory.
func (c *Client) resolve(ctx context.Context, phone types.JID) (types.JID, error) {
	address, err := c.whatsmeow.Store.LIDs.GetLIDForPN(ctx, phone)
	if err != nil {
		return types.EmptyJID, fault.Wrap(err, fault.RetryLater, "key_store", "The key store could not be read; try again")
	}
	if address.IsEmpty() {
		info, err := c.whatsmeow.GetUserInfo(ctx, []types.JID{phone})
		if err != nil {
			return types.EmptyJID, classifyQuery(err)
		}
		if address = info[phone].LID; address.IsEmpty() {
			return types.EmptyJID, notOnWhatsApp()
		}
	}
	if c.checked.has(address.User) {
		return address, nil
	}
	devices, err := c.whatsmeow.GetUserDevices(ctx, []types.JID{address})
	if err != nil {
		return types.EmptyJID, classifyQuery(err)
	}
	if len(devices) == 0 {
		return types.EmptyJID, notOnWhatsApp()
	}
	return address, nil
}

func notOnWhatsApp() error {
	return fault.New(fault.SkipRecipient, "recipient_not_on_whatsapp", "This number is not on WhatsApp; check it with the person")
}

// confirmReadable checks, once for each contact, that the message was encrypted for one of their devices.
func (c *Client) confirmReadable(ctx context.Context, address types.JID) error {
	if c.checked.has(address.User) {
		return nil
	}
	devices, err := c.whatsmeow.GetUserDevices(ctx, []types.JID{address})
	if err != nil {
		return classifyQuery(err)
	}
	for _, device := range devices {
		known, err := c.whatsmeow.Store.Sessions.HasSession(ctx, device.SignalAddress().String())
		if err != nil {
			return fault.Wrap(err, fault.UnknownOutcome, "key_store", "The message left, but whether the contact can read it is not known")
		}
		if known {
			c.checked.add(address.User)
			return nil
		}
	}
	return fault.New(fault.RetryLater, "recipient_keys_missing", "WhatsApp did not give the keys of this contact; try again later").
		WithAfter(recipientKeysWait)
}

// recipientKeysWait is how long to wait before a contact without keys is tried again.
const recipientKeysWait = 5 * time.Second

func (c *Client) countSend(err error, took time.Duration) {
	class := sendOK
	if err != nil {
		class = fault.Of(err).Label()
	}
	c.metrics.sends.WithLabelValues(class).Observe(took.Seconds())
}

// checkedRecipients remembers contacts that are known to be readable, so that the check costs nothing in a campaign.
type checkedRecipients struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

// maxCheckedRecipients bounds the memory of a client; beyond it the checks begin anew.
const maxCheckedRecipients = 20_000

func newCheckedRecipients() *checkedRecipients {
	return &checkedRecipients{seen: map[string]struct{}{}}
}

func (r *checkedRecipients) has(user string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, seen := r.seen[user]
	return seen
}

func (r *checkedRecipients) add(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) >= maxCheckedRecipients {
		clear(r.seen)
	}
	r.seen[user] = struct{}{}
}
