package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The validity of everything that is issued here; see the package comment.
var (
	notBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2070, 1, 1, 0, 0, 0, 0, time.UTC)
)

const (
	certificateFile = "ca.crt"
	keyFile         = "ca.key"
	unfinished      = ".new" // follows the key's name until there is its certificate
)

// authority is a certificate that may sign others, and its key. It never changes.
type authority struct {
	chain []*x509.Certificate // the first is the authority's; the others vouch for it
	key   crypto.Signer
}

// openAuthority reads the authority in dir, and makes one where there is none. One
// that a power cut left half made is finished.
func openAuthority(dir string) (*authority, error) {
	crt, key := filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)
	_, noCertificate := os.Stat(crt)
	_, noKey := os.Stat(key)
	if noCertificate == nil && errors.Is(noKey, os.ErrNotExist) {
		if noKey = os.Rename(key+unfinished, key); noKey != nil {
			return nil, fmt.Errorf("CA: %s is there, but its key %s is not", crt, key)
		}
	}
	if errors.Is(noCertificate, os.ErrNotExist) && errors.Is(noKey, os.ErrNotExist) {
		return makeAuthority(dir)
	}
	return readAuthority(dir)
}

func readAuthority(dir string) (*authority, error) {
	crtPEM, err := os.ReadFile(filepath.Join(dir, certificateFile))
	if err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	pair, err := tls.X509KeyPair(crtPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("CA in %s: %w", dir, err)
	}
	a := &authority{}
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("CA in %s: %w", dir, err)
		}
		a.chain = append(a.chain, c)
	}
	var ok bool
	if a.key, ok = pair.PrivateKey.(crypto.Signer); !ok || !a.chain[0].IsCA {
		return nil, fmt.Errorf("CA in %s: %s is no certificate of an authority", dir, certificateFile)
	}
	return a, nil
}

func makeAuthority(dir string) (*authority, error) {
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
	path := filepath.Join(dir, keyFile)
	if err := writeFile(path+unfinished, keyPEM, 0o600); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(dir, certificateFile), encodeCertificate(der), 0o644); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Rename(path+unfinished, path), syncDir(dir)); err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	return &authority{[]*x509.Certificate{certificate}, key}, nil
}

// certificate is what certificates of devices are checked against.
func (a *authority) certificate() *x509.Certificate { return a.chain[0] }

func (a *authority) same(b *authority) bool {
	return slices.EqualFunc(a.chain, b.chain, (*x509.Certificate).Equal)
}

// issue signs a template for a public key.
func (a *authority) issue(template *x509.Certificate, public any) ([]byte, error) {
	template.SerialNumber, template.NotBefore, template.NotAfter = serial(), notBefore, notAfter
	if until := a.certificate().NotAfter; until.Before(notAfter) { // an authority that somebody brought
		template.NotAfter = until
	}
	return x509.CreateCertificate(rand.Reader, template, a.certificate(), public, a.key)
}
