package access

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"slices"
)

const availableKeys = "AvailableKeys"

// nameParts are the attributes of a distinguished name that policies know.
var nameParts = map[string]asn1.ObjectIdentifier{
	"Country": {2, 5, 4, 6}, "Organization": {2, 5, 4, 10}, "OrganizationalUnit": {2, 5, 4, 11},
	"DistinguishedNameQualifier": {2, 5, 4, 46}, "State": {2, 5, 4, 8}, "CommonName": {2, 5, 4, 3},
	"SerialNumber": {2, 5, 4, 5}, "Title": {2, 5, 4, 12}, "Surname": {2, 5, 4, 4}, "GivenName": {2, 5, 4, 42},
	"Initials": {2, 5, 4, 43}, "Pseudonym": {2, 5, 4, 65}, "GenerationQualifier": {2, 5, 4, 44},
}

// certificateParts are all names below iot:Certificate.
var certificateParts = func() []string {
	out := []string{"SerialNumber", availableKeys}
	for name := range nameParts {
		out = append(out, "Subject."+name, "Issuer."+name)
	}
	for _, name := range []string{"RFC822Name", "DNSName", "UniformResourceIdentifier", "IPAddress"} {
		out = append(out, "Subject.AlternativeName."+name)
	}
	return out
}()

// certificateValues are what a certificate says, by certificateParts.
func certificateValues(c *x509.Certificate) map[string][]string {
	out := map[string][]string{}
	named := func(prefix string, of pkix.Name) {
		for name, id := range nameParts {
			for _, a := range of.Names {
				if text, ok := a.Value.(string); ok && a.Type.Equal(id) {
					out[prefix+name] = append(out[prefix+name], text)
				}
			}
		}
	}
	named("Subject.", c.Subject)
	named("Issuer.", c.Issuer)
	out["SerialNumber"] = []string{c.SerialNumber.Text(16)}
	alternative := func(name string, all []string) {
		if len(all) > 0 {
			out["Subject.AlternativeName."+name] = all
		}
	}
	alternative("RFC822Name", c.EmailAddresses)
	alternative("DNSName", c.DNSNames)
	var texts []string
	for _, u := range c.URIs {
		texts = append(texts, u.String())
	}
	alternative("UniformResourceIdentifier", texts)
	texts = nil
	for _, ip := range c.IPAddresses {
		texts = append(texts, ip.String())
	}
	alternative("IPAddress", texts)
	var keys []string
	for name := range out {
		keys = append(keys, "iot:Certificate."+name)
	}
	slices.Sort(keys)
	out[availableKeys] = keys
	return out
}

// certificateID is that of AWS IoT: SHA-256 over the certificate, in hex.
func certificateID(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
