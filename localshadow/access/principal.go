package access

import (
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"edgeshadow/localshadow/shadow"
)

// Ways in which a listener lets a client show who it is.
const (
	Anonymous   = "anonymous"
	Certificate = "certificate"
	Password    = "password"
	Signature   = "sigv4"
)

// Credentials are what a client shows of itself, and what it asks for.
type Credentials struct {
	Listener    string            // its address as configured
	Auth        []string          // what the listener admits
	Remote      net.Addr          // where the client is
	Certificate *x509.Certificate // the leaf that the TLS layer has verified; nil: it shows none
	User        string
	Password    []byte        // nil: none was sent. AWS SDKs send a user name alone (SHADOW 31)
	Request     *http.Request // over HTTP, and the one that became a WebSocket; nil over MQTT

	// Of a CONNECT.
	ClientID   string // empty over HTTP
	Will       bool
	WillTopic  string
	Persistent bool // the session outlives the connection
}

// Principal is one client as long as it is connected, or one request.
type Principal struct {
	access *Access
	kind   string // certificate, user, key, anonymous
	who    string // common name, user name, access key id
	id     string // of the certificate
	client string
	remote string
	env    values
	bound  atomic.Pointer[binding]
	missed atomic.Uint64 // messages that were withheld
}

// binding is the policies of a principal as a state has them.
type binding struct {
	of *state
	*rules
}

// Name is for logs, and to it belong sessions: certificate:lamp, user:scada,
// key:ESAK…, anonymous.
func (p *Principal) Name() string {
	if p.kind == Anonymous {
		return p.kind
	}
	return p.kind + ":" + p.who
}

// Certificate is the id of the certificate that was shown; empty: none was.
func (p *Principal) Certificate() string { return p.id }

// May decides; action is the name of one. It does not allocate, but after a
// change of policies once.
func (p *Principal) May(name, resource string) bool {
	a, ok := actionNamed(name)
	if !ok {
		return false
	}
	allowed, _ := p.current().decide(a, resource)
	return allowed
}

// Refused is told of a no that a client runs into.
func (p *Principal) Refused(name, resource string) {
	a, ok := actionNamed(name)
	if !ok || name == ActionReceive && !round(p.missed.Add(1)) {
		return
	}
	b := p.current()
	allowed, by := b.decide(a, resource)
	if allowed { // since then
		return
	}
	p.access.denied(Denial{
		Principal: p.Name(), Client: p.client, Remote: p.remote, Action: name, Resource: clip(resource), Why: b.why(by),
		Allow: fix(a, resource, by),
	})
}

// why words a refusal.
func (b *binding) why(by *statement) string {
	switch {
	case by != nil:
		return "denied by " + by.String() + ": " + by.text
	case len(b.allows) == 0 && len(b.denies) == 0:
		return "it has no policy that applies"
	}
	return "no statement allows it"
}

// fix is the statement that would help; against a Deny none does.
func fix(a action, resource string, by *statement) string {
	if by != nil {
		return ""
	}
	return allowing(a, clip(resource))
}

// current are the rules as they are now.
func (p *Principal) current() *binding {
	s := p.access.state.Load()
	if b := p.bound.Load(); b != nil && b.of == s {
		return b
	}
	b := &binding{s, bind(p.policies(s), p.values())}
	p.bound.Store(b)
	return b
}

// policies are those of the entries that match.
func (p *Principal) policies(s *state) []*Policy {
	switch p.kind {
	case Certificate:
		if s.revoked[p.id] {
			return nil
		}
		return s.policiesOf(func(e Entry) bool { return e.Certificate != "" && glob(e.Certificate, p.who) })
	case userKind:
		return s.policiesOf(func(e Entry) bool { return e.User == p.who })
	case keyKind:
		if k, ok := s.keys[p.who]; ok {
			return s.named(k.Policies)
		}
		return nil
	}
	return s.policiesOf(func(e Entry) bool { return e.Anonymous })
}

const (
	userKind = "user"
	keyKind  = "key"
)

// values are what the variables of policies stand for. The thing of a
// certificate is the one that it names; AWS IoT wants the client id to agree.
func (p *Principal) values() values {
	env := p.env
	if p.kind != Certificate {
		return env
	}
	if (shadow.ID{Thing: p.who}).Check() == nil {
		env.own = p.who
		env.attached = env.clientID == env.own
		if p.access.things != nil {
			env.thing = p.access.things.Thing(env.own)
		}
	}
	return env
}

// environment reads what credentials say beside who the client is.
func environment(c Credentials) values {
	env := values{clientID: c.ClientID, sourceIP: addressOf(c.Remote)}
	if c.Persistent {
		env.attributes = append(env.attributes, "PersistentConnect")
	}
	if c.Will {
		env.attributes = append(env.attributes, "LastWill")
		env.will = "topic/" + c.WillTopic
	}
	if c.Certificate != nil {
		env.id, env.parts = certificateID(c.Certificate), certificateValues(c.Certificate)
	}
	return env
}

// addressOf is the address without the port; of a Unix socket there is none.
func addressOf(remote net.Addr) string {
	if remote == nil {
		return ""
	}
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().WithZone("").String()
}

// clip bounds a stranger's text in logs and answers.
func clip(s string) string {
	const most = 256
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}
