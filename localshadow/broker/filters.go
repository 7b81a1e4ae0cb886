package broker

import (
	"strings"
	"sync"
	"sync/atomic"
)

// subscription is one filter of one session.
type subscription struct {
	s         *session
	filter    string // as it was asked for
	qos       byte
	noLocal   bool
	published bool // retain as published
	shared    bool
	id        int // 0: none
}

// filters finds the subscriptions that match a topic. It is a tree of levels.
type filters struct {
	mu    sync.RWMutex
	root  level
	count atomic.Int64
}

type level struct {
	next   map[string]*level
	subs   []*subscription
	shared map[string]*group // by name
}

// group is one shared subscription.
type group struct {
	subs []*subscription
	turn atomic.Uint32
}

// set adds a subscription, or puts it in the place of the one that its session
// had with this filter [MQTT-3.8.4-3].
func (f *filters) set(sub *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	inner, name := groupOf(sub.filter)
	l := &f.root
	for rest, more := inner, true; more; {
		var word string
		word, rest, more = strings.Cut(rest, "/")
		n := l.next[word]
		if n == nil {
			if l.next == nil {
				l.next = map[string]*level{}
			}
			n = &level{}
			l.next[word] = n
		}
		l = n
	}
	list := &l.subs
	if name != "" {
		if l.shared == nil {
			l.shared = map[string]*group{}
		}
		if l.shared[name] == nil {
			l.shared[name] = &group{}
		}
		list = &l.shared[name].subs
	}
	for i, old := range *list {
		if old.s == sub.s {
			(*list)[i] = sub
			return
		}
	}
	*list = append(*list, sub)
	f.count.Add(1)
}

// remove takes a subscription out.
func (f *filters) remove(sub *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	inner, name := groupOf(sub.filter)
	if f.root.remove(inner, name, sub.s) {
		f.count.Add(-1)
	}
}

func (l *level) remove(rest, name string, s *session) bool {
	word, rest, more := strings.Cut(rest, "/")
	n := l.next[word]
	if n == nil {
		return false
	}
	found := false
	switch {
	case more:
		found = n.remove(rest, name, s)
	case name == "":
		n.subs, found = without(n.subs, s)
	case n.shared[name] != nil:
		g := n.shared[name]
		if g.subs, found = without(g.subs, s); len(g.subs) == 0 {
			delete(n.shared, name)
		}
	}
	if len(n.subs) == 0 && len(n.shared) == 0 && len(n.next) == 0 {
		delete(l.next, word)
	}
	return found
}

func without(subs []*subscription, s *session) ([]*subscription, bool) {
	for i, sub := range subs {
		if sub.s == s {
			last := len(subs) - 1
			subs[i], subs[last] = subs[last], nil
			return subs[:last], true
		}
	}
	return subs, false
}

// groupOf is the filter of a subscription and the name of its group; empty: not
// shared.
func groupOf(filter string) (inner, group string) {
	inner, shared := unshare(filter)
	if !shared {
		return inner, ""
	}
	return inner, strings.SplitN(filter, "/", 3)[1]
}

// match appends the subscriptions that match a topic; of a shared one, the
// member whose turn it is.
func (f *filters) match(topic string, found []*subscription) []*subscription {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.root.match(topic, reserved(topic), found)
}

// match looks below l. Wildcards of the first level do not match topics that
// begin with "$" [MQTT-4.7.2-1].
func (l *level) match(topic string, plain bool, found []*subscription) []*subscription {
	word, rest, more := strings.Cut(topic, "/")
	if n := l.next[word]; n != nil {
		found = n.below(rest, more, found)
	}
	if plain {
		return found
	}
	if n := l.next["+"]; n != nil {
		found = n.below(rest, more, found)
	}
	if n := l.next["#"]; n != nil {
		found = n.gather(found)
	}
	return found
}

func (l *level) below(rest string, more bool, found []*subscription) []*subscription {
	if more {
		return l.match(rest, false, found)
	}
	found = l.gather(found)
	if n := l.next["#"]; n != nil { // the level above is matched too [MQTT-4.7.1-2]
		found = n.gather(found)
	}
	return found
}

func (l *level) gather(found []*subscription) []*subscription {
	found = append(found, l.subs...)
	for _, g := range l.shared {
		found = append(found, g.pick())
	}
	return found
}

// pick is the next member that is connected, else the next.
func (g *group) pick() *subscription {
	n := uint32(len(g.subs))
	first := g.turn.Add(1) % n
	for i := range n {
		if sub := g.subs[(first+i)%n]; sub.s.online.Load() {
			return sub
		}
	}
	return g.subs[first]
}
