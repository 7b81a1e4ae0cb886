package relay

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a topic at AWS IoT (SHADOW 27), which hold for every cloud.
const (
	maxLevels  = 8
	maxTopic   = 256 // bytes
	maxPayload = 128 << 10
)

// basicIngest topics go to a rule of the cloud alone; their first three levels
// do not count (SHADOW 23).
const basicIngest = "$aws/rules/"

// filter is a topic filter by level.
type filter []string

func parseFilter(s string) (filter, error) {
	levels := strings.Split(s, "/")
	switch {
	case s == "":
		return nil, fmt.Errorf("no topic")
	case strings.ContainsRune(s, 0) || strings.ContainsAny(s, "{}"):
		return nil, fmt.Errorf("%q has a character that no filter may have here", s)
	}
	for i, level := range levels {
		if len(level) > 1 && strings.ContainsAny(level, "+#") {
			return nil, fmt.Errorf("a wildcard stands alone in its level: %q", level)
		}
		if level == "#" && i < len(levels)-1 {
			return nil, fmt.Errorf("# is the last level")
		}
	}
	return levels, nil
}

func (f filter) String() string { return strings.Join(f, "/") }

// wildcards counts the "+", and tells whether there is a "#".
func (f filter) wildcards() (plus int, rest bool) {
	for _, level := range f {
		switch level {
		case "+":
			plus++
		case "#":
			rest = true
		}
	}
	return plus, rest
}

// none is what a filter without wildcards matches.
var none = []string{""}

// match returns what the wildcards of the filter match in a topic; nil when
// the topic does not match. The first element is what "#" matches.
func (f filter) match(topic string) []string {
	captures := none
	for i, level := range f {
		if level == "#" {
			captures = slices.Clone(captures)
			captures[0] = topic
			return captures
		}
		word, rest, more := strings.Cut(topic, "/")
		switch {
		case level == "+":
			captures = append(captures, word)
		case level != word:
			return nil
		}
		if last := i == len(f)-1; last == more {
			if last || f[i+1] != "#" || i+1 != len(f)-1 {
				return nil
			}
		}
		if !more && i < len(f)-1 {
			return captures // only "#" follows, which matches nothing too [MQTT-4.7.1-2]
		}
		topic = rest
	}
	return captures
}

// overlap tells whether some topic matches both.
func (f filter) overlap(g filter) bool {
	for i := 0; ; i++ {
		switch {
		case i < len(f) && f[i] == "#", i < len(g) && g[i] == "#":
			return true
		case i == len(f) || i == len(g):
			return len(f) == len(g)
		case f[i] != "+" && g[i] != "+" && f[i] != g[i]:
			return false
		}
	}
}

// template is a topic with places for captures.
type template struct {
	levels []string
	cloud  bool
}

// parseTemplate checks a target against what its source captures.
func parseTemplate(s string, cloud bool, plus int, rest bool) (template, error) {
	t := template{strings.Split(s, "/"), cloud}
	switch {
	case s == "":
		return t, fmt.Errorf("no topic")
	case strings.ContainsAny(s, "+#\x00") && !strings.HasSuffix(s, "{#}") || strings.ContainsAny(strings.TrimSuffix(s, "{#}"), "+#\x00"):
		return t, fmt.Errorf("%q is no topic: wildcards stand in from, and {1} or a last level {#} here", s)
	case cloud && strings.HasPrefix(s, basicIngest):
		if len(t.levels) < 3 || t.levels[2] == "" {
			return t, fmt.Errorf("a Basic Ingest topic is $aws/rules/<rule>/…")
		}
	case strings.HasPrefix(s, "$"):
		return t, fmt.Errorf("%q is reserved; of the topics that begin with $ only $aws/rules/… at the cloud can be a target", s)
	case strings.HasPrefix(s, "{"):
		return t, fmt.Errorf("the first level must be a fixed one, so that a target is never a reserved topic")
	}
	for i, level := range t.levels {
		if err := checkLevel(level, i == len(t.levels)-1, plus, rest); err != nil {
			return t, err
		}
	}
	if cloud {
		if n := t.depth(t.levels); n > maxLevels {
			return t, fmt.Errorf("%d levels; the cloud takes %d", n, maxLevels)
		}
		if n := len(s); n > maxTopic {
			return t, fmt.Errorf("%d bytes; the cloud takes %d", n, maxTopic)
		}
	}
	return t, nil
}

// checkLevel checks the places in one level.
func checkLevel(level string, last bool, plus int, rest bool) error {
	for level != "" {
		before, after, open := strings.Cut(level, "{")
		if strings.Contains(before, "}") {
			return fmt.Errorf("} without {")
		}
		if !open {
			return nil
		}
		name, more, closed := strings.Cut(after, "}")
		n, err := strconv.Atoi(name)
		switch {
		case !closed:
			return fmt.Errorf("{ without }")
		case name == "#" && !rest:
			return fmt.Errorf("{#} is what the # of from matches, and there is none")
		case name == "#" && (!last || level != "{#}"):
			return fmt.Errorf("{#} stands alone in the last level")
		case name != "#" && (err != nil || n < 1):
			return fmt.Errorf("{%s} is no capture; want {1}, {2}, … or {#}", name)
		case name != "#" && n > plus:
			return fmt.Errorf("{%d}, but from has %d +", n, plus)
		}
		level = more
	}
	return nil
}

// depth is the number of levels that count.
func (t template) depth(levels []string) int {
	if t.cloud && len(levels) > 2 && levels[0] == "$aws" && levels[1] == "rules" {
		return len(levels) - 3
	}
	return len(levels)
}

// expand makes a topic of captures.
func (t template) expand(captures []string) (string, error) {
	var b strings.Builder
	for i, level := range t.levels {
		if level == "{#}" && captures[0] == "" {
			break // "a/#" matched "a"
		}
		if i > 0 {
			b.WriteByte('/')
		}
		expandLevel(&b, level, captures)
	}
	topic := b.String()
	switch {
	case len(topic) > maxTopic && t.cloud:
		return "", fmt.Errorf("a topic of %d bytes; the cloud takes %d", len(topic), maxTopic)
	case t.cloud && t.depth(strings.Split(topic, "/")) > maxLevels:
		return "", fmt.Errorf("a topic of more than %d levels", maxLevels)
	}
	return topic, nil
}

func expandLevel(b *strings.Builder, level string, captures []string) {
	for level != "" {
		before, after, open := strings.Cut(level, "{")
		b.WriteString(before)
		if !open {
			return
		}
		name, more, _ := strings.Cut(after, "}")
		if name == "#" {
			b.WriteString(captures[0])
		} else if n, err := strconv.Atoi(name); err == nil {
			b.WriteString(captures[n])
		}
		level = more
	}
}

// filter is what the topics of the template match.
func (t template) filter() filter {
	out := make(filter, len(t.levels))
	for i, level := range t.levels {
		switch {
		case level == "{#}":
			out[i] = "#"
		case strings.Contains(level, "{"):
			out[i] = "+"
		default:
			out[i] = level
		}
	}
	return out
}
