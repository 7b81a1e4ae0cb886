package access

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// condition is one line of a statement's Condition: an operator, a key and the
// values that it is compared with.
type condition struct {
	key    variable
	values []pattern
	ips    []netip.Prefix
	ranges []float64
	test   test
	quantifier
	negated  bool // the Not… of an operator
	ifExists bool
	null     bool // the operator Null
	absent   bool // Null: true
	order    string
}

type quantifier byte

const (
	whole  quantifier = iota // the key has one value
	forAll                   // ForAllValues:
	forAny                   // ForAnyValue:
)

// test is how a key's value is compared.
type test byte

const (
	byPattern test = iota
	byFold
	byNetwork
	byNumber
)

// operators are those that AWS IoT policies use, and their IAM relatives. Dates
// are not among them: no decision rests on a gateway's clock.
var operators = map[string]struct {
	test    test
	wild    bool
	arn     bool
	negated bool
	order   string
}{
	"StringEquals":              {},
	"StringNotEquals":           {negated: true},
	"StringEqualsIgnoreCase":    {test: byFold},
	"StringNotEqualsIgnoreCase": {test: byFold, negated: true},
	"StringLike":                {wild: true},
	"StringNotLike":             {wild: true, negated: true},
	"ArnEquals":                 {wild: true, arn: true},
	"ArnNotEquals":              {wild: true, arn: true, negated: true},
	"ArnLike":                   {wild: true, arn: true},
	"ArnNotLike":                {wild: true, arn: true, negated: true},
	"Bool":                      {test: byFold},
	"IpAddress":                 {test: byNetwork},
	"NotIpAddress":              {test: byNetwork, negated: true},
	"NumericEquals":             {test: byNumber, order: "="},
	"NumericNotEquals":          {test: byNumber, order: "=", negated: true},
	"NumericLessThan":           {test: byNumber, order: "<"},
	"NumericLessThanEquals":     {test: byNumber, order: "<="},
	"NumericGreaterThan":        {test: byNumber, order: ">"},
	"NumericGreaterThanEquals":  {test: byNumber, order: ">="},
}

// newCondition compiles all but the values.
func newCondition(operator, key string) (*condition, error) {
	c := &condition{}
	name := operator
	for prefix, q := range map[string]quantifier{"ForAllValues:": forAll, "ForAnyValue:": forAny} {
		if rest, ok := cutFold(name, prefix); ok {
			name, c.quantifier = rest, q
		}
	}
	if name, c.ifExists = strings.CutSuffix(name, "IfExists"); name == "Null" && !c.ifExists {
		c.null = true
	} else if op, ok := operators[name]; ok {
		c.test, c.negated, c.order = op.test, op.negated, op.order
	} else {
		return nil, fmt.Errorf("there is no operator %.80q", operator)
	}
	var err error
	c.key, err = variableNamed(key)
	return c, err
}

// add compiles a value.
func (c *condition) add(operator, text string) error {
	name, _ := strings.CutSuffix(operator[strings.IndexByte(operator, ':')+1:], "IfExists")
	op := operators[name]
	switch {
	case c.null:
		absent, err := strconv.ParseBool(text)
		c.absent = absent
		return err
	case c.test == byNetwork:
		if addr, err := netip.ParseAddr(text); err == nil {
			c.ips = append(c.ips, netip.PrefixFrom(addr, addr.BitLen()))
			return nil
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("%.60q is no address and no network", text)
		}
		c.ips = append(c.ips, network)
		return nil
	case c.test == byNumber:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%.60q is no number", text)
		}
		c.ranges = append(c.ranges, n)
		return nil
	case op.arn || c.key.kind == lastWillTopicVariable && strings.HasPrefix(text, "arn:"):
		p, err := arn(text)
		c.values = append(c.values, p)
		return err
	}
	p, err := compile(text, op.wild)
	c.values = append(c.values, p)
	return err
}

// holds tells whether the condition is met. One that compares with a variable
// without a value is not, in an Allow; for a Deny that value equals nothing.
func (c *condition) holds(env *values, allow bool) bool {
	have := env.list(c.key)
	if c.null {
		return c.absent == (len(have) == 0)
	}
	if allow && slices.ContainsFunc(c.values, func(p pattern) bool { return !p.resolved(env) }) {
		return false
	}
	if len(have) == 0 {
		// An absent key is met by what is negated, by …IfExists, and by all of nothing.
		return c.quantifier != forAny && (c.negated || c.ifExists || c.quantifier == forAll)
	}
	met := func(value string) bool { return c.equals(env, value) != c.negated }
	switch {
	case c.quantifier == forAll || c.quantifier == whole && c.negated:
		return !slices.ContainsFunc(have, func(v string) bool { return !met(v) })
	default:
		return slices.ContainsFunc(have, met)
	}
}

// equals tells whether one of the condition's values is met, negation aside.
func (c *condition) equals(env *values, value string) bool {
	switch c.test {
	case byNetwork:
		addr, err := netip.ParseAddr(value)
		return err == nil && slices.ContainsFunc(c.ips, func(p netip.Prefix) bool { return p.Contains(addr) })
	case byNumber:
		n, err := strconv.ParseFloat(value, 64)
		return err == nil && slices.ContainsFunc(c.ranges, func(with float64) bool { return c.compare(n, with) })
	case byFold:
		folded := strings.ToLower(value)
		return slices.ContainsFunc(c.values, func(p pattern) bool { return p.lower().matches(env, "", folded) })
	}
	return slices.ContainsFunc(c.values, func(p pattern) bool { return p.matches(env, "", value) })
}

func (c *condition) compare(n, with float64) bool {
	switch c.order {
	case "<":
		return n < with
	case "<=":
		return n <= with
	case ">":
		return n > with
	case ">=":
		return n >= with
	}
	return n == with
}

// lower is the pattern with its text in lower case.
func (p pattern) lower() pattern {
	out := slices.Clone(p)
	for i := range out {
		out[i].text = strings.ToLower(out[i].text)
	}
	return out
}
