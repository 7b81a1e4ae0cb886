package access

import (
	"slices"
	"strings"
)

// rules are the policies of one principal, bound to what its variables stand
// for: conditions are decided already, because nothing that they ask about
// changes while a connection lasts.
type rules struct {
	env    values
	denies []bound
	allows []bound
}

// bound is a statement with the actions for which its conditions are met.
type bound struct {
	*statement
	actions actionSet
}

// bind unites policies: any Deny wins, what no Allow names is denied.
//
// A variable without a value makes an Allow not match (SHADOW 21). In a Deny it
// is only that value that matches nothing: a Deny must not vanish because a
// client leaves something out.
func bind(policies []*Policy, env values) *rules {
	r := &rules{env: env}
	for _, p := range policies {
		for i := range p.statements {
			s := &p.statements[i]
			b := bound{s, s.meets(r.env)}
			switch {
			case b.actions == 0:
			case !s.allow:
				r.denies = append(r.denies, b)
			case !slices.ContainsFunc(s.resources, func(p pattern) bool { return !p.resolved(&r.env) }):
				r.allows = append(r.allows, b)
			}
		}
	}
	return r
}

// meets are the actions for which the conditions are met: those of a CONNECT
// see keys that the others do not.
func (s *statement) meets(env values) (set actionSet) {
	for _, env.connects = range []bool{false, true} {
		if !slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(&env, s.allow) }) {
			if env.connects {
				set |= s.actions & (1 << connectAction)
			} else {
				set |= s.actions &^ (1 << connectAction)
			}
		}
	}
	return set
}

// decide answers, and names the statement that decided; nil: none allows it. It
// does not allocate.
func (r *rules) decide(a action, resource string) (bool, *statement) {
	head := actions[a].head
	for i := range r.denies {
		if b := &r.denies[i]; b.actions.has(a) && b.about(&r.env, head, resource) {
			return false, b.statement
		}
	}
	for i := range r.allows {
		if b := &r.allows[i]; b.actions.has(a) && b.about(&r.env, head, resource) {
			return true, b.statement
		}
	}
	return false, nil
}

func (b *bound) about(env *values, head, resource string) bool {
	for _, p := range b.resources {
		if p.matches(env, head, resource) {
			return !b.except
		}
	}
	return b.except
}

// allowing is the statement that would allow an action.
func allowing(a action, resource string) string {
	target := "*"
	if head := actions[a].head; head != "" {
		target = "arn:aws:iot:*:*:" + head + escape(resource)
	}
	return `{"Effect":"Allow","Action":` + quote(actions[a].name) + `,"Resource":` + quote(target) + `}`
}

// escape writes a name so that a pattern means it literally.
func escape(name string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "${", "${$}{").Replace(name)
}
