package config_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"edgeshadow/config"
)

// TestManual: the manual page names every key that a file may have.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../packaging/man/edgeshadow.yaml.5")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, word := range regexp.MustCompile(`[a-z][a-z0-9_]*`).FindAllString(strings.ReplaceAll(string(text), `\fB`, " "), -1) {
		said[word] = true
	}
	keys := map[string]string{}
	collectKeys(reflect.TypeFor[config.Config](), "", keys, map[reflect.Type]bool{})
	if len(keys) < 30 {
		t.Fatalf("only %d keys found", len(keys))
	}
	for path, key := range keys {
		if !said[key] {
			t.Errorf("packaging/man/edgeshadow.yaml.5 does not say %s", path)
		}
	}
}

// collectKeys finds the keys of a type, by their paths.
func collectKeys(t reflect.Type, path string, keys map[string]string, seen map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		collectKeys(t.Elem(), path, keys, seen)
	case reflect.Map:
		collectKeys(t.Elem(), path+".*", keys, seen)
	case reflect.Struct:
		if seen[t] {
			return
		}
		seen[t] = true
		for i := range t.NumField() {
			f := t.Field(i)
			key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			switch {
			case option == "inline":
				collectKeys(f.Type, path, keys, seen)
			case key != "" && key != "-":
				at := strings.TrimPrefix(path+"."+key, ".")
				keys[at] = key
				collectKeys(f.Type, at, keys, seen)
			}
		}
	}
}
