package access_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"strings"
	"testing"

	"edgeshadow/localshadow/access"
)

// registered is what the registry says in these tests.
type registered map[string]access.Thing

func (r registered) Thing(name string) access.Thing { return r[name] }

// statement wraps statements into a document.
func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func allow(action, resource string, more ...string) string {
	return st("Allow", action, "Resource", resource, more)
}
func deny(action, resource string, more ...string) string {
	return st("Deny", action, "Resource", resource, more)
}

func st(effect, action, key, resource string, more []string) string {
	if !strings.HasPrefix(action, "[") {
		action = `"` + action + `"`
	}
	if !strings.HasPrefix(resource, "[") {
		resource = `"` + expand(resource) + `"`
	} else {
		resource = strings.ReplaceAll(resource, `"~`, `"`+prefix)
	}
	s := fmt.Sprintf(`{"Effect":%q,"Action":%s,%q:%s`, effect, action, key, resource)
	if len(more) > 0 {
		s += `,"Condition":{` + strings.Join(more, ",") + `}`
	}
	return s + "}"
}

const prefix = "arn:aws:iot:eu-central-1:123456789012:"

func expand(s string) string {
	if rest, ok := strings.CutPrefix(s, "~"); ok {
		return prefix + rest
	}
	return s
}

func when(operator, key, values string) string {
	return fmt.Sprintf(`%q:{%q:%s}`, operator, key, values)
}

// who are the clients that are asked about.
func who(tb testing.TB) map[string]access.Credentials {
	lamp := mustCertify(tb, pkix.Name{
		CommonName: "lamp", Organization: []string{"ACME", "Second"}, OrganizationalUnit: []string{"a*b"}, Country: []string{"DE"},
	}, func(c *x509.Certificate) { c.DNSNames = []string{"lamp.example"} })
	device := func(change func(*access.Credentials)) access.Credentials {
		c := anonymous("lamp")
		c.Certificate = lamp
		if change != nil {
			change(&c)
		}
		return c
	}
	return map[string]access.Credentials{
		"lamp":       device(nil),
		"lamp-other": device(func(c *access.Credentials) { c.ClientID = "other" }),
		"lamp-http":  device(func(c *access.Credentials) { c.ClientID = "" }),
		"lamp-will": device(func(c *access.Credentials) {
			c.Will, c.WillTopic, c.Persistent = true, "bye/lamp", true
		}),
		"lamp-keep": device(func(c *access.Credentials) { c.Persistent = true }),
		"nobody":    anonymous("x1"),
		"plus":      anonymous("+"),
		"star":      anonymous("*"),
		"far": func() access.Credentials {
			c := anonymous("x1")
			c.Remote = &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 1}
			return c
		}(),
	}
}

func TestDecisions(t *testing.T) {
	clients := who(t)
	things := registered{"lamp": {Type: "light", Attributes: map[string]string{"room": "hall", "watts": "60"}}}
	total := 0
	for _, d := range decisions {
		a := mustPolicy(t, d.policy, things)
		p := mustAuthenticate(t, a, clients[d.client])
		for ask := range strings.SplitSeq(strings.TrimSpace(d.asks), "\n") {
			fields := strings.SplitN(strings.TrimLeft(ask, "\t"), " ", 3)
			resource := ""
			if len(fields) == 3 {
				resource = fields[2]
			}
			if resource == "*" && strings.HasPrefix(fields[1], "iot:List") && !strings.HasSuffix(fields[1], "Thing") {
				resource = "" // those that list have no resource of their own
			}
			if got, want := p.May(fields[1], resource), fields[0] == "+"; got != want {
				t.Errorf("%s\n%s\n%s: %s %q: %v, want %v", d.rule, d.policy, d.client, fields[1], resource, got, want)
			}
			total++
		}
	}
	t.Logf("%d decisions by %d rules", total, len(decisions))
	if total < 120 {
		t.Errorf("only %d decisions", total)
	}
}

// mustPolicy is an Access where everybody has one policy: a document, or the
// name of one that is built in.
func mustPolicy(tb testing.TB, policy string, things access.Things) *access.Access {
	tb.Helper()
	cfg := access.Config{Policies: map[string]string{}}
	if strings.HasPrefix(policy, "{") {
		cfg.Policies["p"] = mustWrite(tb, "p.json", policy)
		policy = "p"
	}
	cfg.Principals = []access.Entry{{Certificate: "*", Policies: []string{policy}}, {Anonymous: true, Policies: []string{policy}}}
	a, err := access.Open(cfg, store(tb), access.Options{Things: things})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}
