package gateway

import (
	"cmp"
	"net"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
)

// gatekeeper is what the broker asks.
type gatekeeper struct{ *access.Access }

func (g gatekeeper) Authenticate(c access.Credentials) (broker.Principal, error) {
	p, err := g.Access.Authenticate(c)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// enrolled makes a thing with a certificate one that is synced, and that can
// connect.
func (g *Gateway) enrolled(thing string) {
	g.openLAN()
	if g.sync != nil {
		g.sync.Know(thing)
	}
}

// Endpoint is where a device connects by TLS: MQTT with a certificate, HTTP
// without one too. Its host is one that the server certificate is for.
func (g *Gateway) Endpoint(protocol string) string {
	addrs := g.Addrs()
	for i, l := range g.listeners() {
		if l.TLS == nil || cmp.Or(l.Protocol, broker.MQTT) != protocol || i >= len(addrs) ||
			protocol == broker.MQTT && !l.Admits(access.Certificate) {
			continue
		}
		host, _, _ := net.SplitHostPort(l.Address)
		_, port, err := net.SplitHostPort(addrs[i].String())
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = access.LANHost()
		}
		if err == nil {
			return net.JoinHostPort(host, port)
		}
	}
	return ""
}

// dismiss ends the connections of principals.
func (g *Gateway) dismiss(cause string, whose func(name, certificate string) bool) {
	g.broker.Dismiss(cause, func(who broker.Principal) bool {
		p, ok := who.(*access.Principal)
		return ok && whose(p.Name(), p.Certificate())
	})
}
