package wasim

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/signal"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// maxAttempts is how often a device asks for a message that it cannot read.
const maxAttempts = 5

// confirm lets a device that a message came to do what such a device does: confirm it, or ask for it again.
func (s *Server) confirm(mail *envelope, result outcome) {
	switch {
	case result.receiver == nil || result.receiver == mail.sender.owner && result.read:
	case !result.read:
		s.askAgain(mail, result)
	default:
		s.confirmDelivery(mail, result)
	}
}

func (s *Server) confirmDelivery(mail *envelope, result outcome) {
	result.receiver.mu.Lock()
	silent, neverReads := result.receiver.whois().Silent, result.receiver.whois().NeverReads
	result.receiver.mu.Unlock()
	wants := s.options.Receipts
	if silent || !s.happens(wants.Delivered) {
		return
	}
	reads := result.first && !neverReads && s.happens(wants.Read)
	s.later(wants.DeliveredAfter, func() {
		s.books.delivered.Add(1)
		mail.sender.owner.tell(receiptNode(result.jid, mail.id, ""))
		if reads {
			s.later(wants.ReadAfter, func() {
				s.books.read.Add(1)
				mail.sender.owner.tell(receiptNode(result.jid.ToNonAD(), mail.id, "read"))
			})
		}
	})
}

// receiptNode is a receipt of a simulated device; the empty kind means delivered.
func receiptNode(from types.JID, id, kind string) stanza.Node {
	attrs := stanza.Attrs{"from": from, "id": id, "t": time.Now().Unix()}
	if kind != "" {
		attrs["type"] = kind
	}
	return stanza.Node{Tag: "receipt", Attrs: attrs}
}

// tell brings a stanza to every linked device of the account.
func (a *account) tell(node stanza.Node) {
	for _, companion := range a.companions() {
		companion.deliver(node)
	}
}

// askAgain lets a device ask for a message that it could not read. From the second time on it sends its keys along, for a new session.
func (s *Server) askAgain(mail *envelope, result outcome) {
	if result.attempt > maxAttempts {
		return
	}
	node := receiptNode(result.jid, mail.id, "retry")
	if result.receiver == mail.sender.owner {
		node.Attrs["recipient"] = mail.to // a copy: the chat is not with whoever asks
	}
	content := []stanza.Node{{Tag: "retry", Attrs: stanza.Attrs{
		"count": result.attempt, "id": mail.id, "t": mail.at.Unix(), "v": 1,
	}}}
	owner := result.receiver
	owner.mu.Lock()
	device := owner.device(result.jid.Device)
	if device == nil { // Change took it away meanwhile
		owner.mu.Unlock()
		return
	}
	content = append(content, registrationNode(device.Registration()))
	if result.attempt > 1 || owner.whois().RetryWithKeys {
		content = append(content, stanza.Node{Tag: "keys", Content: keyNodes(device.Bundle(true))})
	}
	owner.mu.Unlock()
	node.Content = content
	s.books.retriesAsked.Add(1)
	mail.sender.deliver(node)
}

// handleReceipt takes a client's receipt for messages that it received.
func handleReceipt(ctx context.Context, x *exchange) {
	companion, to, kind := x.conn.companion, stanza.JID(x.node, "to"), stanza.Text(x.node, "type")
	ids := receiptIDs(x.node)
	x.answer(stanza.Node{Tag: "ack", Attrs: stanza.Attrs{
		"class": "receipt", "id": ids[0], "from": to, "type": kind, "t": time.Now().Unix(),
	}})
	if takes(kind) {
		for _, id := range ids {
			companion.acknowledged("message", id, to, "")
		}
	}
	owner := x.conn.server.accountOf(to)
	switch {
	case owner == nil:
		return
	case kind == "retry":
		owner.answerRetry(ctx, x)
		return
	case owner == companion.owner:
		return
	}
	owner.noteReceipt(companion.owner, ids, kind)
	forwarded := *x.node
	forwarded.Attrs = stanza.Attrs{
		"from": stanza.As(to, companion.owner.number, companion.id), "id": ids[0], "t": time.Now().Unix(), "type": kind,
	}
	owner.tell(forwarded)
}

// takes tells whether a receipt of this type says that the client has the message and needs it no more from the server.
func takes(kind string) bool {
	switch kind {
	case "", "inactive", "sender", "peer_msg", "hist_sync":
		return true
	}
	return false
}

// receiptIDs lists the messages of a receipt.
func receiptIDs(receipt *stanza.Node) []string {
	ids := []string{stanza.Text(receipt, "id")}
	list := receipt.GetChildByTag("list")
	for _, item := range list.GetChildrenByTag("item") {
		ids = append(ids, stanza.Text(&item, "id"))
	}
	return ids
}

// answerRetry sends a message again to a client that could not read it.
func (a *account) answerRetry(ctx context.Context, x *exchange) {
	a.server.books.clientRetries.Add(1)
	asker, to := x.conn.companion, stanza.JID(x.node, "to")
	if device := a.companion(to.Device); device != nil {
		forwarded := *x.node
		forwarded.Attrs = stanza.Attrs{
			"from": stanza.As(to, asker.owner.number, asker.id), "id": stanza.Text(x.node, "id"), "type": "retry", "t": time.Now().Unix(),
		}
		device.deliver(forwarded)
		return
	}
	retry := x.node.GetChildByTag("retry")
	fresh := retryBundle(x.node, asker)
	a.resend(ctx, asker, stanza.Text(&retry, "id"), posting{fresh: &fresh, as: to, count: stanza.Int(&retry, "count")})
}

// retryBundle gives the keys for the new session of a retry: those in the receipt, or those that the device uploaded.
func retryBundle(receipt *stanza.Node, asker *companion) signal.Bundle {
	keys, sent := receipt.GetOptionalChildByTag("keys")
	if !sent {
		return asker.bundle()
	}
	bundle := asker.bundleWithoutOneTime()
	if key, ok := readPreKey(keys.GetChildByTag("key")); ok {
		bundle.OneTime = &key
	}
	if key, ok := readPreKey(keys.GetChildByTag("skey")); ok {
		bundle.Signed = key
	}
	return bundle
}

// handleAck takes a client's acknowledgement of a receipt, a notification, or a message that it could not use.
func handleAck(_ context.Context, x *exchange) {
	if x.conn.companion == nil {
		return
	}
	kind := stanza.Text(x.node, "type")
	class := stanza.Text(x.node, "class")
	if class == "message" {
		kind = ""
	}
	x.conn.companion.acknowledged(class, stanza.Text(x.node, "id"), stanza.JID(x.node, "to"), kind)
}

func handlePresence(_ context.Context, x *exchange) {
	companion := x.conn.companion
	companion.mu.Lock()
	defer companion.mu.Unlock()
	switch stanza.Text(x.node, "type") {
	case "available":
		companion.available = true
	case "unavailable":
		companion.available = false
	}
}
