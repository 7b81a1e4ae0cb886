package config

import (
	"fmt"
	"maps"

	"github.com/goccy/go-yaml/ast"
)

// converter turns the syntax tree of a file into nodes. It follows aliases,
// applies merge keys and reports keys that stand twice.
type converter struct {
	file    string
	anchors map[string]*node // those whose value is complete
	nodes   int              // how many were made, against maxNodes
	report  *report
}

// document converts a file's one document.
func (c *converter) document(f *ast.File, top place) *node {
	var root *node
	for _, doc := range f.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); doc.Body == nil || directive {
			continue
		}
		if root != nil {
			c.report.add(placeOf(c.file, doc.Start), "", "a second document", "one file holds one document; conf.d holds many files")
			break
		}
		root = c.node(doc.Body, "")
	}
	if root == nil || root.kind == null {
		return &node{place: top, kind: mapping}
	}
	if root.kind != mapping {
		c.report.add(root.place, "", "want a mapping of sections, have "+root.String(), "")
		return &node{place: top, kind: mapping}
	}
	root.place = top
	return root
}

func (c *converter) at(n ast.Node) place { return placeOf(c.file, n.GetToken()) }

// node converts one value. What can't be converted is reported and null.
func (c *converter) node(n ast.Node, path string) *node {
	if n == nil {
		return &node{place: place{c.file, 1, 1}, kind: null}
	}
	at := c.at(n)
	if c.nodes++; c.nodes > maxNodes {
		if c.nodes == maxNodes+1 {
			c.report.lost(at, path, fmt.Sprintf("more than %d values", maxNodes), "")
		}
		return &node{place: at, kind: null}
	}
	if s := scalar(at, n); s != nil {
		return s
	}
	switch n := n.(type) {
	case *ast.SequenceNode:
		out := &node{place: at, kind: sequence}
		for i, item := range n.Values {
			out.items = append(out.items, c.node(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return out
	case ast.MapNode:
		return c.mapping(at, n, path)
	case *ast.AnchorNode:
		v := c.node(n.Value, path)
		c.anchors[n.Name.GetToken().Value] = v
		return v
	case *ast.AliasNode:
		return c.alias(at, n, path)
	case *ast.TagNode:
		c.report.lost(at, path, "a tag "+n.Start.Value, "write the value without it; text in quotes is text")
	default:
		c.report.lost(at, path, fmt.Sprintf("a %s can't stand here", n.Type().YAMLName()), "")
	}
	return &node{place: at, kind: null}
}

// alias is what an alias names, at the place of the alias. An anchor counts
// from its end on, so nothing can hold itself.
func (c *converter) alias(at place, n *ast.AliasNode, path string) *node {
	name := n.Value.GetToken().Value
	v := c.anchors[name]
	if v == nil {
		c.report.lost(at, path, "no anchor &"+name+" before this", didYouMean(name, maps.Keys(c.anchors)))
		return &node{place: at, kind: null}
	}
	here := *v
	here.place = at
	return &here
}

// mapping converts a mapping: own keys first, then those of merge keys that it
// has not itself.
func (c *converter) mapping(at place, n ast.MapNode, path string) *node {
	out := &node{place: at, kind: mapping}
	flow := false
	if m, ok := n.(*ast.MappingNode); ok {
		flow = m.IsFlowStyle
	}
	seen := map[string]place{}
	var merged []*node
	for entries := n.MapRange(); entries.Next(); {
		key := entries.Key()
		keyAt := c.at(key)
		if !flow {
			// A block mapping stands where its first key stands.
			out.place, flow = keyAt, true
		}
		if key.IsMergeKey() {
			merged = append(merged, c.merged(entries.Value(), join(path, "<<"))...)
			continue
		}
		name, ok := keyText(key)
		if !ok {
			c.report.add(keyAt, path, "a key that is no text", "")
			continue
		}
		value := c.node(entries.Value(), join(path, name))
		if first, twice := seen[name]; twice {
			c.report.add(keyAt, join(path, name), fmt.Sprintf("stands twice, first at %s", first), "")
			continue
		}
		seen[name] = keyAt
		out.entries = append(out.entries, entry{name, keyAt, value})
	}
	for _, m := range merged {
		for _, e := range m.entries {
			if _, own := seen[e.key]; !own && c.nodes < maxNodes {
				seen[e.key] = e.at
				out.entries = append(out.entries, e)
				c.nodes++
			}
		}
	}
	return out
}

// merged are the mappings that a merge key names.
func (c *converter) merged(value ast.Node, path string) []*node {
	v := c.node(value, path)
	all := []*node{v}
	if v.kind == sequence {
		all = v.items
	}
	for _, m := range all {
		if m.kind != mapping && !c.report.covers(path) {
			c.report.lost(m.place, path, "want a mapping to merge, have "+m.String(), "")
		}
	}
	return all
}

// keyText is a key as it was written: a thing may be called 7.
func keyText(key ast.MapKeyNode) (string, bool) {
	var n ast.Node = key
	if k, ok := n.(*ast.MappingKeyNode); ok {
		n = k.Value
	}
	if a, ok := n.(*ast.AnchorNode); ok {
		n = a.Value
	}
	s := scalar(place{}, n)
	switch {
	case s == nil:
		return "", false
	case s.kind == null:
		return n.GetToken().Value, true
	}
	return s.text, true
}

// join is the path of a key of what stands at path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
