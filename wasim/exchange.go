package wasim

import (
	"context"
	"fmt"

	"go.mau.fi/whatsmeow/types"

	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
	"github.com/dannsalud/broadcaster/wasim/script"
)

// exchange is one stanza of a client and the answer to it, as far as the script allows one.
type exchange struct {
	conn    *connection
	node    *stanza.Node
	verdict script.Action
}

// answer sends the answer, unless the script loses or delays it.
func (x *exchange) answer(node stanza.Node) {
	switch x.verdict.Kind {
	case script.DropReply:
		return
	case script.Delay:
		conn := x.conn
		conn.server.later(timeOf(x.verdict.For), func() { conn.send(node) })
		return
	}
	if x.verdict.StrikesConnection() && x.verdict.Afterwards {
		return
	}
	x.conn.send(node)
}

// result answers a query.
func (x *exchange) result(content ...stanza.Node) { x.answer(stanza.Result(x.node, content...)) }

// fail answers a query with an error.
func (x *exchange) fail(code int) { x.answer(stanza.Error(x.node, code, "")) }

// handler does what one kind of stanza asks.
type handler func(context.Context, *exchange)

// kind is one kind of stanza: what scripts call it and what is done about it.
type kind struct {
	event script.Event
	do    handler
	// from says who may send it.
	from sender
}

// sender is the kinds of clients that may send a stanza.
type sender int

const (
	linkedOnly sender = iota
	unlinkedOnly
	anybody
)

// queryKinds are the queries (iq) that the simulator knows, by namespace, type and first child.
func queryKinds() map[string]kind {
	return map[string]kind{
		"w:p get ":                                {event: script.KeepAlive, do: handleKeepAlive, from: anybody},
		"encrypt get count":                       {event: script.PreKeyCount, do: handlePreKeyCount},
		"encrypt set registration":                {event: script.PreKeyUpload, do: handlePreKeyUpload},
		"encrypt get key":                         {event: script.PreKeyFetch, do: handlePreKeyFetch},
		"passive set active":                      {event: script.Passive, do: handleActive},
		"passive set passive":                     {event: script.Passive, do: handlePassive},
		"usync get usync":                         {event: script.UsyncDevices, do: handleUsync},
		"privacy set tokens":                      {event: script.PrivacyToken, do: handleAccepted},
		"privacy get privacy":                     {event: script.Privacy, do: handlePrivacy},
		"privacy set privacy":                     {event: script.Privacy, do: handlePrivacySet},
		"w:m set media_conn":                      {event: script.MediaConn, do: handleMediaConn},
		"w:sync:app:state set sync":               {event: script.AppState, do: handleAppState},
		"md set remove-companion-device":          {event: script.Logout, do: handleLogout},
		"md set link_code_companion_reg":          {event: script.PairCode, do: handlePairCode, from: unlinkedOnly},
		"md get ref":                              {event: script.PairRef, do: handlePairRef, from: unlinkedOnly},
		"md get passkey_request_options":          {event: script.PairPasskey, do: handlePasskeyOptions, from: unlinkedOnly},
		"md set passkey_prologue":                 {event: script.PairPasskey, do: handlePasskeyPrologue, from: unlinkedOnly},
		"md set companion_nonce":                  {event: script.PairNonce, do: handlePasskeyNonce, from: unlinkedOnly},
		"md set encrypted_pairing_request":        {event: script.PairRequest, do: handlePasskeyRequest, from: unlinkedOnly},
		"w:profile:picture get picture":           {event: script.ProfilePicture, do: handleMissing},
		"blocklist get ":                          {event: script.Blocklist, do: handleBlocklist},
		"blocklist set item":                      {event: script.Blocklist, do: handleBlocklist},
		"disappearing_mode set disappearing_mode": {event: script.Settings, do: handleAccepted},
		"urn:xmpp:whatsapp:push set config":       {event: script.Settings, do: handleAccepted},
		"urn:xmpp:whatsapp:dirty set clean":       {event: script.Settings, do: handleAccepted},
		"w:biz get business_profile":              {event: script.ProfilePicture, do: handleMissing},
		"fbid:devices get users":                  {event: script.UsyncDevices, do: handleMissing},
	}
}

// stanzaKinds are the other stanzas, by tag.
func stanzaKinds() map[string]kind {
	return map[string]kind{
		"message":   {event: script.Message, do: handleMessage},
		"receipt":   {event: script.Receipt, do: handleReceipt},
		"ack":       {event: script.Ack, do: handleAck, from: anybody},
		"presence":  {event: script.Presence, do: handlePresence},
		"chatstate": {event: script.ChatState, do: handleNothing},
		"ib":        {event: script.Telemetry, do: handleNothing, from: anybody},
	}
}

// handle does what one stanza asks, or what the script wants instead.
func (c *connection) handle(ctx context.Context, node *stanza.Node) {
	c.server.books.stanzas.Add(1)
	if node.Tag == "iq" && isAnswer(node) {
		c.answered(node)
		return
	}
	what, known := c.recognise(node)
	if !known {
		what = kind{event: script.Unknown, do: handleUnknown}
	}
	verdict := c.server.script.Decide(script.Moment{
		Event: what.event, Account: c.number(), Recipients: func() []string { return recipientsOf(node) },
	})
	x := &exchange{conn: c, node: node, verdict: verdict}
	switch {
	case verdict.Kind == script.DropStanza:
	case verdict.Kind == script.QueryError && node.Tag == "iq":
		c.send(stanza.Error(node, verdict.Code, verdict.Text))
	case verdict.Kind == script.AckError && node.Tag == "message":
		c.server.books.refused.Add(1)
		c.send(ackFor(node, verdict.Code))
	case verdict.StrikesConnection():
		if verdict.Afterwards {
			what.do(ctx, x)
		}
		c.strike(verdict)
	default:
		what.do(ctx, x)
	}
}

