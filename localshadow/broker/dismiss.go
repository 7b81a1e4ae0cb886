package broker

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"regexp"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Dismiss ends the connections of those for whom it is true, and says why in the
// log. A request over HTTP that is under way ends by itself.
func (b *Broker) Dismiss(cause string, whose func(Principal) bool) {
	for _, cl := range b.server.Clients.GetAll() {
		c := connOf(cl)
		if c == nil || c.principal == nil || cl.Closed() || !whose(c.principal) {
			continue
		}
		b.log.Info("client disconnected", "client", cl.ID, "remote", cl.Net.Remote, "principal", c.principal.Name(), "err", cause)
		c.because(forbidden)
		b.end(cl, packets.ErrNotAuthorized)
	}
}

// refuseHandshake tells whose handshake failed. One that only looked whether the
// port is open was not refused.
func (l *listener) refuseHandshake(remote net.Addr, err error) {
	l.log.Debug("no TLS handshake", "remote", remote, "err", err)
	if errors.Is(err, io.EOF) {
		return
	}
	name := ""
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) && len(refused.UnverifiedCertificates) > 0 {
		name = refused.UnverifiedCertificates[0].Subject.CommonName
	}
	l.b.bar(l.address, remote.String(), name, err.Error())
}

// checked is when a certificate was found to be out of date: without it, one that
// is tried again is refused for the same reason.
var checked = regexp.MustCompile(`current time \S+ is`)

// bar tells of a client that TLS did not let in, and whether that may be for a
// clock that is not set.
func (b *Broker) bar(listener, remote, name, why string) {
	if dateless := checked.ReplaceAllString(why, "it is"); dateless != why {
		if why = dateless; b.ca != nil && b.ca.ClockHint() != "" {
			why += "; " + b.ca.ClockHint()
		}
	}
	b.Access.Barred(listener, remote, name, why)
}
