package config

import (
	"fmt"
	"strings"
)

// place is where something stands in a file.
type place struct {
	file         string
	line, column int
}

func (p place) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column) }

// kind is what a node is.
type kind int

const (
	null kind = iota
	boolean
	number
	text
	sequence
	mapping
)

// String names a kind as it stands in "want …, have …".
func (k kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "text", "a list", "a mapping"}[k]
}

// node is a value of a configuration file with its place: YAML without
// anchors, aliases and merge keys, which are resolved.
type node struct {
	place
	kind    kind
	text    string  // of a scalar, without quotes and escapes
	items   []*node // of a sequence
	entries []entry // of a mapping, in the order of the file
}

// entry is one key of a mapping.
type entry struct {
	key   string
	at    place // of the key
	value *node
}

// get is the entry of a key, or nil.
func (n *node) get(key string) *entry {
	for i := range n.entries {
		if n.entries[i].key == key {
			return &n.entries[i]
		}
	}
	return nil
}

// String shows a scalar as it was written, and anything else by its kind.
func (n *node) String() string {
	switch n.kind {
	case boolean, number:
		return n.text
	case text:
		if runes := []rune(n.text); len(runes) > 40 {
			return fmt.Sprintf("%q…", string(runes[:40]))
		}
		return fmt.Sprintf("%q", n.text)
	}
	return n.kind.String()
}

// place is where a fault of an entry's value is shown: at a scalar itself, and
// at the key of what spans lines or is not there.
func (e entry) place() place {
	if e.value.kind >= sequence || e.value.kind == null {
		return e.at
	}
	return e.value.place
}

// find is the place of what stands at a path, or of the nearest above it.
func (n *node) find(path string) place {
	at := n.place
	for path != "" {
		next, rest := n.step(path)
		if next == nil {
			break
		}
		n, at, path = next.value, next.place(), rest
	}
	return at
}

// step goes from n to the entry or item that path begins with. Names hold dots
// (a point's name is a path), so the longest key that fits is meant.
func (n *node) step(path string) (next *entry, rest string) {
	for i := range n.entries {
		e := &n.entries[i]
		after, ok := strings.CutPrefix(path, e.key)
		if ok && (after == "" || after[0] == '.' || after[0] == '[') && (next == nil || len(e.key) > len(next.key)) {
			next, rest = e, strings.TrimPrefix(after, ".")
		}
	}
	var i int
	if _, err := fmt.Sscanf(path, "[%d]", &i); err == nil && i >= 0 && i < len(n.items) {
		item := n.items[i]
		_, rest, _ = strings.Cut(path, "]")
		return &entry{at: item.place, value: item}, strings.TrimPrefix(rest, ".")
	}
	return next, rest
}
