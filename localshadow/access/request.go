package access

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxRequest bounds a certificate request; one with an RSA key of 4096 bits has
// less than 2 KiB.
const maxRequest = 16 << 10

// sign issues a certificate for a PKCS #10 request, PEM or DER. Thing is what
// the common name must be; empty: the request says it.
func (ca *CA) sign(request []byte, thing string) (certificate []byte, of string, err error) {
	if len(request) > maxRequest {
		return nil, "", fmt.Errorf("certificate request: more than %d bytes", maxRequest)
	}
	der := request
	if block, _ := pem.Decode(request); block != nil {
		if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
			return nil, "", fmt.Errorf("certificate request: have a %s", block.Type)
		}
		der = block.Bytes
	}
	r, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = r.CheckSignature()
	}
	if err == nil {
		err = checkKey(r.PublicKey)
	}
	if err != nil {
		return nil, "", fmt.Errorf("certificate request: %w", err)
	}
	name := r.Subject.CommonName
	switch {
	case thing == "" && name == "":
		return nil, "", errors.New("certificate request: no common name; it is the thing's name: -subj /CN=THING")
	case thing == "":
		thing = name
	case name != "" && name != thing:
		return nil, "", fmt.Errorf("certificate request: its common name is %.140q, not %s", name, thing)
	}
	if der, err = ca.device(thing, r.PublicKey); err != nil {
		return nil, "", err
	}
	return der, thing, nil
}

func checkKey(public any) error {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if bits := k.Curve.Params().BitSize; bits < 256 {
			return fmt.Errorf("an EC key of %d bits; want 256 or more", bits)
		}
		return nil
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 || bits > 4096 {
			return fmt.Errorf("an RSA key of %d bits; want 2048 to 4096", bits)
		}
		return nil
	}
	return errors.New("a key of an unknown kind; want EC, RSA or Ed25519")
}
