package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"edgeshadow/localshadow/shadow"
)

// CA is the gateway's certification authority: its own, or whatever somebody
// put in its place. Its methods may be called from many goroutines.
type CA struct {
	dir       string
	clock     *clock
	hosts     func() []string
	authority atomic.Pointer[authority]

	mu     sync.Mutex
	server *tls.Certificate // nil until asked for
	named  []string         // the hosts that server is for
	by     *authority       // that signed it
}

// OpenCA reads the authority in dir, and makes it at the first start: ca.crt,
// and ca.key with mode 0600. A certificate of another authority may be followed by
// those that vouch for it.
func OpenCA(dir string) (*CA, error) {
	found, err := openAuthority(dir)
	if err != nil {
		return nil, err
	}
	ca := &CA{dir: dir, hosts: Hosts}
	ca.authority.Store(found)
	if ca.clock, err = openClock(dir); err != nil {
		return nil, err
	}
	return ca, nil
}

// Prepare reads the files of the authority again: somebody may have put a renewed
// certificate in place of one that ends. The server's certificate is issued anew;
// those who are connected stay. What is read counts at once, so that listeners
// that are prepared next check against it; discard takes it back.
func (ca *CA) Prepare() (commit, discard func(), err error) {
	next, err := readAuthority(ca.dir)
	if err != nil {
		return nil, nil, err
	}
	was := ca.authority.Load()
	if was.same(next) {
		return func() {}, func() {}, nil
	}
	ca.authority.Store(next)
	return func() {}, func() { ca.authority.Store(was) }, nil
}

// Pool holds the authority's certificate.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.authority.Load().certificate())
	return pool
}

// Fingerprint is the SHA-256 of the authority's certificate, as openssl x509
// -fingerprint -sha256 prints it.
func (ca *CA) Fingerprint() string {
	sum := sha256.Sum256(ca.authority.Load().certificate().Raw)
	return strings.ToUpper(strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"), ":"))
}

// PEM is what devices trust: the authority's certificate, and those that vouch
// for it, without which OpenSSL trusts none that is not a root.
func (ca *CA) PEM() (text []byte) {
	for _, c := range ca.authority.Load().chain {
		text = append(text, encodeCertificate(c.Raw)...)
	}
	return text
}

// ServerCertificate is the gateway's certificate for every name and address
// that it has now; it is issued anew, without dropping a client, when these
// change, or the authority. It fits tls.Config.GetCertificate.
func (ca *CA) ServerCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	hosts, by := ca.hosts(), ca.authority.Load()
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if ca.server != nil && ca.by == by && slices.Equal(ca.named, hosts) {
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
	der, err := by.issue(template, &key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("server certificate: %w", err)
	}
	ca.server = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	for _, c := range by.chain {
		ca.server.Certificate = append(ca.server.Certificate, c.Raw)
	}
	ca.named, ca.by = hosts, by
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
	der, err := ca.authority.Load().issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: thing},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, public)
	if err != nil {
		return nil, fmt.Errorf("enroll %s: %w", thing, err)
	}
	return der, nil
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
