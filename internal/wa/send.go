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
	address, readable, err := c.resolve(ctx, to)
	if err != nil {
		return time.Time{}, err
	}
	// The number and not the hidden id: whatsmeow looks up the one from the other, whichever it gets, and from the number it is in memory since resolve.
	response, err := c.whatsmeow.SendMessage(ctx, to, bodyOf(message), whatsmeow.SendRequestExtra{ID: message.ID, Timeout: ackTimeout})
	if err != nil {
		return time.Time{}, classifySend(err)
	}
	if !readable {
		err = c.confirmReadable(ctx, address)
	}
	if err != nil {
		return time.Time{}, err
	}
	return response.Timestamp, nil
}

// resolve gives the hidden id that a phone number is written to under, and makes sure that somebody is there; readable says that they are known to be
// able to read what is sent. For a known contact it answers from memory.
func (c *Client) resolve(ctx context.Context, phone types.JID) (address types.JID, readable bool, err error) {
	address, err = c.whatsmeow.Store.LIDs.GetLIDForPN(ctx, phone)
	if err != nil {
		return types.EmptyJID, false, fault.Wrap(err, fault.RetryLater, "key_store", "The key store could not be read; try again")
	}
	if address.IsEmpty() {
		info, err := c.whatsmeow.GetUserInfo(ctx, []types.JID{phone})
		if err != nil {
			return types.EmptyJID, false, classifyQuery(err)
		}
		if address = info[phone].LID; address.IsEmpty() {
			return types.EmptyJID, false, notOnWhatsApp()
		}
	}
	if c.checked.has(address.User) {
		return address, true, nil
	}
	devices, err := c.whatsmeow.GetUserDevices(ctx, []types.JID{address})
	if err != nil {
		return types.EmptyJID, false, classifyQuery(err)
	}
	if len(devices) == 0 {
		return types.EmptyJID, false, notOnWhatsApp()
	}
	return address, false, nil
}

func notOnWhatsApp() error {
	return fault.New(fault.SkipRecipient, "recipient_not_on_whatsapp", "This number is not on WhatsApp; check it with the person")
}

// confirmReadable checks that the message was encrypted for one of a contact's devices, and remembers it.
func (c *Client) confirmReadable(ctx context.Context, address types.JID) error {
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
	if err == nil {
		c.metrics.sent.Observe(took.Seconds())
		return
	}
	c.metrics.sends.WithLabelValues(fault.Of(err).Label()).Observe(took.Seconds())
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
