package broker

import (
	"strings"

	"edgeshadow/localshadow/shadow"
)

// reserved topics begin with "$" (SHADOW 16).
func reserved(topic string) bool { return strings.HasPrefix(topic, "$") }

// request reads a topic that a client may publish to the shadow service.
func request(topic string) (id shadow.ID, op string, ok bool) {
	id, op, ok = shadow.ParseTopic(topic)
	return id, op, ok && !strings.Contains(op, "/")
}

// mayPublish tells whether a client may publish to a topic: anything that is
// not reserved, and shadow requests.
func mayPublish(topic string) bool {
	if !reserved(topic) {
		return true
	}
	_, _, ok := request(topic)
	return ok
}

// unshare takes "$share/<group>/" off a shared subscription's filter.
func unshare(filter string) (string, bool) {
	if len(filter) < 7 || !strings.EqualFold(filter[:7], "$share/") {
		return filter, false
	}
	_, inner, ok := strings.Cut(filter[7:], "/")
	return inner, ok
}

// maySubscribe tells whether a client may subscribe to a filter. Among the
// reserved topics it may to those of shadows, to the events and answers of the
// device gateway, and to the broker's own $SYS.
func maySubscribe(filter string) bool {
	filter, _ = unshare(filter)
	if !reserved(filter) {
		return filter != ""
	}
	level := strings.Split(filter, "/")
	if level[0] == "$SYS" {
		return true
	}
	if level[0] != "$aws" || len(level) < 2 {
		return false
	}
	switch level[1] {
	case "events":
		return true
	case "things":
		if len(level) < 4 {
			return level[len(level)-1] == "#"
		}
		switch level[3] {
		case "shadow", "jobs", "defender", "streams", "tunnels", "#", "+":
			return true
		}
	}
	return false
}

// seesReserved tells whether a filter may match reserved topics: one whose
// first level is a wildcard may not [MQTT-4.7.2-1], shared or not.
func seesReserved(filter string) bool {
	filter, _ = unshare(filter)
	return !strings.HasPrefix(filter, "#") && !strings.HasPrefix(filter, "+")
}
