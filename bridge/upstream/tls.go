package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"
)

// tlsConfig reads the files anew for each epoch, so that a rotated certificate
// is in use from the next connection on. Nil without TLS. A nil now is time.Now.
func (c Config) tlsConfig(a address, now func() time.Time) (*tls.Config, error) {
	if !a.tls {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.host, Time: now}
	if a.port == alpnPort && !a.ws {
		out.NextProtos = []string{"x-amzn-mqtt-ca"}
	}
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca %s: no certificate in it", c.CA)
		}
	}
	return out, nil
}
