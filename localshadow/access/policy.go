package access

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// The limits of AWS IoT (SHADOW 21); the one of the text bounds what is read at all.
const (
	maxPolicyText  = 16 << 10
	maxPolicySize  = 2048 // without white space
	maxPerEntry    = 10   // policies
	policyLanguage = "2012-10-17"
)

var policyName = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)

// Policy is a compiled policy document. It does not change.
type Policy struct {
	Name       string
	Text       []byte // the document
	statements []statement
}

// statement is one of a policy. What it has no field for is compiled away.
type statement struct {
	policy     string
	number     int    // from 1
	text       string // in one line
	allow      bool
	actions    actionSet
	resources  []pattern
	except     bool // resources are those that it is not about
	conditions []condition
}

// String names a statement: scada, statement 2.
func (s *statement) String() string { return fmt.Sprintf("%s, statement %d", s.policy, s.number) }

// ParsePolicy compiles an AWS IoT policy document. The error is Faults: all
// mistakes, each with its place.
func ParsePolicy(name string, text []byte) (*Policy, error) {
	r := &reader{text: text}
	if !policyName.MatchString(name) {
		r.fault(0, "the name %.140q is not 1 to 128 of letters, digits and _ + = , . @ -", name)
	}
	if len(text) > maxPolicyText {
		r.fault(0, "%d bytes; a policy document may have %d", len(text), maxPolicyText)
		return nil, r.faults
	}
	if n := len(bytes.Join(bytes.Fields(text), nil)); n > maxPolicySize {
		r.fault(0, "%d characters without white space; AWS IoT takes %d", n, maxPolicySize)
	}
	p := &Policy{Name: name, Text: text}
	if doc := r.read(); doc != nil {
		p.statements = r.policy(name, doc)
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return p, nil
}

// keys reports members that an object does not have.
func (r *reader) keys(n *node, known string) {
	for _, m := range n.members {
		if !strings.Contains(" "+known+" ", " "+m.key+" ") {
			r.fault(m.at, "unknown key %.60q; known here: %s", m.key, known)
		}
	}
}

func (r *reader) policy(name string, doc *node) []statement {
	if !doc.is('{') {
		r.fault(doc.at, "want a policy document, an object, have %s", doc.describe())
		return nil
	}
	r.keys(doc, "Version Id Statement")
	switch v := doc.get("Version"); {
	case v == nil:
		r.fault(doc.at, "Version is missing; want %q", policyLanguage)
	case v.value != policyLanguage:
		r.fault(v.at, "Version: want %q, have %s", policyLanguage, v.describe())
	}
	list := doc.get("Statement")
	if list == nil {
		r.fault(doc.at, "Statement is missing")
		return nil
	}
	all := list.items
	switch {
	case list.is('{'):
		all = []node{*list}
	case !list.is('['):
		r.fault(list.at, "Statement: want a list of statements, have %s", list.describe())
	case len(all) == 0:
		r.fault(list.at, "Statement: there is none")
	}
	var out []statement
	for i := range all {
		s := r.statement(&all[i])
		s.policy, s.number = name, i+1
		out = append(out, s)
	}
	return out
}

func (r *reader) statement(n *node) (s statement) {
	if !n.is('{') {
		r.fault(n.at, "want a statement, an object, have %s", n.describe())
		return s
	}
	if n.get("NotAction") != nil || n.get("Principal") != nil || n.get("NotPrincipal") != nil {
		r.fault(n.at, "NotAction, Principal and NotPrincipal are no elements of AWS IoT policies")
	} else {
		r.keys(n, "Sid Effect Action Resource NotResource Condition")
	}
	s.text = inLine(n)
	switch effect := n.get("Effect"); {
	case effect == nil:
		r.fault(n.at, "Effect is missing; want Allow or Deny")
	case effect.value == "Allow":
		s.allow = true
	case effect.value != "Deny":
		r.fault(effect.at, "Effect: want Allow or Deny, have %s", effect.describe())
	}
	for _, a := range r.texts(n, "Action") {
		s.actions |= r.action(a)
	}
	resource := "Resource"
	if not := n.get("NotResource"); not != nil {
		resource, s.except = "NotResource", true
		if n.get("Resource") != nil {
			r.fault(not.at, "NotResource stands beside Resource; a statement has one of them")
		}
	}
	for _, t := range r.texts(n, resource) {
		p, err := arn(t.value.(string))
		if err != nil {
			r.fault(t.at, "%s: %v", resource, err)
		}
		if p != nil {
			s.resources = append(s.resources, p)
		}
	}
	if c := n.get("Condition"); c != nil {
		s.conditions = r.conditions(c)
	}
	return s
}

// texts are the strings of a member: one, or a list of them.
func (r *reader) texts(n *node, key string) []node {
	m := n.get(key)
	if m == nil {
		r.fault(n.at, "%s is missing", key)
		return nil
	}
	return r.strings(m, key)
}

func (r *reader) strings(m *node, key string) []node {
	all := []node{*m}
	if m.is('[') {
		all = m.items
		if len(all) == 0 {
			r.fault(m.at, "%s: an empty list", key)
		}
	}
	var out []node
	for _, item := range all {
		if _, ok := item.value.(string); !ok {
			r.fault(item.at, "%s: want text, have %s", key, item.describe())
			continue
		}
		out = append(out, item)
	}
	return out
}

// action compiles one value of Action. AWS IoT has many actions that a gateway
// is never asked for; what is almost one of ours is a mistake.
func (r *reader) action(n node) actionSet {
	text := n.value.(string)
	service, name, ok := strings.Cut(text, ":")
	if text != "*" && (!ok || service == "" || name == "") {
		r.fault(n.at, "Action: %.60q is no action, iot:<name>", text)
		return 0
	}
	set := actionsLike(text)
	if set == 0 {
		for _, a := range actions {
			if near(strings.ToLower(text), strings.ToLower(a.name)) {
				r.fault(n.at, "Action: there is no %.60q; did you mean %s?", text, a.name)
			}
		}
	}
	return set
}

func (r *reader) conditions(n *node) []condition {
	if !n.is('{') {
		r.fault(n.at, "Condition: want an object of operators, have %s", n.describe())
		return nil
	}
	var out []condition
	for _, operator := range n.members {
		if !operator.value.is('{') {
			r.fault(operator.value.at, "%.60s: want an object of condition keys, have %s", operator.key, operator.value.describe())
			continue
		}
		for _, m := range operator.value.members {
			c, err := newCondition(operator.key, m.key)
			if err != nil {
				r.fault(m.at, "Condition: %v", err)
				continue
			}
			if c.key.many() && c.quantifier == whole && !c.null {
				r.fault(operator.at, "%s compares one value; %s holds several: write ForAnyValue:%s or ForAllValues:%s",
					operator.key, m.key, operator.key, operator.key)
			}
			for _, value := range r.scalars(&m.value, m.key) {
				if err := c.add(operator.key, value.value.(string)); err != nil {
					r.fault(value.at, "%s: %v", m.key, err)
				}
			}
			out = append(out, *c)
		}
	}
	return out
}

// scalars are strings, and numbers and booleans as text: conditions are written
// with and without quotes.
func (r *reader) scalars(m *node, key string) []node {
	plain := *m
	plain.items = append([]node(nil), m.items...)
	for _, n := range append([]*node{&plain}, pointers(plain.items)...) {
		switch v := n.value.(type) {
		case bool:
			n.value = fmt.Sprint(v)
		case json.Number:
			n.value = v.String()
		}
	}
	return r.strings(&plain, key)
}

func pointers(items []node) []*node {
	var out []*node
	for i := range items {
		out = append(out, &items[i])
	}
	return out
}

// inLine writes a node in one line, its members in their order.
func inLine(n *node) string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

func (n *node) write(b *strings.Builder) {
	between := func(i int) {
		if i > 0 {
			b.WriteByte(',')
		}
	}
	switch {
	case n.is('['):
		b.WriteByte('[')
		for i := range n.items {
			between(i)
			n.items[i].write(b)
		}
		b.WriteByte(']')
	case n.is('{'):
		b.WriteByte('{')
		for i := range n.members {
			between(i)
			b.WriteString(quote(n.members[i].key) + ":")
			n.members[i].value.write(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString(quote(n.value))
	}
}

// quote is a scalar as JSON, without the escapes for HTML.
func quote(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // scalars of JSON have an encoding
	return strings.TrimSuffix(b.String(), "\n")
}

// near tells whether two words differ by one or two letters.
func near(a, b string) bool {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return false
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		last := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := last
			if a[i-1] != b[j-1] {
				cost++
			}
			last = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)] <= 2
}
