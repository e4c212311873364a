package wasim

import (
	"context"
	"encoding/binary"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/signal"
	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// lowPreKeys is the number of one-time prekeys below which the server asks a client for more (whatsmeow prekeys.go MinPreKeyCount).
const lowPreKeys = 5

// handlePreKeyCount tells how many one-time prekeys the server has. A device that never uploaded is told 1 instead of 0: whatsmeow
// then makes 50 keys, not 812, which is much faster on a slow store.
func handlePreKeyCount(_ context.Context, x *exchange) {
	p := x.conn.companion
	p.mu.Lock()
	count := len(p.oneTime)
	if !p.uploaded {
		count = 1
	}
	p.mu.Unlock()
	x.result(stanza.Node{Tag: "count", Attrs: stanza.Attrs{"value": count}})
}

func handlePreKeyUpload(_ context.Context, x *exchange) {
	p := x.conn.companion
	list := x.node.GetChildByTag("list")
	signed := x.node.GetChildByTag("skey")
	p.mu.Lock()
	p.uploaded = true
	if registration := stanza.ChildBytes(x.node, "registration"); len(registration) == 4 {
		p.registration = binary.BigEndian.Uint32(registration)
	}
	if key, ok := readPreKey(signed); ok {
		p.signed = key
	}
	for _, child := range list.GetChildren() {
		if key, ok := readPreKey(child); ok {
			p.oneTime = append(p.oneTime, key)
		}
	}
	p.mu.Unlock()
	x.result()
}

// readPreKey reads a <key> or <skey>.
func readPreKey(node stanza.Node) (signal.PreKey, bool) {
	id, value := stanza.ChildBytes(&node, "id"), stanza.ChildBytes(&node, "value")
	if len(id) != 3 || len(value) != 32 {
		return signal.PreKey{}, false
	}
	key := signal.PreKey{ID: uint32(id[0])<<16 | uint32(id[1])<<8 | uint32(id[2]), Key: [32]byte(value)}
	if signature := stanza.ChildBytes(&node, "signature"); len(signature) == 64 {
		key.Signature = [64]byte(signature)
	}
	return key, true
}

// bundle gives the device's public keys and spends one of its one-time prekeys, if it has any left.
func (p *companion) bundle() signal.Bundle {
	p.mu.Lock()
	defer p.mu.Unlock()
	bundle := signal.Bundle{Registration: p.registration, Identity: p.identity, Signed: p.signed}
	if len(p.oneTime) > 0 {
		bundle.OneTime = &p.oneTime[0]
		p.oneTime = p.oneTime[1:]
		if left := len(p.oneTime); left < lowPreKeys && p.connection != nil {
			p.connection.send(preKeysLow(p.owner.server, left))
		}
	}
	return bundle
}

func preKeysLow(server *Server, left int) stanza.Node {
	return stanza.Node{
		Tag:     "notification",
		Attrs:   stanza.Attrs{"from": types.ServerJID, "type": "encrypt", "id": server.newID("N"), "t": time.Now().Unix()},
		Content: []stanza.Node{{Tag: "count", Attrs: stanza.Attrs{"value": left}}},
	}
}

// handlePreKeyFetch gives the bundles of the devices that were asked for, each under exactly the JID that was asked.
func handlePreKeyFetch(_ context.Context, x *exchange) {
	asked := x.node.GetChildByTag("key")
	var users []stanza.Node
	for _, user := range asked.GetChildrenByTag("user") {
		users = append(users, x.conn.bundleNode(stanza.JID(&user, "jid")))
	}
	x.result(stanza.Node{Tag: "list", Content: users})
}

func (c *connection) bundleNode(jid types.JID) stanza.Node {
	owner := c.server.accountOf(jid)
	if owner == nil {
		return bundleError(jid)
	}
	if companion := owner.companion(jid.Device); companion == c.companion && companion != nil {
		// The client asks for itself when it is listed among its own devices, and never uses the answer: its keys are not spent.
		return userWithBundle(jid, companion.bundleWithoutOneTime())
	} else if companion != nil {
		return userWithBundle(jid, companion.bundle())
	}
	owner.mu.Lock()
	defer owner.mu.Unlock()
	device := owner.device(jid.Device)
	if device == nil || owner.whois().NotOnWhatsApp || owner.whois().NoPreKeys {
		return bundleError(jid)
	}
	return userWithBundle(jid, device.Bundle(true))
}

func (p *companion) bundleWithoutOneTime() signal.Bundle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return signal.Bundle{Registration: p.registration, Identity: p.identity, Signed: p.signed}
}

func bundleError(jid types.JID) stanza.Node {
	return stanza.Node{Tag: "user", Attrs: stanza.Attrs{"jid": jid}, Content: []stanza.Node{
		{Tag: "error", Attrs: stanza.Attrs{"code": 404, "text": "item-not-found"}},
	}}
}

func userWithBundle(jid types.JID, bundle signal.Bundle) stanza.Node {
	return stanza.Node{Tag: "user", Attrs: stanza.Attrs{"jid": jid}, Content: append(
		[]stanza.Node{registrationNode(bundle.Registration)}, keyNodes(bundle)...)}
}

func registrationNode(registration uint32) stanza.Node {
	return stanza.Node{Tag: "registration", Content: binary.BigEndian.AppendUint32(nil, registration)}
}

// keyNodes writes the keys of a bundle.
func keyNodes(bundle signal.Bundle) []stanza.Node {
	nodes := []stanza.Node{
		{Tag: "type", Content: []byte{ecc.DjbType}},
		{Tag: "identity", Content: bundle.Identity[:]},
	}
	if bundle.OneTime != nil {
		nodes = append(nodes, stanza.Node{Tag: "key", Content: keyParts(*bundle.OneTime)})
	}
	signed := append(keyParts(bundle.Signed), stanza.Node{Tag: "signature", Content: bundle.Signed.Signature[:]})
	return append(nodes, stanza.Node{Tag: "skey", Content: signed})
}

func keyParts(key signal.PreKey) []stanza.Node {
	return []stanza.Node{
		{Tag: "id", Content: []byte{byte(key.ID >> 16), byte(key.ID >> 8), byte(key.ID)}},
		{Tag: "value", Content: key.Key[:]},
	}
}
