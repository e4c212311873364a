package wasim

import (
	"container/list"

	"github.com/dannsalud/broadcaster/wasim/internal/stanza"
)

// pendingKey is what a client's acknowledgement names: the tag of the stanza, its id, whom it came from, and its type if it is not a
// message.
type pendingKey struct{ class, id, from, kind string }

// pending holds the stanzas that a device has not acknowledged yet, in order. It is the offline queue. Its owner's lock guards it.
type pending struct {
	order *list.List
	byKey map[pendingKey]*list.Element
}

func keyOf(node *stanza.Node) pendingKey {
	key := pendingKey{class: node.Tag, id: stanza.Text(node, "id"), from: stanza.JID(node, "from").String()}
	if node.Tag != "message" {
		key.kind = stanza.Text(node, "type")
	}
	return key
}

func (p *pending) add(node stanza.Node) {
	if p.order == nil {
		p.order, p.byKey = list.New(), make(map[pendingKey]*list.Element)
	}
	key := keyOf(&node)
	if element, found := p.byKey[key]; found {
		p.order.Remove(element)
	}
	p.byKey[key] = p.order.PushBack(node)
}

func (p *pending) remove(key pendingKey) {
	if element, found := p.byKey[key]; found {
		p.order.Remove(element)
		delete(p.byKey, key)
	}
}

func (p *pending) all() []stanza.Node {
	if p.order == nil {
		return nil
	}
	nodes := make([]stanza.Node, 0, p.order.Len())
	for element := p.order.Front(); element != nil; element = element.Next() {
		nodes = append(nodes, element.Value.(stanza.Node))
	}
	return nodes
}

func (p *pending) len() int { return len(p.byKey) }
