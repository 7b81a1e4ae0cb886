package relay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Side is where a topic lives.
type Side string

const (
	Local Side = "local"
	Cloud Side = "cloud"
)

// rule is a Rule that was checked.
type rule struct {
	name     string
	side     Side // of from
	from     filter
	to       template
	qos      byte
	class    string // of rules upwards
	retain   Retain
	envelope bool
}

// rules are all of a configuration, in the order of their names.
type rules []*rule

// compile checks rules and returns every fault.
func compile(c Config, classes Classes) (rules, []error) {
	var out rules
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c)) {
		r, found := compileRule(name, c[name], classes.complete())
		faults = append(faults, found...)
		if len(found) == 0 {
			out = append(out, r)
		}
	}
	if loop := out.loop(); loop != nil {
		faults = append(faults, &FieldError{loop[0] + ".to", "a loop: " + strings.Join(append(loop, loop[0]), " → ") + "; what one rule sends the next takes back"})
	}
	return out, faults
}

func compileRule(name string, c Rule, classes Classes) (*rule, []error) {
	r := &rule{name: name, qos: 1, class: c.Class, retain: c.Retain, envelope: c.Envelope}
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, &FieldError{name + "." + key, fmt.Sprintf(format, args...)})
	}
	var from, to string
	var target Side
	if r.side, from = splitSide(c.From); r.side == "" {
		fault("from", "want local: or cloud: and a filter, for example local:line/+/data")
	} else if err := r.source(from); err != nil {
		fault("from", "%v", err)
	}
	switch target, to = splitSide(c.To); {
	case target == "":
		fault("to", "want local: or cloud: and a topic, for example cloud:site1/{1}/data")
	case target == r.side:
		fault("to", "a rule goes from one side to the other; both are %s", target)
	case r.from != nil:
		var err error
		plus, rest := r.from.wildcards()
		if r.to, err = parseTemplate(to, target == Cloud, plus, rest); err != nil {
			fault("to", "%v", err)
		}
	}
	if c.QoS != nil {
		if *c.QoS < 0 || *c.QoS > 1 {
			fault("qos", "%d; want 0 or 1, more the cloud does not take", *c.QoS)
		}
		r.qos = byte(*c.QoS)
	}
	switch {
	case !slices.Contains([]Retain{"", Strip, Keep, Set}, c.Retain):
		fault("retain", "%q is none of strip, keep and set", string(c.Retain))
	case r.retains(true) && strings.HasPrefix(to, basicIngest):
		fault("retain", "a Basic Ingest topic retains nothing")
	}
	_, known := classes[c.Class]
	switch {
	case r.side == Cloud && c.Class != "":
		fault("class", "a class is for messages to the cloud; the cloud itself keeps those that come")
	case r.side == Cloud && c.Envelope:
		fault("envelope", "an envelope is for messages to the cloud")
	case c.Class == "":
		r.class = DefaultClass
	case !known:
		fault("class", "%q is no class; there are %s", c.Class, strings.Join(slices.Sorted(maps.Keys(classes)), ", "))
	}
	return r, faults
}

func splitSide(s string) (Side, string) {
	side, topic, _ := strings.Cut(s, ":")
	switch Side(side) {
	case Local, Cloud:
		return Side(side), topic
	}
	return "", ""
}

// source checks a filter against its side.
func (r *rule) source(s string) error {
	f, err := parseFilter(s)
	if err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(s, "$"):
		return fmt.Errorf("%q is reserved; shadows are synced without a rule", s)
	case r.side == Cloud && len(f) > maxLevels:
		return fmt.Errorf("%d levels; the cloud takes %d", len(f), maxLevels)
	case r.side == Cloud && len(s) > maxTopic:
		return fmt.Errorf("%d bytes; the cloud takes %d", len(s), maxTopic)
	}
	r.from = f
	return nil
}

// retains maps the retain flag of a message.
func (r *rule) retains(flag bool) bool { return r.retain == Set || r.retain == Keep && flag }

