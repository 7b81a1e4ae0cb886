package bridge

import (
	"cmp"
	"path"
	"strings"
	"time"

	"edgeshadow/localshadow/shadow"
)

// rule is what the configuration says of one shadow.
type rule struct {
	policy    shadow.Policy
	newest    struct{ desired, reported bool } // the newest wins there
	direction Direction
	first     string
	delete    string
	partial   bool
	getFirst  bool
	interval  time.Duration
}

// stamps tells whether the times of local writes matter.
func (r rule) stamps() bool { return r.newest.desired || r.newest.reported }

// rule applies the first override that matches.
func (c Config) rule(id shadow.ID) rule {
	o := c.Options
	for _, over := range c.Overrides {
		if (len(over.Things) == 0 || matches(over.Things, id.Thing)) && (len(over.Shadows) == 0 || matches(over.Shadows, id.Name)) {
			o = over.Options.or(o)
			break
		}
	}
	r := rule{
		policy:    shadow.Policy{Desired: side(o.Conflict.Desired, shadow.Cloud), Reported: side(o.Conflict.Reported, shadow.Local)},
		direction: o.Direction, first: o.FirstSync, delete: o.Delete,
		partial: o.Oversize == Partial, getFirst: o.Reconcile == GetFirst,
		interval: o.MinPushInterval,
	}
	switch r.direction { // the side that only follows never wins
	case Up:
		r.policy.Desired, r.policy.Reported = shadow.Local, shadow.Local
	case Down:
		r.policy.Desired, r.policy.Reported = shadow.Cloud, shadow.Cloud
	default:
		r.newest.desired = o.Conflict.Desired == NewestWins
		r.newest.reported = o.Conflict.Reported == NewestWins
	}
	return r
}

// or fills what is empty.
func (o Options) or(general Options) Options {
	return Options{
		Conflict: Conflict{
			cmp.Or(o.Conflict.Desired, general.Conflict.Desired),
			cmp.Or(o.Conflict.Reported, general.Conflict.Reported),
		},
		Direction: cmp.Or(o.Direction, general.Direction),
		FirstSync: cmp.Or(o.FirstSync, general.FirstSync),
		Delete:    cmp.Or(o.Delete, general.Delete),
		Oversize:  cmp.Or(o.Oversize, general.Oversize),
		Reconcile: cmp.Or(o.Reconcile, general.Reconcile),

		MinPushInterval: cmp.Or(o.MinPushInterval, general.MinPushInterval),
	}
}

// side is the winner that an owner names; for newest the one that wins when the
// times decide nothing.
func side(o Owner, otherwise shadow.Side) shadow.Side {
	switch o {
	case CloudWins:
		return shadow.Cloud
	case LocalWins:
		return shadow.Local
	default:
		return otherwise
	}
}

// syncs tells whether the patterns take a shadow in.
func (c Config) syncs(id shadow.ID) bool {
	return matches(c.Things, id.Thing) && matches(c.Shadows, id.Name)
}

// names are the shadows that a thing is asked for although nobody has heard of
// them: the classic one, and each that is named without a wildcard.
func (c Config) names() []string {
	names := []string{""}
	for _, p := range c.Shadows {
		if !strings.ContainsAny(p, `!*?[\`) {
			names = append(names, p)
		}
	}
	return names
}

// matches asks the patterns in order; the last that matches counts.
func matches(patterns []string, name string) bool {
	in := false
	for _, p := range patterns {
		p, out := strings.CutPrefix(p, "!")
		if ok, _ := path.Match(p, name); ok {
			in = !out
		}
	}
	return in
}

// stamps tells whether the newest write wins anywhere.
func (c Config) stamps() bool {
	newest := func(o Options) bool {
		return o.Conflict.Desired == NewestWins || o.Conflict.Reported == NewestWins
	}
	for _, o := range c.Overrides {
		if newest(o.Options) {
			return true
		}
	}
	return newest(c.Options)
}
