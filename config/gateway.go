package config

import (
	"os"
	"strings"
)

// maxThing is AWS's limit of a thing name, in characters of thingAlphabet.
const maxThing = 128

// hostThing is the host name as a thing name: what AWS allows of it.
func hostThing() string {
	host, _ := os.Hostname() // a host without a name is called gateway
	return thingOf(host)
}

func thingOf(host string) string {
	name := strings.Map(func(r rune) rune {
		if !isThingRune(r) {
			return '-'
		}
		return r
	}, host)
	name = strings.Trim(name[:min(len(name), maxThing)], "-")
	if name == "" {
		return "gateway"
	}
	return name
}

func isThingRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == ':' || r == '_' || r == '-'
}

// checkThing says what is wrong with a thing name, or "".
func checkThing(name string) string {
	if name == "" || len(name) > maxThing {
		return "a thing name has 1 to 128 characters"
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return !isThingRune(r) }); i >= 0 {
		return "a thing name is made of letters, digits and : _ -"
	}
	return ""
}
