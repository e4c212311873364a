// Package stanza has the words of the wire that the simulator's rooms share: addresses (JIDs of phone numbers and LIDs), readers of
// nodes that come from a client, and makers of the small answers.
//
// Nouns: Node (one stanza), Number (a phone number as an integer), LID (the hidden id of the same account).
//
// Callers: the simulator. It must never know accounts or connections.
package stanza

import (
	"strconv"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// Node is one stanza or a part of one.
type Node = waBinary.Node

// Attrs are a stanza's attributes. What a client reads as a JID must be given as types.JID: as text the client drops the stanza.
type Attrs = waBinary.Attrs

// Encode gives a stanza's plaintext frame.
func Encode(node Node) ([]byte, error) { return waBinary.Marshal(node) }

// Decode reads a plaintext frame.
func Decode(frame []byte) (*Node, error) {
	raw, err := waBinary.Unpack(frame)
	if err != nil {
		return nil, err
	}
	return waBinary.Unmarshal(raw)
}

// Text reads an attribute as text; a JID gives its text form, a missing one "".
func Text(node *Node, name string) string {
	switch value := node.Attrs[name].(type) {
	case string:
		return value
	case types.JID:
		return value.String()
	}
	return ""
}

// JID reads an attribute as a JID; the zero JID if it is missing or something else.
func JID(node *Node, name string) types.JID {
	jid, _ := node.Attrs[name].(types.JID)
	return jid
}

// Int reads an attribute as a number; 0 if it is missing or no number.
func Int(node *Node, name string) int {
	value, _ := strconv.Atoi(Text(node, name))
	return value
}

// Bytes reads a node's content. Content that looks like digits or upper-case hex arrives as a string.
func Bytes(node Node) []byte {
	switch content := node.Content.(type) {
	case []byte:
		return content
	case string:
		return []byte(content)
	}
	return nil
}

// ChildBytes reads the content of the child that the path of tags leads to.
func ChildBytes(node *Node, path ...string) []byte { return Bytes(node.GetChildByTag(path...)) }

// First gives the first child, or an empty node.
func First(node *Node) Node {
	if children := node.GetChildren(); len(children) > 0 {
		return children[0]
	}
	return Node{}
}

// Result answers a query with content.
func Result(query *Node, content ...Node) Node {
	answer := Node{Tag: "iq", Attrs: Attrs{"from": types.ServerJID, "type": "result", "id": Text(query, "id")}}
	if len(content) > 0 {
		answer.Content = content
	}
	return answer
}

// errorTexts are the texts that the client wants to see with a code to recognise an error (whatsmeow errors.go).
var errorTexts = map[int]string{
	400: "bad-request", 401: "not-authorized", 403: "forbidden", 404: "item-not-found", 405: "not-allowed", 406: "not-acceptable",
	410: "gone", 415: "media-type-not-supported", 419: "resource-limit", 423: "locked", 429: "rate-overlimit",
	500: "internal-server-error", 501: "feature-not-implemented", 503: "service-unavailable",
}

// Error answers a query with an error. An empty text is replaced by the one that belongs to the code.
func Error(query *Node, code int, text string) Node {
	if text == "" {
		text = errorTexts[code]
	}
	return Node{
		Tag:     "iq",
		Attrs:   Attrs{"from": types.ServerJID, "type": "error", "id": Text(query, "id")},
		Content: []Node{{Tag: "error", Attrs: Attrs{"code": code, "text": text}}},
	}
}
