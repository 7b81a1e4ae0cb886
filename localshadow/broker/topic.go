package broker

import (
	"slices"
	"strings"

	"edgeshadow/localshadow/shadow"
)

// maxLevels bounds topics and filters: the broker library takes time with the
// square of their depth. AWS IoT has 8.
const maxLevels = 128

// subscribable are the reserved topics that clients may subscribe to
// (SHADOW 16), the more frequent ones first. A level is one of several words,
// ":thing" or ":shadow" for a valid name, "+" for any, "#" for any rest. The
// statistics of the broker are no AWS topic; LAN tools expect them.
var subscribable = split(
	"$aws/things/:thing/shadow/get|update|delete/accepted|rejected",
	"$aws/things/:thing/shadow/update/delta|documents",
	"$aws/things/:thing/shadow/name/:shadow/get|update|delete/accepted|rejected",
	"$aws/things/:thing/shadow/name/:shadow/update/delta|documents",
	"$aws/things/:thing/shadow/get|update|delete",
	"$aws/things/:thing/shadow/name/:shadow/get|update|delete",
	"$aws/events/#",
	"$aws/things/:thing/jobs/notify|notify-next",
	"$aws/things/:thing/jobs/get|start-next/accepted|rejected",
	"$aws/things/:thing/jobs/+/get|update/accepted|rejected",
	"$aws/things/:thing/defender/metrics/json|cbor/accepted|rejected",
	"$aws/things/:thing/streams/+/data|description|rejected/json|cbor",
	"$aws/things/:thing/tunnels/notify",
	"$aws/certificates/create|create-from-csr/json|cbor/accepted|rejected",
	"$aws/provisioning-templates/+/provision/json|cbor/accepted|rejected",
	"$aws/sitewise/#",
	"$SYS/#",
)

func split(patterns ...string) [][]string {
	var out [][]string
	for _, p := range patterns {
		out = append(out, strings.Split(p, "/"))
	}
	return out
}

// reserved topics begin with "$" (SHADOW 16).
func reserved(topic string) bool { return strings.HasPrefix(topic, "$") }

// request reads a topic of the shadow service's requests. They are the only
// reserved topics that clients may publish to.
func request(topic string) (id shadow.ID, op string, ok bool) {
	id, op, ok = shadow.ParseTopic(topic)
	return id, op, ok && !strings.Contains(op, "/")
}

// mayPublish tells whether a client may publish to a topic.
func mayPublish(topic string) bool {
	if !reserved(topic) {
		return true
	}
	_, _, ok := request(topic)
	return ok
}

// maySubscribe tells whether a client may subscribe to a filter: one that
// matches nothing reserved, or something of the table. A filter may be wider
// than the table, as that of SDKs are ($aws/things/T/shadow/#), but names the
// family of topics; what is not in the table is never published.
func maySubscribe(filter string) bool {
	filter, _ = unshare(filter)
	if !reserved(filter) {
		return true
	}
	levels := strings.Split(filter, "/")
	if levels[0] == "$aws" && len(levels) > 1 && (levels[1] == "#" || levels[1] == "+") {
		return false
	}
	return slices.ContainsFunc(subscribable, func(p []string) bool { return overlap(levels, p) })
}

// overlap tells whether some topic matches both a filter and a pattern.
func overlap(filter, pattern []string) bool {
	for i := 0; ; i++ {
		switch {
		case i < len(filter) && filter[i] == "#": // the level above is matched too [MQTT-4.7.1-2]
			return i <= len(pattern)
		case i < len(pattern) && pattern[i] == "#":
			return i < len(filter)
		case i == len(filter) || i == len(pattern):
			return len(filter) == len(pattern)
		case !fits(filter[i], pattern[i]):
			return false
		}
	}
}

func fits(level, pattern string) bool {
	switch {
	case level == "+":
		return true
	case pattern == "+":
		return level != ""
	case pattern == ":thing":
		return shadow.ID{Thing: level}.Check() == nil
	case pattern == ":shadow":
		return level != "" && shadow.ID{Thing: "t", Name: level}.Check() == nil
	}
	for rest, more := pattern, true; more; {
		var word string
		if word, rest, more = strings.Cut(rest, "|"); word == level {
			return true
		}
	}
	return false
}

// unshare takes "$share/<group>/" off the filter of a shared subscription. The
// library spells it in any case.
func unshare(filter string) (inner string, shared bool) {
	const prefix = "$share/"
	if len(filter) < len(prefix) || !strings.EqualFold(filter[:len(prefix)], prefix) {
		return filter, false
	}
	_, inner, _ = strings.Cut(filter[len(prefix):], "/")
	return inner, true
}

// seesReserved tells whether a filter may match reserved topics: one whose
// first level is a wildcard may not, shared or not [MQTT-4.7.2-1].
func seesReserved(filter string) bool {
	filter, _ = unshare(filter)
	return !strings.HasPrefix(filter, "#") && !strings.HasPrefix(filter, "+")
}

// validTopic tells whether a topic can be published to [MQTT-4.7.3-1],
// [MQTT-4.7.3-2], [MQTT-3.3.2-2].
func validTopic(topic string) bool {
	return topic != "" && !strings.ContainsAny(topic, "+#\x00") && strings.Count(topic, "/") < maxLevels
}

// validFilter tells whether a filter is well-formed: wildcards stand alone in
// their level, "#" in the last [MQTT-4.7.1-2], [MQTT-4.7.1-3]; a shared one
// names a group and a filter [MQTT-4.8.2-1], [MQTT-4.8.2-2].
func validFilter(filter string) bool {
	if strings.ContainsRune(filter, 0) || strings.Count(filter, "/") >= maxLevels {
		return false
	}
	inner, shared := unshare(filter)
	if inner == "" || shared && !validGroup(filter) {
		return false
	}
	for rest, more := inner, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if len(level) > 1 && strings.ContainsAny(level, "+#") || level == "#" && more {
			return false
		}
	}
	return true
}

func validGroup(filter string) bool {
	group := strings.SplitN(filter, "/", 3)[1]
	return group != "" && !strings.ContainsAny(group, "+#")
}
