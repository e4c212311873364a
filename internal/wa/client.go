package wa

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"github.com/dannsalud/broadcaster/internal/fault"
	"github.com/dannsalud/broadcaster/internal/session"
	"github.com/dannsalud/broadcaster/internal/wa/keys"
)

// Client is one connection of one device, which whatsmeow opens again by itself when it breaks. Close ends it for good.
type Client struct {
	session   session.ID
	whatsmeow *whatsmeow.Client
	// keys are the device's keys, ours to write as long as the lease is.
	keys *keys.Owner
	// device is the linked device; zero while it pairs. loggedOut is the reason for which WhatsApp removed it; nil: it has not.
	device    session.Device
	loggedOut atomic.Pointer[session.Reason]
	log       *slog.Logger
	metrics   *metrics
	// life ends at Close; whatsmeow's own goroutines live in it.
	life    context.Context //nolint:containedctx // it is the client's life, which no caller's context may shorten
	endLife context.CancelFunc
	restart sync.WaitGroup
	checked *checkedRecipients
	// phoneSeen is when a sign of the phone was last reported, in Unix nanoseconds.
	phoneSeen atomic.Int64
	way       way
	// version is what the device says it is; versions knows a newer one when it is refused.
	version  store.WAVersionContainer
	versions *versions

	// breaches asks for a new connection; again gives the turn for it (reconnect.go). opened is when it was last dialled, in Unix nanoseconds;
	// failures counts those in a row that did not last.
	breaches chan breach
	again    func(ctx context.Context, failures int) error
	silence  time.Duration
	opened   atomic.Int64
	failures int

	// pairing is the request of a client that pairs; nil for a linked device. paired is closed when its device was reported.
	pairing *session.PairRequest
	paired  chan struct{}

	// delivery serialises signals. It is held while a signal is handled.
	delivery sync.Mutex
	signals  func(session.Signal)
	// closed is set before Close waits for the signal that is being handled, so that this one is not confirmed to WhatsApp.
	closed    atomic.Bool
	ended     bool
	codeAsked bool
}

type clientOptions struct {
	session  session.ID
	device   session.Device
	identity session.Identity
	signals  func(session.Signal)
	again    func(ctx context.Context, failures int) error
	version  store.WAVersionContainer
	way      way
}

// newClient makes a client with the settings that every device has. Why each:
//   - SynchronousAck and EnableDecryptedEventBuffer: what was not handled when the process dies comes again.
//   - UseRetryMessageStore: a campaign overflows the 256 messages that are kept in memory within minutes, and a phone that asks for one of
//     the others would show "waiting for this message" for ever.
//   - AutoTrustIdentity: a contact who reinstalled WhatsApp has a new identity; a sender of reminders has no way to ask a person about it.
//   - DisableLoginAutoReconnect and no EnableAutoReconnect: reconnects are ours (reconnect.go).
func (g *Gateway) newClient(owner *keys.Owner, device *store.Device, options clientOptions) *Client {
	life, endLife := context.WithCancel(context.Background())
	log := g.log.With("session", string(options.session))
	inner := whatsmeow.NewClient(device, bridge(log, "client", g.metrics.answered.WithLabelValues(retryMissed).Inc))
	inner.SynchronousAck = true
	inner.EnableDecryptedEventBuffer = true
	inner.UseRetryMessageStore = true
	inner.AutoTrustIdentity = true
	inner.DisableLoginAutoReconnect = true
	inner.EnableAutoReconnect = false
	answered := g.metrics.answered.WithLabelValues(retryAnswered)
	inner.PreRetryCallback = func(*events.Receipt, types.MessageID, int, *waE2E.Message) bool {
		answered.Inc()
		return true
	}
	inner.BackgroundEventCtx = life
	inner.SetPreLoginHTTPClient(options.way.socket)
	inner.SetWebsocketHTTPClient(options.way.socket)
	inner.SetMediaHTTPClient(options.way.http)
	present(inner, options.identity, options.version)
	client := &Client{session: options.session, keys: owner, device: options.device, whatsmeow: inner, log: log, metrics: g.metrics, life: life, endLife: endLife,
		checked: newCheckedRecipients(), paired: make(chan struct{}), signals: options.signals, way: options.way, version: options.version, versions: g.versions,
		breaches: make(chan breach, 1), again: options.again, silence: g.silence}
	if client.again == nil {
		client.again = pause
	}
	inner.AddEventHandlerWithSuccessStatus(client.handle)
	client.restart.Go(client.watchOwnership)
	return client
}

