package access

import (
	"fmt"
	"strconv"
	"strings"
)

// variable is a name that policies may use in ${…} and as a condition key.
type variable struct {
	kind variableKind
	name string // of an attribute; of a certificate's the part after "iot:Certificate."
	// of a certificate's: the value that is meant, 0 the first; all for a list
	index int
}

type variableKind byte

const (
	unknownVariable variableKind = iota // another service's: it never has a value
	clientIDVariable
	sourceIPVariable
	thingNameVariable
	thingTypeVariable
	thingAttributeVariable
	isAttachedVariable
	ownThingVariable
	certificateIDVariable
	certificateVariable
	connectAttributesVariable
	lastWillTopicVariable
)

const all = -1

// simple are the variables without a part of their own (SHADOW 21). The second
// spelling of a thing's name is not documented; examples use it.
var simple = map[string]variableKind{
	"iot:clientid":                       clientIDVariable,
	"aws:sourceip":                       sourceIPVariable,
	"iot:connection.thing.thingname":     thingNameVariable,
	"iot:thing.thingname":                thingNameVariable,
	"iot:connection.thing.thingtypename": thingTypeVariable,
	"iot:connection.thing.isattached":    isAttachedVariable,
	"iot:certificateid":                  certificateIDVariable,
	"iot:connectattributes":              connectAttributesVariable,
	"iot:lastwilltopic":                  lastWillTopicVariable,
	"edgeshadow:thing":                   ownThingVariable,
}

// variableNamed finds a variable; case does not matter, as in IAM. A name of
// iot: that there is not is a mistake; one of other services never has a value.
func variableNamed(name string) (variable, error) {
	folded := strings.ToLower(name)
	if kind, ok := simple[folded]; ok {
		return variable{kind: kind}, nil
	}
	if attribute, ok := cutFold(name, "iot:connection.thing.attributes["); ok && strings.HasSuffix(attribute, "]") {
		return variable{kind: thingAttributeVariable, name: strings.TrimSuffix(attribute, "]")}, nil
	}
	if part, ok := cutFold(name, "iot:certificate."); ok {
		if v, ok := certificatePart(part); ok {
			return v, nil
		}
	}
	if strings.HasPrefix(folded, "iot:") || strings.HasPrefix(folded, "edgeshadow:") {
		return variable{}, fmt.Errorf("there is no variable %.80q", name)
	}
	return variable{kind: unknownVariable, name: name}, nil
}

// certificatePart reads Subject.Organization, Subject.Organization.1 or
// Subject.Organization.List.
func certificatePart(part string) (variable, bool) {
	v := variable{kind: certificateVariable}
	base, last, _ := cutLast(part)
	if n, err := strconv.Atoi(last); err == nil && n > 0 {
		v.index, part = n, base
	} else if strings.EqualFold(last, "List") {
		v.index, part = all, base
	}
	for _, known := range certificateParts {
		if strings.EqualFold(part, known) {
			v.name = known
			if known == availableKeys {
				v.index = all
			}
			return v, true
		}
	}
	return v, false
}

// many tells whether the key may hold several values at once.
func (v variable) many() bool { return v.kind == connectAttributesVariable || v.index == all }

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// values are what the variables stand for, for one connection or request.
type values struct {
	clientID   string
	sourceIP   string
	own        string // the thing of the certificate; empty: none
	attached   bool   // the client id is own, and this is a connection
	thing      Thing  // own's entry
	id         string // of the certificate
	parts      map[string][]string
	connects   bool // the question is about iot:Connect
	attributes []string
	will       string // "topic/" and the last will's topic
}

// maxSubstituted bounds a certificate's value that stands in for a variable.
const maxSubstituted = 1024

// one is the value of a variable in a resource or in the value of a condition.
func (e *values) one(v variable) (string, bool) {
	if e == nil {
		return "", false
	}
	switch v.kind {
	case clientIDVariable:
		return e.clientID, e.clientID != ""
	case sourceIPVariable:
		return e.sourceIP, e.sourceIP != ""
	case thingNameVariable:
		return e.own, e.attached
	case thingTypeVariable:
		return e.thing.Type, e.attached && e.thing.Type != ""
	case thingAttributeVariable:
		value, ok := e.thing.Attributes[v.name]
		return value, ok && e.attached
	case isAttachedVariable:
		return strconv.FormatBool(e.attached), e.clientID != ""
	case ownThingVariable:
		return e.own, e.own != ""
	case certificateIDVariable:
		return e.id, e.id != ""
	case certificateVariable:
		all := e.parts[v.name]
		if v.index < 0 || v.index >= len(all) {
			return "", false
		}
		value := all[v.index]
		return value, value != "" && len(value) <= maxSubstituted && !strings.ContainsAny(value, "*$+?#")
	}
	return "", false
}

// list are the values of a condition key; none when it is absent.
func (e *values) list(v variable) []string {
	switch v.kind {
	case connectAttributesVariable:
		if e.connects {
			return e.attributes
		}
		return nil
	case lastWillTopicVariable:
		if e.connects && e.will != "" {
			return []string{e.will}
		}
		return nil
	case certificateVariable:
		switch all := e.parts[v.name]; {
		case v.index < 0:
			return all
		case v.index < len(all):
			return all[v.index : v.index+1]
		}
		return nil
	}
	if value, ok := e.one(v); ok {
		return []string{value}
	}
	return nil
}
