package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"edgeshadow/localshadow/shadow"
)

// The validity of everything that is issued here; see the package comment.
var (
	notBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2070, 1, 1, 0, 0, 0, 0, time.UTC)
)

const (
	certificateFile = "ca.crt"
	keyFile         = "ca.key"
)

// CA is the gateway's certification authority: EC P-256, or whatever somebody
// put in its place. Its methods may be called from many goroutines.
type CA struct {
	dir         string
	certificate *x509.Certificate
	key         crypto.Signer
	clock       *clock

	mu     sync.Mutex
	server *tls.Certificate // nil until asked for
	hosts  []string         // that server is for
}

// OpenCA reads the authority in dir, and makes it at the first start: ca.crt,
// and ca.key with mode 0600.
func OpenCA(dir string) (*CA, error) {
	ca, err := openCA(dir)
	if err != nil {
		return nil, err
	}
	ca.dir = dir
	if ca.clock, err = openClock(dir); err != nil {
		return nil, err
	}
	return ca, nil
}

func openCA(dir string) (*CA, error) {
	crt, key := filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)
	keyPEM, err := os.ReadFile(key)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(crt); err == nil {
			return nil, fmt.Errorf("CA: %s is there, but its key %s is not", crt, key)
		}
		return makeCA(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	crtPEM, err := os.ReadFile(crt)
	if err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	pair, err := tls.X509KeyPair(crtPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("CA in %s: %w", dir, err)
	}
	private, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("CA in %s: %s is no certificate of an authority", dir, crt)
	}
	return &CA{certificate: pair.Leaf, key: private}, nil
}

func makeCA(dir string) (*CA, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // a name for people
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "edgeshadow CA of " + host},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	// The certificate first: a key without one would be taken for a whole CA.
	if err := writeFile(filepath.Join(dir, certificateFile), encodeCertificate(der), 0o644); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(dir, keyFile), keyPEM, 0o600); err != nil {
		return nil, errors.Join(err, os.Remove(filepath.Join(dir, certificateFile)))
	}
	return &CA{certificate: certificate, key: key}, nil
}

// Pool holds the authority's certificate.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	return pool
}

// Fingerprint is the SHA-256 of the authority's certificate, as openssl x509
// -fingerprint -sha256 prints it.
func (ca *CA) Fingerprint() string {
	sum := sha256.Sum256(ca.certificate.Raw)
	return strings.ToUpper(strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"), ":"))
}

// PEM is the authority's certificate.
func (ca *CA) PEM() []byte { return encodeCertificate(ca.certificate.Raw) }

// ServerCertificate is the gateway's certificate for every name and address
// that it has now; it is issued anew, without dropping a client, when these
// change. It fits tls.Config.GetCertificate.
func (ca *CA) ServerCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	hosts := Hosts()
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if ca.server != nil && slices.Equal(ca.hosts, hosts) {
		return ca.server, nil
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: hosts[0]},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("server certificate: %w", err)
	}
	der, err := ca.issue(template, &key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("server certificate: %w", err)
	}
	ca.server = &tls.Certificate{Certificate: [][]byte{der, ca.certificate.Raw}, PrivateKey: key}
	ca.hosts = hosts
	return ca.server, nil
}

// Enroll issues a device's certificate, whose common name is the thing's name,
// and its key, both PEM.
func (ca *CA) Enroll(thing string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := ca.device(thing, &private.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	if key, err = encodeKey(private); err != nil {
		return nil, nil, err
	}
	return encodeCertificate(der), key, nil
}

// device issues the certificate of a thing for its key.
func (ca *CA) device(thing string, public any) ([]byte, error) {
	if err := (shadow.ID{Thing: thing}).Check(); err != nil {
		return nil, err
	}
	der, err := ca.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: thing},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, public)
	if err != nil {
		return nil, fmt.Errorf("enroll %s: %w", thing, err)
	}
	return der, nil
}

// issue signs a template for a public key.
func (ca *CA) issue(template *x509.Certificate, public any) ([]byte, error) {
	template.SerialNumber, template.NotBefore, template.NotAfter = serial(), notBefore, notAfter
	if until := ca.certificate.NotAfter; until.Before(notAfter) { // an authority that somebody brought
		template.NotAfter = until
	}
	return x509.CreateCertificate(rand.Reader, template, ca.certificate, public, ca.key)
}

// serial is 127 random bits (RFC 5280, 4.1.2.2).
func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// decodePEM is the content of the first block; nil when there is none.
func decodePEM(text []byte) []byte {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	return block.Bytes
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
