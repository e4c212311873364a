package wasim

import (
	"context"
	"slices"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// handleUsync answers a query about users: which devices they have, what their LID is, whether a number is on WhatsApp.
func handleUsync(_ context.Context, x *exchange) {
	usync := x.node.GetChildByTag("usync")
	query := usync.GetChildByTag("query")
	list := usync.GetChildByTag("list")
	var users []stanza.Node
	for _, user := range list.GetChildrenByTag("user") {
		if jid := stanza.JID(&user, "jid"); !jid.IsEmpty() {
			users = append(users, x.conn.userNode(jid, query))
		} else if contact, ok := user.GetOptionalChildByTag("contact"); ok {
			users = append(users, x.conn.contactNode(stanza.Bytes(contact)))
		}
	}
	x.result(stanza.Node{
		Tag:     "usync",
		Attrs:   stanza.Attrs{"sid": stanza.Text(&usync, "sid"), "mode": "query", "last": "true", "index": "0", "context": stanza.Text(&usync, "context")},
		Content: []stanza.Node{{Tag: "list", Content: users}},
	})
}

// userNode says what was asked about one user, in the addressing in which it was asked. A user who is not on WhatsApp gets a node
// without content.
func (c *connection) userNode(jid types.JID, query stanza.Node) stanza.Node {
	user := stanza.Node{Tag: "user", Attrs: stanza.Attrs{"jid": jid}}
	owner := c.server.accountOf(jid)
	if owner == nil || owner.absent() {
		return user
	}
	var parts []stanza.Node
	for _, wanted := range query.GetChildren() {
		switch wanted.Tag {
		case "devices":
			parts = append(parts, c.devicesNode(owner))
		case "lid":
			if owner.hasLID() {
				parts = append(parts, stanza.Node{Tag: "lid", Attrs: stanza.Attrs{"val": stanza.LID(owner.number, 0)}})
			}
		case "status":
			parts = append(parts, stanza.Node{Tag: "status", Content: []byte{}})
		}
	}
	user.Content = parts
	return user
}

func (a *account) hasLID() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.whois().NoLID
}

// devicesNode lists an account's devices, normally without the one that asks.
func (c *connection) devicesNode(owner *account) stanza.Node {
	ids := owner.deviceIDs()
	if c.companion.owner == owner && !c.server.options.ListOwnDevice {
		ids = slices.DeleteFunc(ids, func(id uint16) bool { return id == c.companion.id })
	}
	devices := make([]stanza.Node, len(ids))
	for i, id := range ids {
		devices[i] = stanza.Node{Tag: "device", Attrs: stanza.Attrs{"id": int(id)}}
		if id != 0 {
			devices[i].Attrs["key-index"] = int(id)
		}
	}
	return stanza.Node{Tag: "devices", Content: []stanza.Node{{Tag: "device-list", Content: devices}}}
}

// knownAs gives the number that an account is known as.
func (s *Server) knownAs(number uint64) uint64 {
	asked := s.account(number)
	if asked == nil {
		return number
	}
	asked.mu.Lock()
	other := asked.whois().KnownAs
	asked.mu.Unlock()
	known, err := stanza.ParseNumber(other)
	if err != nil {
		return number
	}
	s.ensure(known)
	return known
}

// contactNode answers whether a number, as text "+49…@c.us", is on WhatsApp; the text is echoed, and the number is the one that the account is known as.
func (c *connection) contactNode(text []byte) stanza.Node {
	user := stanza.Node{Tag: "user", Attrs: stanza.Attrs{}}
	contact := stanza.Node{Tag: "contact", Attrs: stanza.Attrs{"type": "out"}, Content: text}
	jid, err := types.ParseJID(string(text))
	if err == nil {
		if number, err := stanza.ParseNumber(jid.User); err == nil {
			number = c.server.knownAs(number)
			user.Attrs["pn_jid"] = stanza.PN(number, 0)
			if owner := c.server.account(number); owner != nil && !owner.absent() {
				contact.Attrs["type"] = "in"
				if owner.hasLID() {
					user.Attrs["jid"] = stanza.LID(number, 0)
				}
			}
		}
	}
	user.Content = []stanza.Node{contact}
	return user
}
