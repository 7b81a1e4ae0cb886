package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
)

// CA is the gateway's own certification authority, which "tls: auto" asks.
type CA interface {
	// ServerCertificate is the gateway's current certificate; it is asked at each handshake.
	ServerCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Pool holds the certificates that client certificates are checked against.
	Pool() *x509.CertPool
}

// config is the TLS side of a listener. NextProtos stays empty: AWS SDKs offer
// x-amzn-mqtt-ca on every port, and a list without it fails the handshake.
func (t *TLS) config(ca CA, auth []string) (*tls.Config, error) {
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
	if !slices.Contains(auth, Certificate) {
		return c, nil
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	if slices.Contains(auth, Anonymous) {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
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
