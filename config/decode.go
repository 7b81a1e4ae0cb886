package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// where is a node's path as the operator reads it and its shape as the tables
// of this package name it: things.boiler.bus and things.*.bus.
type where struct{ path, shape string }

func (w where) key(k string) where   { return where{join(w.path, k), join(w.shape, k)} }
func (w where) named(k string) where { return where{join(w.path, k), join(w.shape, "*")} }
func (w where) item(i int) where {
	return where{fmt.Sprintf("%s[%d]", w.path, i), w.shape + "[]"}
}

// unmarshaler is what a type with several spellings (a word or a mapping) has;
// unmarshal may be called again with another destination.
type unmarshaler interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

// decoder fills the structs of the configuration from nodes, by their yaml
// tags, and goes on after each fault. What a file does not say keeps the
// default that is there already.
type decoder struct {
	*report
	nodes int // visited, against maxNodes: aliases multiply
}

// value decodes n into v.
func (d *decoder) value(n *node, at place, w where, v reflect.Value) {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.lost(at, w.path, fmt.Sprintf("more than %d values", maxNodes), "")
		}
		return
	}
	if d.covers(w.path) {
		return
	}
	switch u := v.Addr().Interface().(type) {
	case unmarshaler:
		d.custom(n, at, w, u)
		return
	case encoding.TextUnmarshaler:
		d.word(n, at, w, u)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if n.kind == null {
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, at, w, v.Elem())
	case reflect.Struct:
		if d.want(mapping, n, at, w) {
			d.fields(n, w, v)
		}
	case reflect.Map:
		if d.want(mapping, n, at, w) {
			d.names(n, w, v)
		}
	case reflect.Slice:
		if d.want(sequence, n, at, w) {
			v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
			for i, item := range n.items {
				d.value(item, item.place, w.item(i), v.Index(i))
			}
		}
	default:
		d.scalar(n, at, w, v)
	}
}

// want says whether n holds something of kind k. A key with nothing after it,
// as it stays behind when all below it is commented out, is an absent one.
func (d *decoder) want(k kind, n *node, at place, w where) bool {
	if n.kind != k && n.kind != null {
		d.lost(at, w.path, fmt.Sprintf("want %s, have %s", k, n), "")
	}
	return n.kind == k
}

// names decodes a mapping whose keys are names that the user chose.
func (d *decoder) names(n *node, w where, v reflect.Value) {
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(v.Type(), len(n.entries)))
	}
	for _, e := range n.entries {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, e.place(), w.named(e.key), elem)
		v.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), elem)
	}
}

// fields decodes a mapping whose keys are the fields of a struct.
func (d *decoder) fields(n *node, w where, v reflect.Value) {
	fields := map[string]reflect.Value{}
	collectFields(v, fields)
	for _, e := range n.entries {
		at := w.key(e.key)
		field, known := fields[e.key]
		switch {
		case known:
			d.value(e.value, e.place(), at, field)
		default:
			// The key that was meant is not missing as well.
			if meant := nearest(e.key, maps.Keys(fields)); meant != "" && n.get(meant) == nil {
				d.covered[join(w.path, meant)] = true
			}
			hint := didYouMean(e.key, maps.Keys(fields))
			if hint == "" {
				hint = "known here: " + strings.Join(slices.Sorted(maps.Keys(fields)), " ")
			}
			d.add(e.at, at.path, "unknown key", hint)
		}
	}
}

// collectFields lists the fields of a struct by the names of their yaml tags.
func collectFields(v reflect.Value, fields map[string]reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			collectFields(v.Field(i), fields)
		case name != "" && name != "-":
			fields[name] = v.Field(i)
		}
	}
}

// custom lets a type that has several spellings decode itself.
func (d *decoder) custom(n *node, at place, w where, u unmarshaler) {
	attempt := d
	err := u.UnmarshalYAML(func(into any) error {
		attempt = &decoder{&report{main: d.main, covered: maps.Clone(d.covered)}, d.nodes}
		attempt.value(n, at, w, reflect.ValueOf(into).Elem())
		return attempt.err()
	})
	var faults Faults
	switch {
	case errors.As(err, &faults):
		d.faults = append(d.faults, faults...)
		d.covered = attempt.covered
	case err != nil:
		d.lost(at, w.path, err.Error(), "")
	}
	d.nodes = attempt.nodes
}

// word decodes a scalar of a type that reads text.
func (d *decoder) word(n *node, at place, w where, u encoding.TextUnmarshaler) {
	if n.kind >= sequence || n.kind == null {
		d.lost(at, w.path, fmt.Sprintf("want %s, have %s", text, n), "")
		return
	}
	if err := u.UnmarshalText([]byte(n.text)); err != nil {
		d.lost(at, w.path, err.Error(), "")
	}
}