// feeds tells whether what r sends is taken by next.
func (r *rule) feeds(next *rule) bool {
	return r.side != next.side && r.to.filter().overlap(next.from)
}

// loop is a cycle of rules, by name; nil when there is none.
func (all rules) loop() []string {
	const (
		open = iota + 1
		closed
	)
	state := map[*rule]int{}
	var path []string
	var visit func(r *rule) []string
	visit = func(r *rule) []string {
		state[r] = open
		path = append(path, r.name)
		for _, next := range all {
			if !r.feeds(next) {
				continue
			}
			if state[next] == open {
				return slices.Clone(path[slices.Index(path, next.name):])
			}
			if state[next] == 0 {
				if found := visit(next); found != nil {
					return found
				}
			}
		}
		state[r] = closed
		path = path[:len(path)-1]
		return nil
	}
	for _, r := range all {
		if state[r] == 0 {
			if found := visit(r); found != nil {
				return found
			}
		}
	}
	return nil
}

// Filters are what rules ask the cloud for; none when they are faulty.
func (c Config) Filters(classes Classes) []string {
	all, faults := compile(c, classes)
	if len(faults) > 0 {
		return nil
	}
	return all.filters()
}

// Need is what the cloud's policy must allow: an action, and the topic or
// filter that its resource names, with * for what rules insert.
type Need struct{ Action, Topic string }

// Needs are those of all rules; none when they are faulty.
func (c Config) Needs(classes Classes) []Need {
	all, faults := compile(c, classes)
	if len(faults) > 0 {
		return nil
	}
	var out []Need
	add := func(action, topic string) {
		if n := (Need{action, topic}); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	for _, r := range all {
		if r.side == Cloud {
			add("iot:Subscribe", r.from.String())
			add("iot:Receive", resource(r.from))
			continue
		}
		add("iot:Publish", resource(r.to.filter()))
		if r.retains(true) {
			add("iot:RetainPublish", resource(r.to.filter()))
		}
	}
	return out
}

// resource is a filter as policies write topics: wildcards are *.
func resource(f filter) string {
	return strings.NewReplacer("+", "*", "#", "*").Replace(f.String())
}

// Match is what a rule makes of a topic.
type Match struct {
	Rule       string `json:"rule"`
	Target     string `json:"target"` // with its side
	QoS        byte   `json:"qos"`
	Class      string `json:"class,omitempty"` // empty: to the local broker, without a journal
	Permission string `json:"permission"`      // what a policy must allow; of the cloud's or the local one's
	Error      string `json:"error,omitempty"` // why this topic can't go there
}

// Test tells what the rules make of a topic with its side: local:line/7/data.
func (c Config) Test(classes Classes, topic string) ([]Match, error) {
	side, name := splitSide(topic)
	if side == "" || name == "" || strings.ContainsAny(name, "+#\x00") {
		return nil, fmt.Errorf("%q is no topic with its side; want for example local:line/7/data", topic)
	}
	all, faults := compile(c, classes)
	if len(faults) > 0 {
		return nil, fmt.Errorf("relay: %w", faults[0])
	}
	var out []Match
	for _, r := range all {
		captures := r.from.match(name)
		if r.side != side || captures == nil || strings.HasPrefix(name, "$") {
			continue
		}
		target, err := r.to.expand(captures)
		m := Match{Rule: r.name, QoS: r.qos}
		switch {
		case err != nil:
			m.Error = err.Error()
		case side == Local:
			m.Target, m.Class = "cloud:"+target, r.class
			m.Permission = "the cloud's policy: iot:Publish on topic/" + target
			if r.retains(true) {
				m.Permission += " and iot:RetainPublish on it"
			}
		default:
			m.Target = "local:" + target
			m.Permission = "the cloud's policy: iot:Subscribe on topicfilter/" + r.from.String() + ", iot:Receive on topic/" + name
		}
		out = append(out, m)
	}
	return out, nil
}
