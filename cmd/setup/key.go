package setup

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"edgeshadow/config"
)

// cloud makes the section, the key and, while there is no certificate, a request
// for one. A key that is there is used.
func (s *Setup) cloud(a Answers, known map[string]config.Setting) error {
	endpoint := a.Endpoint
	if endpoint == "" {
		endpoint = known["cloud.endpoint"].Value
	}
	if endpoint == "" {
		return errors.New("a certificate is of no use without an endpoint of the cloud")
	}
	if plain(endpoint) {
		return s.section("cloud", known, fmt.Sprintf("cloud: {endpoint: %q}\n", endpoint))
	}
	thing := a.Thing
	if thing == "" {
		thing = known["gateway.thing"].Value
	}
	pki := filepath.Join(s.dir, "pki")
	if err := os.MkdirAll(pki, 0o750); err != nil {
		return err
	}
	key, err := s.key(filepath.Join(pki, "gateway.key"))
	if err != nil {
		return err
	}
	certificate := filepath.Join(pki, "gateway.crt")
	if a.Certificate != "" {
		if err := s.install(a.Certificate, certificate, filepath.Join(pki, "gateway.key")); err != nil {
			return err
		}
	}
	if _, err := os.Stat(certificate); errors.Is(err, fs.ErrNotExist) {
		s.out.Request = filepath.Join(pki, "gateway.csr")
		if err := s.request(s.out.Request, thing, key); err != nil {
			return err
		}
	}
	return s.section("cloud", known, fmt.Sprintf(
		"cloud:\n  endpoint: %q\n  certificate: file:../pki/gateway.crt\n  key: file:../pki/gateway.key\n", endpoint))
}

func plain(endpoint string) bool {
	const scheme = "mqtt://"
	return len(endpoint) > len(scheme) && endpoint[:len(scheme)] == scheme
}

// key reads the key at path, or makes one.
func (s *Setup) key(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("%s holds no key that is known here", path)
}

func (s *Setup) makeKey(path string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	// The daemon's group may read it: pki is closed to all others.
	return key, s.put(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o640)
}

// request writes a certificate signing request, unless there is one of this key
// and name.
func (s *Setup) request(path, thing string, key crypto.Signer) error {
	if text, err := os.ReadFile(path); err == nil {
		if block, _ := pem.Decode(text); block != nil {
			old, err := x509.ParseCertificateRequest(block.Bytes)
			if public, ok := key.Public().(*ecdsa.PublicKey); ok && err == nil && old.Subject.CommonName == thing && public.Equal(old.PublicKey) {
				return nil
			}
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: thing}}, key)
	if err != nil {
		return err
	}
	return s.put(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), 0o644)
}

// install copies a certificate that fits the key.
func (s *Setup) install(from, to, key string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	keyText, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair(text, keyText); err != nil {
		return fmt.Errorf("certificate %s does not fit the key %s: %w", from, key, err)
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	return s.put(to, text, 0o644)
}

// replace writes a file beside and renames it. What root writes belongs to the
// owner and group of the folder: the daemon is not root.
func replace(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if info, statErr := os.Stat(filepath.Dir(path)); err == nil && statErr == nil && os.Geteuid() == 0 {
		owner := info.Sys().(*syscall.Stat_t)
		err = os.Lchown(f.Name(), int(owner.Uid), int(owner.Gid))
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
