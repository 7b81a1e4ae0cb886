package broker

import (
	"errors"
	"log/slog"
	"slices"

	"edgeshadow/localshadow/access"
)

// Access says who clients are. What it refuses, it logs.
type Access interface {
	// Authenticate tells who shows these credentials. It may take its time; the
	// caller's goroutine is that of the one client.
	Authenticate(access.Credentials) (Principal, error)
	// Barred is told of a client that TLS did not let in. Name is the common name on
	// the certificate that it shows; empty: it shows none, or that is not known.
	Barred(listener, remote, name, why string)
}

// Principal is one client as long as it is connected, or one request. Its
// methods may be called from many goroutines.
type Principal interface {
	// Name is for logs, and to it belong sessions: certificate:lamp.
	Name() string
	// May decides. It does not allocate. Resource is without "topic/" and the
	// like: the action says what it is.
	May(action, resource string) bool
	// Refused is told of a no that a client runs into, to log and remember it.
	Refused(action, resource string)
}

// may is May for what a client asks for.
func may(p Principal, action, resource string) bool {
	if p.May(action, resource) {
		return true
	}
	p.Refused(action, resource)
	return false
}

// trusting is the Access of a broker that was given none: who may come in may
// do everything.
type trusting struct{ log *slog.Logger }

func (t trusting) Barred(listener, remote, name, why string) {
	t.log.Info("TLS handshake refused", "listener", listener, "remote", remote, "certificate", name, "err", why)
}

func (trusting) Authenticate(c access.Credentials) (Principal, error) {
	if c.Certificate != nil && slices.Contains(c.Auth, access.Certificate) {
		if name := c.Certificate.Subject.CommonName; name != "" {
			return trusted("certificate:" + name), nil
		}
		return nil, errors.New("its certificate has no common name")
	}
	if slices.Contains(c.Auth, access.Anonymous) {
		return trusted(access.Anonymous), nil
	}
	return nil, errors.New("it shows no certificate")
}

type trusted string

func (t trusted) Name() string          { return string(t) }
func (trusted) May(string, string) bool { return true }
func (trusted) Refused(string, string)  {}
