package config

import (
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
)

// The limits of AWS IoT's registry (API reference, CreateThing).
const (
	maxName           = 128 // of a thing, a thing type, an attribute
	maxAttributeValue = 800
	maxAttributes     = 3  // of a thing without a type
	maxTypeAttributes = 50 // of a thing with one
)

var (
	thingName      = regexp.MustCompile(`^[a-zA-Z0-9:_-]{1,128}$`)
	attributeName  = regexp.MustCompile(`^[a-zA-Z0-9_.,@/:#-]{1,128}$`)
	attributeValue = regexp.MustCompile(`^[a-zA-Z0-9_.,@/:#=\[\]-]{0,800}$`)
)

// hostThing is the host name as a thing name.
func hostThing() string {
	host, _ := os.Hostname() // a host without a name is called gateway
	return thingOf(host)
}

// thingOf is what AWS lets stand of a host name in a thing name.
func thingOf(host string) string {
	name := strings.Map(func(r rune) rune {
		if !thingName.MatchString(string(r)) {
			return '-'
		}
		return r
	}, host)
	name = strings.Trim(name[:min(len(name), maxName)], "-")
	if name == "" {
		return "gateway"
	}
	return name
}

// leastMemory is what an idle gateway takes; below it the runtime would do
// nothing but collect garbage.
const leastMemory = 24 << 20

func (g Gateway) validate() (errs []error) {
	if !thingName.MatchString(g.Thing) {
		errs = append(errs, FieldError{"gateway.thing", notThingName})
	}
	if g.Memory != 0 && g.Memory < leastMemory {
		errs = append(errs, FieldError{"gateway.memory", fmt.Sprintf("%s; an idle gateway takes %s", g.Memory, Size(leastMemory))})
	}
	if g.Metrics != "" {
		if _, port, err := net.SplitHostPort(g.Metrics); err != nil {
			errs = append(errs, FieldError{"gateway.metrics", fmt.Sprintf("%q is no host:port; want for example 127.0.0.1:9464", g.Metrics)})
		} else if _, err := net.LookupPort("tcp", port); err != nil {
			errs = append(errs, FieldError{"gateway.metrics", fmt.Sprintf("%q is no port", port)})
		}
	}
	return errs
}

const notThingName = "a thing name has 1 to 128 letters, digits and : _ -"

// validateRegistry checks what the registry will hold of the things.
func validateRegistry(things Things) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(things)) {
		t, path := things[name], join("things", name)
		if t.Type != "" && !thingName.MatchString(t.Type) {
			errs = append(errs, FieldError{join(path, "type"), "a thing type has 1 to 128 letters, digits and : _ -"})
		}
		most, kind := maxAttributes, "without a type"
		if t.Type != "" {
			most, kind = maxTypeAttributes, "with a type"
		}
		if len(t.Attributes) > most {
			errs = append(errs, FieldError{join(path, "attributes"),
				fmt.Sprintf("%d attributes; a thing %s has at most %d", len(t.Attributes), kind, most)})
		}
		for _, key := range slices.Sorted(maps.Keys(t.Attributes)) {
			at := join(join(path, "attributes"), key)
			if !attributeName.MatchString(key) {
				errs = append(errs, FieldError{at, "an attribute's name has 1 to 128 letters, digits and _ . , @ / : # -"})
			}
			if !attributeValue.MatchString(t.Attributes[key]) {
				errs = append(errs, FieldError{at,
					fmt.Sprintf("an attribute's value has at most %d letters, digits and _ . , @ / : # = [ ] -", maxAttributeValue)})
			}
		}
	}
	return errs
}
