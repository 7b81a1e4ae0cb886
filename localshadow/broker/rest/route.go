package rest

import (
	"net/url"
	"strings"
)

// An operation by its name in the API of AWS IoT.
type operation string

const (
	getShadow       operation = "GetThingShadow"
	updateShadow    operation = "UpdateThingShadow"
	deleteShadow    operation = "DeleteThingShadow"
	listShadows     operation = "ListNamedShadowsForThing"
	publish         operation = "Publish"
	getRetained     operation = "GetRetainedMessage"
	listRetained    operation = "ListRetainedMessages"
	closeConnection operation = "DeleteConnection"
)

// route is what a request asks for: of one of ours, the operation of each
// method, and what its path names.
type route struct {
	methods map[string]operation
	name    string // a thing, a topic or a client id, decoded
}

var (
	shadowMethods     = map[string]operation{"GET": getShadow, "POST": updateShadow, "DELETE": deleteShadow}
	listMethods       = map[string]operation{"GET": listShadows}
	publishMethods    = map[string]operation{"POST": publish}
	retainedMethods   = map[string]operation{"GET": getRetained}
	retainedsMethods  = map[string]operation{"GET": listRetained}
	connectionMethods = map[string]operation{"DELETE": closeConnection}
)

// parsePath reads an escaped path. Clients send a topic with its slashes escaped
// or plain (SHADOW 19), and those of a topic are never cleaned: "a//b" is one.
func parsePath(path string) (route, bool) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return route{}, false
	}
	head, rest, more := strings.Cut(rest, "/")
	switch head {
	case "things":
		if name, ok := strings.CutSuffix(rest, "/shadow"); ok {
			return named(shadowMethods, name, true)
		}
	case "api":
		if name, ok := strings.CutPrefix(rest, "things/shadow/ListNamedShadowsForThing/"); ok {
			return named(listMethods, name, true)
		}
	case "topics":
		return named(publishMethods, rest, false)
	case "retainedMessage":
		if !more || rest == "" {
			return route{methods: retainedsMethods}, true
		}
		return named(retainedMethods, rest, false)
	case "connections":
		return named(connectionMethods, rest, true)
	}
	return route{}, false
}

// named is a route whose path ends in a name: one segment, or all that is left.
func named(methods map[string]operation, escaped string, segment bool) (route, bool) {
	name, err := url.PathUnescape(escaped)
	if err != nil || name == "" || segment && strings.Contains(escaped, "/") {
		return route{}, false
	}
	return route{methods, name}, true
}
