package config

import (
	"cmp"
	"encoding"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// hiddenValue stands where a secret is.
const hiddenValue = "(hidden)"

// secrets are keys whose values are secrets wherever they stand, unless they
// name a file.
var secrets = map[string]bool{"bindkey": true, "key": true, "password": true, "secret": true, "token": true}

// Setting is one value of a configuration.
type Setting struct {
	Path   string `json:"path"` // of keys, from the top: things.boiler.every
	Value  string `json:"value"`
	Origin string `json:"origin,omitempty"` // file:line:column, or default
}

// Settings are all values that are not empty, in the order of their paths.
// Secrets are hidden.
func (c *Config) Settings() []Setting {
	var l lister
	l.value(where{}, reflect.ValueOf(c).Elem())
	slices.SortStableFunc(l.found, func(a, b listed) int { return cmp.Compare(a.Path, b.Path) })
	out := make([]Setting, len(l.found))
	for i, f := range l.found {
		out[i] = f.Setting
		if f.secret {
			out[i].Value = hiddenValue
		}
	}
	return out
}

// listed is a setting as it is, and whether it may be shown.
type listed struct {
	Setting
	shape  string
	secret bool
}

// lister walks a configuration as decoder does.
type lister struct{ found []listed }

func (l *lister) value(w where, v reflect.Value) {
	said := v.Kind() == reflect.Pointer // nil is what says nothing; 0 is a value
	if said {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if text, secret, ok := leaf(v); ok {
		if v.IsZero() && !said {
			return
		}
		last := w.shape[strings.LastIndexByte(w.shape, '.')+1:]
		secret = secret || secrets[last] && !references[w.shape]
		l.found = append(l.found, listed{Setting{Path: w.path, Value: text}, w.shape, secret})
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		l.fields(w, v)
	case reflect.Map:
		for _, k := range slices.SortedFunc(maps.Keys(keys(v)), cmp.Compare[string]) {
			l.value(w.named(k), v.MapIndex(reflect.ValueOf(k).Convert(v.Type().Key())))
		}
	case reflect.Slice:
		for i := range v.Len() {
			l.value(w.item(i), v.Index(i))
		}
	}
}

// fields lists a struct. A field that no key of its own reads (tls: auto) goes
// by its name.
func (l *lister) fields(w where, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			l.fields(w, v.Field(i))
		case !f.IsExported():
		case name == "-" || name == "":
			l.value(w.key(strings.ToLower(f.Name)), v.Field(i))
		default:
			l.value(w.key(name), v.Field(i))
		}
	}
}

func keys(v reflect.Value) map[string]bool {
	out := map[string]bool{}
	for _, k := range v.MapKeys() {
		out[k.String()] = true
	}
	return out
}

// leaf is the text of what has one.
func leaf(v reflect.Value) (text string, secret, ok bool) {
	_, secret = v.Interface().(slog.LogValuer)
	switch t := v.Interface().(type) {
	case time.Duration:
		return t.String(), secret, true
	case encoding.TextMarshaler:
		text, err := t.MarshalText()
		return string(text), secret, err == nil
	case fmt.Stringer:
		return t.String(), secret, true
	}
	if v.CanAddr() || v.Kind() == reflect.Struct {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		if t, ok := p.Interface().(fmt.Stringer); ok {
			return t.String(), secret, true
		}
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Interface:
		return hiddenValue, secret, secret
	}
	return fmt.Sprint(v.Interface()), secret, true
}

// Show reads the configuration at path, as Load does, and tells where each
// value of it comes from.
func Show(path string) ([]Setting, error) {
	cfg, root, err := read(path, path == "")
	if err != nil {
		return nil, err
	}
	settings := cfg.Settings()
	for i := range settings {
		settings[i].Origin = root.origin(settings[i].Path)
	}
	return settings, nil
}

// origin is where the value at a path was written; default when nowhere.
func (n *node) origin(path string) string {
	at := n.place
	for path != "" {
		next, rest := n.step(path)
		switch {
		case next == nil && n.kind == mapping:
			return "default"
		case next == nil: // one word for all that is below
			return at.String()
		}
		n, at, path = next.value, next.place(), rest
	}
	return at.String()
}
