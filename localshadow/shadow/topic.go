package shadow

import (
	"fmt"
	"strings"
)

// Name limits of SHADOW 1, in bytes; both alphabets are ASCII.
const (
	maxThing = 128
	maxName  = 64
)

const root = "$aws/things/"

// ID names a shadow. An empty Name is the classic shadow.
type ID struct{ Thing, Name string }

// Check tells whether the names are ones that a shadow may have: a thing of 1
// to 128 of [a-zA-Z0-9:_-], a shadow of up to 64 of the same and "$".
func (id ID) Check() error {
	if !validName(id.Thing, maxThing, "") {
		return fmt.Errorf("thing name %q: want 1 to %d of a-z A-Z 0-9 : _ -", clip(id.Thing), maxThing)
	}
	if id.Name != "" && !validName(id.Name, maxName, "$") {
		return fmt.Errorf("shadow name %q: want 1 to %d of a-z A-Z 0-9 $ : _ -", clip(id.Name), maxName)
	}
	return nil
}

func clip(s string) string {
	if len(s) > maxThing+8 {
		return s[:maxThing] + "…"
	}
	return s
}

func validName(s string, limit int, more string) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ':', c == '_', c == '-':
		case strings.IndexByte(more, c) >= 0:
		default:
			return false
		}
	}
	return true
}

// String is the identifier of E2: "T" for a classic shadow, "T~S" for a named one.
func (id ID) String() string {
	if id.Name == "" {
		return id.Thing
	}
	return id.Thing + "~" + id.Name
}

// Prefix is the topic prefix of the shadow, without a trailing slash.
func (id ID) Prefix() string {
	if id.Name == "" {
		return root + id.Thing + "/shadow"
	}
	return root + id.Thing + "/shadow/name/" + id.Name
}

// Topic is the prefix with a suffix: Topic("update/accepted").
func (id ID) Topic(suffix string) string { return id.Prefix() + "/" + suffix }

// ParseTopic splits a shadow topic into its shadow and its suffix, one of the
// eleven of SHADOW 1 ("get", "update/accepted", …). Names are checked.
func ParseTopic(topic string) (id ID, suffix string, ok bool) {
	rest, ok := strings.CutPrefix(topic, root)
	if !ok {
		return ID{}, "", false
	}
	thing, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return ID{}, "", false
	}
	rest, ok = strings.CutPrefix(rest, "shadow/")
	if !ok {
		return ID{}, "", false
	}
	id = ID{Thing: thing}
	if named, found := strings.CutPrefix(rest, "name/"); found {
		id.Name, rest, ok = strings.Cut(named, "/")
		if !ok || id.Name == "" {
			return ID{}, "", false
		}
	}
	switch rest {
	case "get", "update", "delete",
		"get/accepted", "get/rejected", "update/accepted", "update/rejected",
		"update/delta", "update/documents", "delete/accepted", "delete/rejected":
	default:
		return ID{}, "", false
	}
	if id.Check() != nil {
		return ID{}, "", false
	}
	return id, rest, true
}
