package keys

import "container/list"

// cache keeps the rows that were used last, also those that are known not to exist. It holds what is on the disk and nothing else. It is not
// safe for use by several goroutines.
type cache struct {
	limit, bytes int
	entries      map[address]*list.Element
	// order has the row that was used last in front.
	order *list.List
}

type cached struct {
	address
	row
}

// entryBytes is what an entry takes beside its key and value, roughly.
const entryBytes = 200

func (c *cached) bytes() int { return entryBytes + len(c.kind) + len(c.key) + len(c.value) }

func newCache(limit int) *cache {
	return &cache{limit: limit, entries: map[address]*list.Element{}, order: list.New()}
}

func (c *cache) get(at address) (row, bool) {
	element := c.entries[at]
	if element == nil {
		return row{}, false
	}
	c.order.MoveToFront(element)
	return element.Value.(*cached).row, true
}

func (c *cache) put(at address, r row) {
	c.remove(at)
	entry := &cached{at, r}
	if entry.bytes() > c.limit {
		return
	}
	c.entries[at] = c.order.PushFront(entry)
	c.bytes += entry.bytes()
	for c.bytes > c.limit {
		c.remove(c.order.Back().Value.(*cached).address)
	}
}

func (c *cache) remove(at address) {
	element := c.entries[at]
	if element == nil {
		return
	}
	c.bytes -= element.Value.(*cached).bytes()
	c.order.Remove(element)
	delete(c.entries, at)
}

func (c *cache) clear() {
	clear(c.entries)
	c.order.Init()
	c.bytes = 0
}
