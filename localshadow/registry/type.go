package registry

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"edgeshadow/localshadow/shadow"
)

// The limits of AWS IoT's thing types (SHADOW 22), and one of a gateway's memory.
const (
	maxDescription = 2028 // characters
	maxSearchable  = 3
	maxTypes       = 1_000
)

// deprecationWait is how long a type stays deprecated before it may be deleted,
// so that whoever still gives it to things learns of it first.
const deprecationWait = 5 * time.Minute

// Type is a thing type. Nothing of it changes but whether it is deprecated. One
// that nobody described, and that things have, is a name alone: it has no ID.
type Type struct {
	Name          string        `json:"name"`
	ID            string        `json:"id,omitempty"` // a UUID
	Description   string        `json:"description,omitempty"`
	Searchable    []string      `json:"searchableAttributes,omitempty"`
	Created       time.Time     `json:"created,omitzero"` // for people
	Deprecated    bool          `json:"deprecated"`       // new things can't have it
	DeprecatedOn  time.Time     `json:"deprecatedOn,omitzero"`
	DeprecatedAge time.Duration `json:"deprecatedAge,omitempty"` // an age of the store
}

func noType(name string) *Error {
	return refuse(404, "ResourceNotFoundException", "Thing type %.140s not found", name)
}

// check refuses what AWS IoT would.
func (t Type) check() error {
	switch {
	case (shadow.ID{Thing: t.Name}).Check() != nil:
		return invalid("thing type %.140q: want 1 to 128 of a-z A-Z 0-9 : _ -", t.Name)
	case utf8.RuneCountInString(t.Description) > maxDescription:
		return invalid("the description has %d characters; at most %d", utf8.RuneCountInString(t.Description), maxDescription)
	case !utf8.ValidString(t.Description) || strings.ContainsFunc(t.Description, unicode.IsControl):
		return invalid("the description is no line of text")
	case len(t.Searchable) > maxSearchable:
		return invalid("%d searchable attributes; a type has at most %d", len(t.Searchable), maxSearchable)
	}
	for i, name := range t.Searchable {
		if !attributeName.MatchString(name) {
			return invalid("searchable attribute %.140q: a name has 1 to 128 letters, digits and _ . , @ / : # -", name)
		}
		if slices.Contains(t.Searchable[:i], name) {
			return invalid("searchable attribute %s is there twice", name)
		}
	}
	return nil
}
