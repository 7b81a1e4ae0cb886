package rest_test

import (
	"net/url"
	"strings"
	"testing"

	"edgeshadow/localshadow/broker/rest"
)

// Any path is read without a panic, and what it names is what was escaped.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"/things/lamp/shadow", "/topics/a%2Fb", "/topics/a//b/", "/retainedMessage", "/retainedMessage/", "/retainedMessage/x",
		"/connections/a%2Fb", "/api/things/shadow/ListNamedShadowsForThing/x", "/topics/%zz", "", "/", "//", "/things//shadow",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		methods, name, ok := rest.ParsePath(path)
		if !ok {
			return
		}
		if methods == 0 {
			t.Fatalf("%q: a route without methods", path)
		}
		if name == "" {
			return
		}
		last := path[strings.Index(path[1:], "/")+2:]
		last = strings.TrimPrefix(last, "things/shadow/ListNamedShadowsForThing/")
		last = strings.TrimSuffix(last, "/shadow")
		if strings.HasPrefix(path, "/topics/") || strings.HasPrefix(path, "/retainedMessage/") {
			last = path[strings.Index(path[1:], "/")+2:]
		}
		if want, err := url.PathUnescape(last); err != nil || want != name {
			t.Fatalf("%q names %q, want %q (%v)", path, name, want, err)
		}
	})
}
