package localshadow

import (
	"container/list"

	"edgeshadow/localshadow/shadow"
)

// maxCached bounds the documents that are kept decoded, counted in bytes of
// their stored form: some MiB of memory at most.
const maxCached = 512 << 10

// cache keeps the documents last written in their decoded form. It is touched
// by operations only, which the store runs one at a time.
type cache struct {
	entries map[shadow.ID]*list.Element
	order   *list.List // of *cached, newest first
	size    int
}

type cached struct {
	id    shadow.ID
	local local
	size  int
}

func newCache() *cache {
	return &cache{entries: make(map[shadow.ID]*list.Element), order: list.New()}
}

func (c *cache) get(id shadow.ID) (local, bool) {
	e, ok := c.entries[id]
	if !ok {
		return local{}, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).local, true
}

func (c *cache) put(id shadow.ID, l local, size int) {
	if e, ok := c.entries[id]; ok {
		c.order.MoveToFront(e)
		old := e.Value.(*cached)
		c.size += size - old.size
		old.local, old.size = l, size
	} else {
		c.entries[id] = c.order.PushFront(&cached{id, l, size})
		c.size += size
	}
	for c.size > maxCached {
		e := c.order.Back()
		old := c.order.Remove(e).(*cached)
		delete(c.entries, old.id)
		c.size -= old.size
	}
}
