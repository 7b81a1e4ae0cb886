package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"edgeshadow/localshadow/access"
)

// CA is the gateway's own certification authority, which "tls: auto" asks.
type CA interface {
	// ServerCertificate is the gateway's current certificate; it is asked at each handshake.
	ServerCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Pool holds the certificates that client certificates are checked against.
	Pool() *x509.CertPool
	// Now is the time at which they are checked.
	Now() time.Time
	// ClockHint is why the dates of a certificate may seem wrong; empty: they do not.
	ClockHint() string
}

// Bounds of what a client shows.
const (
	maxChain      = 5
	maxChainBytes = 32 << 10
)

var errChain = fmt.Errorf("its certificate chain is longer than %d certificates or %d bytes", maxChain, maxChainBytes)

// bounded refuses chains that are too long to be a device's.
func bounded(chain [][]byte, _ [][]*x509.Certificate) error {
	size := 0
	for _, c := range chain {
		size += len(c)
	}
	if len(chain) > maxChain || size > maxChainBytes {
		return errChain
	}
	return nil
}

// config is the TLS side of a listener. NextProtos stays empty: AWS SDKs offer
// x-amzn-mqtt-ca on every port, and a list without it fails the handshake.
func (t *TLS) config(ca CA, protocol string, auth []string) (*tls.Config, error) {
	// Without tickets each handshake shows its certificate, as with AWS IoT
	// (SHADOW 20): what was revoked is not resumed.
	c := &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
	if t.Auto {
		if ca == nil {
			return nil, errors.New("auto needs the built-in CA")
		}
		c.GetCertificate = ca.ServerCertificate
	} else {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if !slices.Contains(auth, access.Certificate) {
		if protocol == MQTT {
			// AWS SDKs that have a certificate end the handshake when nobody
			// asks for it. It is not looked at. Browsers would ask their user.
			c.ClientAuth = tls.RequestClientCert
		}
		return c, nil
	}
	if ca != nil {
		c.Time = ca.Now
	}
	// Over HTTP there are requests that need no certificate, to get one.
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if protocol != HTTP && len(auth) == 1 {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	c.VerifyPeerCertificate = bounded
	switch {
	case t.ClientCA != "":
		pem, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, err
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("client_ca %s: no certificate in it", t.ClientCA)
		}
	case ca != nil:
		c.ClientCAs = ca.Pool()
	default:
		return nil, errors.New("client_ca is missing")
	}
	return c, nil
}