// watchOwnership ends the connection when the keys have another owner: the lease was lost, and nothing told us yet.
func (c *Client) watchOwnership() {
	select {
	case <-c.life.Done():
	case <-c.keys.Lost():
		c.hangUp()
		c.deliverEnd(session.Ended{Reason: session.ReasonReplaced, Detail: "fenced"})
	}
}

// connect dials for the first time, and keeps the connection from then on. The caller's context only ends the dialling.
func (c *Client) connect(ctx context.Context) error {
	stop := context.AfterFunc(ctx, c.endLife)
	err := c.dial()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		c.beside(c.keepConnected)
		return nil
	}
	c.Close()
	if errors.Is(err, store.ErrDeviceDeleted) {
		return fault.Wrap(err, fault.Relink, "device_unknown", "The device was logged out; link the phone again")
	}
	if unreachable := explainWay(err); unreachable != nil {
		return describe("connect", c.session, unreachable)
	}
	return fault.Wrap(describe("connect", c.session, err), fault.RetryLater, "connect_failed", "WhatsApp could not be reached; try again")
}

// Connected tells whether the session is logged in now.
func (c *Client) Connected() bool { return c.whatsmeow.IsLoggedIn() && c.whatsmeow.IsConnected() }

// Silence gives how long the connection has brought nothing, whatever it was; false where nothing is felt, as in a connection that has ended.
func (c *Client) Silence() (silent time.Duration, felt bool) {
	if c.way.pulse == nil || c.closed.Load() {
		return 0, false
	}
	return c.way.pulse.age(), true
}

// Close ends the connection. No signal is handled after it returned, and it waits for one that is. It must not be called by a signal's handler.
func (c *Client) Close() {
	if c.closed.Swap(true) {
		return
	}
	c.delivery.Lock()   // waits for the signal that is being handled
	c.delivery.Unlock() //nolint:staticcheck // nothing to do inside: no later signal passes the flag
	c.hangUp()
	c.endLife()
	c.restart.Wait()
	c.hangUp() // a restart may have connected between the two
	c.way.leave()
	c.closeKeys()
}

// closeKeysTimeout bounds the last writes of the keys.
const closeKeysTimeout = 10 * time.Second

// closeKeys writes what is left to write. The keys of a device that WhatsApp has removed are deleted. whatsmeow does it too, beside its event,
// but without the reason, and not when the client is closed meanwhile.
func (c *Client) closeKeys() {
	ctx, cancel := context.WithTimeout(context.Background(), closeKeysTimeout)
	defer cancel()
	if reason := c.loggedOut.Load(); reason != nil {
		if err := c.keys.Bury(ctx, string(*reason)); err != nil {
			c.log.Warn("keys of a logged-out device could not be deleted", "error", err)
		}
	}
	if err := c.keys.Close(ctx); err != nil {
		c.log.Warn("the last changes of the keys could not be written", "error", err)
	}
}

// Logout removes the device from the phone's list and deletes its keys.
func (c *Client) Logout(ctx context.Context) error {
	if err := c.whatsmeow.Logout(ctx); err != nil {
		return fault.Wrap(describe("logout", c.session, err), fault.RetryLater, "logout_failed",
			"WhatsApp did not confirm that the device was removed; try again, or remove it on the phone")
	}
	return nil
}

// deliver hands a signal on, in turn. It gives false when the client is closed: then nothing was handled, and WhatsApp must not be told that it was.
func (c *Client) deliver(signals ...session.Signal) bool {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	for _, signal := range signals {
		if c.closed.Load() {
			return false
		}
		c.signals(signal)
	}
	return !c.closed.Load()
}

