package registry

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"edgeshadow/localshadow/shadow"
)

// The limits of AWS IoT's registry (SHADOW 22), and one of a gateway's memory.
const (
	maxAttributes     = 3  // of a thing without a type
	maxTypeAttributes = 50 // of a thing with one
	maxThings         = 10_000
)

var (
	attributeName  = regexp.MustCompile(`^[a-zA-Z0-9_.,@/:#-]{1,128}$`)
	attributeValue = regexp.MustCompile(`^[a-zA-Z0-9_.,@/:#=\[\]-]{0,800}$`)
)

// Thing is an entry.
type Thing struct {
	Name       string            `json:"name"`
	ID         string            `json:"id"` // a UUID
	Type       string            `json:"type,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Version    int64             `json:"version"`           // from 1
	Created    time.Time         `json:"created,omitzero"`  // for people
	Configured bool              `json:"configured"`        // by a file: only the file changes it
	Touched    time.Duration     `json:"touched,omitempty"` // an age of the store
}

// Error is a refusal, with the name that AWS gives it.
type Error struct {
	Status    int
	Exception string
	Text      string
}

func (e *Error) Error() string { return e.Text }

func refuse(status int, exception, format string, args ...any) *Error {
	return &Error{status, exception, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *Error {
	return refuse(400, "InvalidRequestException", format, args...)
}

func notFound(name string) *Error {
	return refuse(404, "ResourceNotFoundException", "Thing %.140s not found", name)
}

func conflict(expected, have int64) *Error {
	return refuse(409, "VersionConflictException", "The thing has version %d, not %d", have, expected)
}

// check refuses what AWS IoT would.
func (t Thing) check() error {
	if err := (shadow.ID{Thing: t.Name}).Check(); err != nil {
		return invalid("%v", err)
	}
	if t.Type != "" && (shadow.ID{Thing: t.Type}).Check() != nil {
		return invalid("thing type %.140q: want 1 to 128 of a-z A-Z 0-9 : _ -", t.Type)
	}
	most, kind := maxAttributes, "without a type"
	if t.Type != "" {
		most, kind = maxTypeAttributes, "with a type"
	}
	if len(t.Attributes) > most {
		return invalid("%d attributes; a thing %s has at most %d", len(t.Attributes), kind, most)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		if !attributeName.MatchString(name) {
			return invalid("attribute %.140q: a name has 1 to 128 letters, digits and _ . , @ / : # -", name)
		}
		if !attributeValue.MatchString(t.Attributes[name]) {
			return invalid("attribute %s: a value has at most 800 letters, digits and _ . , @ / : # = [ ] -", name)
		}
	}
	return nil
}

// Change is what an update says; what is nil stays.
type Change struct {
	Type       *string           // empty: none
	Attributes map[string]string // an empty value removes one; nil: they stay
	Merge      bool              // the attributes are added to those that are there
	Expected   int64             // the version that is to be changed; 0: any
}

// apply is a thing after a change, in the next version.
func (t Thing) apply(c Change) (Thing, error) {
	if c.Expected != 0 && c.Expected != t.Version {
		return t, conflict(c.Expected, t.Version)
	}
	if c.Type != nil {
		t.Type = *c.Type
	}
	if c.Attributes != nil {
		attributes := map[string]string{}
		if c.Merge {
			maps.Copy(attributes, t.Attributes)
		}
		for name, value := range c.Attributes {
			if attributes[name] = value; value == "" {
				delete(attributes, name)
			}
		}
		t.Attributes = attributes
	}
	t.Version++
	return t, t.check()
}
