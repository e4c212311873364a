package wasim

import (
	"context"
	"fmt"
	"maps"
	"time"

	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"

	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// loggedOutReason is the failure reason for a device that the account does not have.
const loggedOutReason = 401

// welcome reads who connected and greets it: with QR codes, with success, or with a failure.
func (c *connection) welcome() error {
	var payload waWa6.ClientPayload
	if err := proto.Unmarshal(c.peer.Payload, &payload); err != nil {
		return fmt.Errorf("read client payload: %w", err)
	}
	if c.server.isOutdated(&payload) {
		c.fail(script.Refuse(outdatedReason))
		return nil
	}
	if registration := payload.GetDevicePairingData(); registration != nil {
		return c.offerPairing(registration)
	}
	c.login(&payload)
	return nil
}

// login greets a linked device. The account's key is the Noise key with which the device was linked.
func (c *connection) login(payload *waWa6.ClientPayload) {
	companion := c.server.companionOf(payload.GetUsername(), uint16(payload.GetDevice()))
	if companion == nil || companion.noise != c.peer.Static {
		c.fail(script.Refuse(loggedOutReason))
		return
	}
	c.companion = companion
	verdict := c.server.script.Decide(script.Moment{Event: script.Login, Account: c.number()})
	switch {
	case verdict.Kind == script.Failure:
		c.companion = nil
		c.fail(verdict)
	case verdict.Kind == script.Delay:
		c.server.later(timeOf(verdict.For), func() { companion.attach(c) })
	case verdict.Kind == script.Cut && !verdict.Afterwards:
		// whatsmeow has a data race of its own if the connection ends before any stanza came.
		c.send(stanza.Node{Tag: "ib"})
		c.server.later(c.server.options.CloseDelay, c.cut)
	case verdict.StrikesConnection() && !verdict.Afterwards:
		c.strike(verdict)
	default:
		companion.attach(c)
		if verdict.StrikesConnection() {
			c.strike(verdict)
		}
	}
}

// fail refuses a login.
func (c *connection) fail(action script.Action) {
	attrs := stanza.Attrs{"reason": action.Code}
	if action.Text != "" {
		attrs["message"] = action.Text
	}
	if action.Ban != 0 {
		attrs["code"] = action.Ban
		attrs["expire"] = int(timeOf(action.For).Seconds())
	}
	c.server.books.failures.Add(1)
	c.send(stanza.Node{Tag: "failure", Attrs: attrs})
	if !action.KeepOpen {
		c.end()
	}
}

// farewell notes that the client is gone.
func (c *connection) farewell() {
	if c.companion != nil {
		c.companion.detach(c)
	}
	if c.pairing != nil {
		c.pairing.close()
	}
}

// companionOf finds a linked device; nil if there is none.
func (s *Server) companionOf(number uint64, device uint16) *companion {
	s.mu.RLock()
	owner := s.accounts[number]
	s.mu.RUnlock()
	if owner == nil {
		return nil
	}
	return owner.companion(device)
}

// attach makes a connection the device's own: it ends the one before, says success and brings what waited.
func (p *companion) attach(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.removed {
		c.fail(script.Refuse(loggedOutReason))
		return
	}
	if previous := p.connection; previous != nil {
		p.replaced++
		c.server.noteTakeover(previous, c)
		previous.strike(script.EndReplaced())
	}
	p.connection, c.attached = c, true
	p.logins++
	p.live++
	p.maxLive = max(p.maxLive, p.live)
	c.server.books.connections.enter()
	c.send(success(p))
	waiting := p.pending.all()
	for _, node := range waiting {
		c.send(offline(node))
	}
	c.send(stanza.Node{Tag: "ib", Content: []stanza.Node{
		{Tag: "offline", Attrs: stanza.Attrs{"count": len(waiting)}},
	}})
}

// offline marks a stanza as one that waited for the device.
func offline(node stanza.Node) stanza.Node {
	node.Attrs = maps.Clone(node.Attrs)
	node.Attrs["offline"] = 1
	return node
}

// detach notes that a connection ended.
func (p *companion) detach(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.connection == c {
		p.connection = nil
	}
	if c.attached {
		c.attached = false
		p.live--
		c.server.books.connections.leave()
	}
}

func handleLogout(_ context.Context, x *exchange) {
	x.result()
	companion := x.conn.companion
	companion.owner.remove(companion)
	x.conn.end()
}

// success tells a linked device that its login succeeded.
func success(p *companion) stanza.Node {
	return stanza.Node{Tag: "success", Attrs: stanza.Attrs{"lid": stanza.LID(p.owner.number, p.id), "t": time.Now().Unix()}}
}