// handle receives whatsmeow's events. Its answer tells whether the event was handled, that is, whether WhatsApp may be told so. A panic
// is caught here: whatsmeow would take it for success.
func (c *Client) handle(event any) (handled bool) {
	defer func() {
		if reason := recover(); reason != nil {
			handled = false
			c.log.Error("signal handler panicked", "panic", reason, "stack", string(debug.Stack()))
		}
	}()
	switch event := event.(type) {
	case *events.ManualLoginReconnect:
		c.restartAfterPairing()
		return true
	case *events.PairSuccess:
		return c.deliverPaired(event.ID, event.LID)
	case *events.Connected:
		return c.deliver(session.Connected{})
	case *events.QR:
		if c.pairing != nil && c.pairing.Method == session.MethodCode {
			c.requestCode()
		}
	case *events.LoggedOut:
		reason := loggedOut(event).Reason
		c.loggedOut.Store(&reason)
	case *events.ClientOutdated:
		return c.deliverOutdated()
	case *events.Receipt:
		c.countReceipt(event)
	}
	c.notePhone(event)
	signal := translate(event)
	if signal == nil {
		return true
	}
	if ended, final := signal.(session.Ended); final {
		return c.deliverEnd(ended)
	}
	handled = c.deliver(signal)
	if _, lost := signal.(session.Disconnected); lost {
		c.broken(breachLost)
	}
	return handled
}

// end marks the connection as ended; it gives false when it was.
func (c *Client) end() (first bool) {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	first = !c.ended
	c.ended = true
	return first
}

// deliverEnd hands on the end of the connection: the first of several reports.
func (c *Client) deliverEnd(ended session.Ended) bool {
	return !c.end() || c.deliver(ended)
}

// deliverOutdated looks for a newer version before it hands on that this one was refused.
func (c *Client) deliverOutdated() bool {
	return !c.end() || c.deliver(session.Ended{Reason: session.ReasonOutdated, Detail: "405",
		Renewed: c.versions.renew(c.life, c.version, c.way.http)})
}

func (c *Client) hasEnded() bool {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	return c.ended
}

// deliverPaired reports a pairing, and lets the restart that follows it go on.
func (c *Client) deliverPaired(jid, lid types.JID) bool {
	handled := c.deliver(session.Paired{Device: deviceOf(jid, lid)})
	close(c.paired)
	return handled
}

// acceptPairing asks the request's owner before a device comes to exist.
func (c *Client) acceptPairing(jid types.JID, _, _ string) bool {
	err := c.pairing.Accept(deviceOf(jid, types.EmptyJID))
	if err != nil {
		c.log.Info("pairing refused", "class", fault.Of(err).Label())
	}
	return err == nil
}

// beside does something on a goroutine that Close waits for; a closed client begins nothing. The lock keeps a late event of whatsmeow from beginning
// while Close already waits.
func (c *Client) beside(work func()) {
	c.delivery.Lock()
	defer c.delivery.Unlock()
	if !c.closed.Load() {
		c.restart.Go(work)
	}
}

// restartAfterPairing opens the connection again, as error 515 asks for. After a pairing it waits for the event of the pairing, which whatsmeow raises
// on a goroutine of its own: the order is what callers rely on.
func (c *Client) restartAfterPairing() {
	c.beside(func() {
		if c.pairing != nil {
			select {
			case <-c.paired:
			case <-c.life.Done():
				return
			}
		}
		c.broken(breachRestart)
	})
}

// requestCode asks for the 8 characters, once: WhatsApp gives them only after it has offered QR codes (peers.md W4). The display name
// must look like a browser's.
func (c *Client) requestCode() {
	c.delivery.Lock()
	first := !c.codeAsked
	c.codeAsked = true
	c.delivery.Unlock()
	if !first {
		return
	}
	c.beside(func() {
		code, err := c.whatsmeow.PairPhone(c.life, c.pairing.Phone, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
		if err != nil {
			c.log.Warn("pairing code refused", "class", fault.RetryLater.Label())
			c.deliver(session.PairRefused{Reason: session.ReasonConnectFailure, Detail: "pairing code"})
			return
		}
		c.deliver(session.PairingCode{Code: code})
	})
}
