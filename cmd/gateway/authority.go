package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"sync"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
)

// authority is the built-in CA, which is opened, and made, when a listener first
// needs it: it may come with a reload.
type authority struct {
	dir string

	mu sync.Mutex
	ca *access.CA
}

func (a *authority) open() error {
	_, err := a.get()
	return err
}

func (a *authority) get() (*access.CA, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ca == nil {
		ca, err := access.OpenCA(a.dir)
		if err != nil {
			return nil, err
		}
		a.ca = ca
	}
	return a.ca, nil
}

// ServerCertificate is for broker.CA.
func (a *authority) ServerCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	ca, err := a.get()
	if err != nil {
		return nil, err
	}
	return ca.ServerCertificate(hello)
}

// Pool is for broker.CA. Who asks for it opened the CA before.
func (a *authority) Pool() *x509.CertPool {
	ca, err := a.get()
	if err != nil {
		return x509.NewCertPool() // nobody is admitted
	}
	return ca.Pool()
}

// needsCA tells whether a listener has no CA or certificate of its own.
func needsCA(c broker.Config) bool {
	for _, l := range c.Listeners {
		if l.TLS != nil && (l.TLS.Auto || l.TLS.ClientCA == "") {
			return true
		}
	}
	return false
}