func isAnswer(node *stanza.Node) bool {
	answer := stanza.Text(node, "type")
	return answer == "result" || answer == "error"
}

// recognise finds the kind of a stanza.
func (c *connection) recognise(node *stanza.Node) (kind, bool) {
	what, known := c.server.stanzas[node.Tag]
	if node.Tag == "iq" {
		what, known = c.server.queries[nameOf(node)]
	}
	if !known || what.from == linkedOnly && c.companion == nil || what.from == unlinkedOnly && c.pairing == nil {
		return kind{}, false
	}
	what.event = refine(what.event, node)
	return what, true
}

func nameOf(node *stanza.Node) string {
	return stanza.Text(node, "xmlns") + " " + stanza.Text(node, "type") + " " + stanza.First(node).Tag
}

// refine tells events apart that share a handler.
func refine(event script.Event, node *stanza.Node) script.Event {
	switch event {
	case script.Message:
		if stanza.Text(node, "category") == "peer" {
			return script.PeerMessage
		}
		if _, direct := node.GetOptionalChildByTag("enc"); direct {
			return script.RetryMessage
		}
	case script.Receipt:
		if stanza.Text(node, "type") == "retry" {
			return script.RetryReceipt
		}
	case script.UsyncDevices:
		query := node.GetChildByTag("usync", "query")
		if _, found := query.GetOptionalChildByTag("contact"); found {
			return script.UsyncContact
		}
		if _, found := query.GetOptionalChildByTag("lid"); found {
			return script.UsyncLID
		}
	case script.PairCode:
		registration := stanza.First(node)
		if stanza.Text(&registration, "stage") == "companion_finish" {
			return script.PairCodeFinish
		}
	}
	return event
}

// number is the linked account's phone number; empty for an unlinked device.
func (c *connection) number() string {
	if c.companion == nil {
		return ""
	}
	return stanza.FormatNumber(c.companion.owner.number)
}

// recipientsOf lists the people whom a stanza concerns.
func recipientsOf(node *stanza.Node) []string {
	var numbers []string
	add := func(jid types.JID) {
		if number, ok := stanza.Number(jid); ok {
			numbers = append(numbers, stanza.FormatNumber(number))
		}
	}
	add(stanza.JID(node, "to"))
	add(stanza.JID(node, "recipient"))
	first, list := stanza.First(node), node.GetChildByTag("usync", "list")
	for _, user := range append(list.GetChildren(), first.GetChildrenByTag("user")...) {
		add(stanza.JID(&user, "jid"))
		if jid, err := types.ParseJID(string(stanza.ChildBytes(&user, "contact"))); err == nil {
			add(jid)
		}
	}
	for _, token := range first.GetChildrenByTag("token") {
		add(stanza.JID(&token, "jid"))
	}
	return numbers
}

// UnknownStanzaError tells of a stanza that the simulator does not know. It names the stanza's shape, never its content.
type UnknownStanzaError struct {
	// Stanza is the tag; for a query also the namespace, type and first child.
	Stanza string
}

func (e *UnknownStanzaError) Error() string {
	return fmt.Sprintf("the simulator does not know the stanza %q", e.Stanza)
}

// handleUnknown answers a query that nobody knows with error 501; a strict server ends the connection as well.
func handleUnknown(ctx context.Context, x *exchange) {
	name := x.node.Tag
	if name == "iq" {
		name += " " + nameOf(x.node)
	}
	server := x.conn.server
	err := &UnknownStanzaError{Stanza: name}
	server.books.unknown.Add(1)
	server.mu.Lock()
	if len(server.unknown) < 100 {
		server.unknown = append(server.unknown, err)
	}
	server.mu.Unlock()
	server.options.Log.WarnContext(ctx, "unknown stanza", "stanza", name)
	if server.options.OnUnknown != nil {
		server.options.OnUnknown(err)
	}
	if x.node.Tag == "iq" {
		x.fail(501)
	}
	if server.options.Strict {
		x.conn.strike(script.EndStream(500))
	}
}

// handleAccepted answers a query that changes nothing here.
func handleAccepted(_ context.Context, x *exchange) { x.result() }

// handleMissing answers a query for something that nobody has.
func handleMissing(_ context.Context, x *exchange) { x.fail(404) }

// handleNothing takes a stanza that wants no answer.
func handleNothing(context.Context, *exchange) {}

func handleKeepAlive(_ context.Context, x *exchange) { x.result() }

func handlePassive(_ context.Context, x *exchange) { x.result() }

func handleActive(_ context.Context, x *exchange) {
	x.result()
	x.conn.companion.markReady()
}

func handleBlocklist(_ context.Context, x *exchange) {
	x.result(stanza.Node{Tag: "list", Attrs: stanza.Attrs{"dhash": "0"}})
}
