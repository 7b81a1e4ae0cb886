package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"

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

// refuseHandshake tells why a handshake failed: whose certificate was refused,
// and whether that may be for a clock that is not set.
func (l *listener) refuseHandshake(remote net.Addr, err error) {
	attrs := []any{"remote", remote, "err", err}
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		if len(refused.UnverifiedCertificates) > 0 {
			attrs = append(attrs, "principal", "certificate:"+clip(refused.UnverifiedCertificates[0].Subject.CommonName))
		}
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired && l.b.ca != nil && l.b.ca.ClockHint() != "" {
			attrs = append(attrs, "hint", l.b.ca.ClockHint())
		}
	}
	l.log.Info("TLS handshake refused", attrs...)
}
