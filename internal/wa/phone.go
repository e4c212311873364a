package wa

import (
	"context"
	"errors"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types/events"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
)

// primaryDevice is the number of the phone among an account's devices.
const primaryDevice = 0

// isSignOfPhone tells whether an event came from the account's phone itself: what a person wrote or read there, or its answers and histories.
func isSignOfPhone(event any) bool {
	switch event := event.(type) {
	case *events.Message:
		return event.Info.IsFromMe && event.Info.Sender.Device == primaryDevice
	case *events.Receipt:
		return event.IsFromMe && event.Sender.Device == primaryDevice
	case *events.HistorySync:
		return true
	}
	return false
}

// phoneSeenEvery is how often a sign of the phone is reported.
const phoneSeenEvery = time.Hour

// notePhone reports a sign of the phone, if the last report is old.
func (c *Client) notePhone(event any) {
	if !isSignOfPhone(event) {
		return
	}
	now := time.Now()
	last := c.phoneSeen.Load()
	if now.Sub(time.Unix(0, last)) < phoneSeenEvery || !c.phoneSeen.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	c.deliver(session.PhoneSeen{At: now})
}

// AskPhone asks the account's phone for a key that we have: its answer is a sign of life, which is reported when it comes. A phone that is offline
// answers when it is online again.
func (c *Client) AskPhone(ctx context.Context) error {
	key, err := c.whatsmeow.Store.AppStateKeys.GetLatestAppStateSyncKeyID(ctx)
	if err != nil {
		return describe("look for a key to ask about", c.session, err)
	}
	if key == nil {
		return fault.Wrap(errors.New("no app state key"), fault.RetryLater, "no_key_yet", "The phone has not shared its keys yet; it is asked later")
	}
	_, err = c.whatsmeow.SendPeerMessage(ctx, &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Type:                   waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_REQUEST.Enum(),
		AppStateSyncKeyRequest: &waE2E.AppStateSyncKeyRequest{KeyIDs: []*waE2E.AppStateSyncKeyId{{KeyID: key}}},
	}})
	if err != nil {
		return describe("ask the phone", c.session, err)
	}
	return nil
}
