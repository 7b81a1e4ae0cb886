package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Change is what differs between two configurations at one path.
type Change struct {
	Path string `json:"path"` // of a value; of a thing, a bus or a rule that is new or gone
	Was  string `json:"was,omitempty"`
	Is   string `json:"is,omitempty"`
}

// String is the change for people.
func (c Change) String() string {
	switch {
	case c.Was == "":
		return fmt.Sprintf("%s: %s (new)", c.Path, c.Is)
	case c.Is == "":
		return fmt.Sprintf("%s: %s (gone)", c.Path, c.Was)
	}
	return fmt.Sprintf("%s: %s, was %s", c.Path, c.Is, c.Was)
}

// Section is the top of the change's path.
func (c Change) Section() string {
	section, _, _ := strings.Cut(c.Path, ".")
	return section
}

// Diff is what is to be told of going from old to new, in the order of paths.
// Of a secret that changed it tells only that.
func Diff(old, new *Config) []Change {
	var out []Change
	told := map[string]bool{}
	for _, s := range align(listOf(old), listOf(new)) {
		if s.was.Value == s.is.Value {
			continue
		}
		if name, ok := wholeName(s.path, old, new); ok {
			if !told[name] {
				told[name] = true
				out = append(out, wholeChange(name, s.was.Value == ""))
			}
			continue
		}
		out = append(out, Change{s.path, s.was.shown(), s.is.shown()})
	}
	return out
}

func (l listed) shown() string {
	if l.secret && l.Value != "" {
		return hiddenValue
	}
	return l.Value
}

func listOf(c *Config) map[string]listed {
	var l lister
	l.value(where{}, reflect.ValueOf(c).Elem())
	out := make(map[string]listed, len(l.found))
	for _, f := range l.found {
		out[f.Path] = f
	}
	return out
}

// wholeName says that a path lies in a named part (things.boiler) that only one
// of the two has.
func wholeName(path string, old, new *Config) (name string, ok bool) {
	section, rest, _ := strings.Cut(path, ".")
	a, b := names(old, section), names(new, section)
	for known := range a {
		if !b[known] && (rest == known || strings.HasPrefix(rest, known+".")) {
			return section + "." + known, true
		}
	}
	for known := range b {
		if !a[known] && (rest == known || strings.HasPrefix(rest, known+".")) {
			return section + "." + known, true
		}
	}
	return "", false
}

// names are the keys of a section that holds named parts.
func names(c *Config, section string) map[string]bool {
	fields := map[string]reflect.Value{}
	collectFields(reflect.ValueOf(c).Elem(), fields)
	if v, ok := fields[section]; ok && v.Kind() == reflect.Map {
		return keys(v)
	}
	return nil
}

func wholeChange(name string, added bool) Change {
	if added {
		return Change{Path: name, Is: "all of it"}
	}
	return Change{Path: name, Was: "all of it"}
}
