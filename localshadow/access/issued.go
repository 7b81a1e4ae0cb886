package access

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// The records of this package, below a/.
const (
	issuedPrefix = "a/c/" // and the certificate's id
	keyPrefix    = "a/k/" // and the key's id
	tokenPrefix  = "a/t/" // and the hash of the token
	policyPrefix = "a/p/" // and the policy's name
)

// Issued is a device certificate of the built-in CA.
type Issued struct {
	ID       string    `json:"id"`
	Thing    string    `json:"thing"`
	Serial   string    `json:"serial"`
	By       string    `json:"by"`   // enroll, sign or token
	Time     time.Time `json:"time"` // for people
	Replaces []string  `json:"replaces,omitempty"`
	Revoked  bool      `json:"revoked"`
}

// Bundle is what a device needs: PEM texts. Key is empty when the device made
// its own.
type Bundle struct {
	Thing       string `json:"thing"`
	Certificate string `json:"certificate"`
	Key         string `json:"key,omitempty"`
	CA          string `json:"ca"`
	ID          string `json:"id"`
}

// Enroll issues a key and a certificate for a thing. With replace, the thing's
// other certificates end when the new one is first used: a device that could not
// take it yet is not locked out.
func (a *Access) Enroll(ctx context.Context, thing string, replace bool) (Bundle, error) {
	if a.ca == nil {
		return Bundle{}, errNoCA
	}
	certificate, key, err := a.ca.Enroll(thing)
	if err != nil {
		return Bundle{}, err
	}
	b, err := a.issue(ctx, thing, certificate, "enroll", replace)
	b.Key = string(key)
	return b, err
}

// Sign issues a certificate for a request; its common name is the thing's name.
func (a *Access) Sign(ctx context.Context, request []byte) (Bundle, error) {
	return a.sign(ctx, request, "", "sign")
}

func (a *Access) sign(ctx context.Context, request []byte, thing, by string) (Bundle, error) {
	if a.ca == nil {
		return Bundle{}, errNoCA
	}
	der, thing, err := a.ca.sign(request, thing)
	if err != nil {
		return Bundle{}, err
	}
	return a.issue(ctx, thing, encodeCertificate(der), by, false)
}

var errNoCA = fmt.Errorf("there is no built-in CA")

// Fingerprint is that of the CA; empty without one.
func (a *Access) Fingerprint() string {
	if a.ca == nil {
		return ""
	}
	return a.ca.Fingerprint()
}

// issue records a certificate before it is handed out.
func (a *Access) issue(ctx context.Context, thing string, certificate []byte, by string, replace bool) (Bundle, error) {
	c, err := x509.ParseCertificate(decodePEM(certificate))
	if err != nil {
		return Bundle{}, err
	}
	record := Issued{ID: certificateID(c), Thing: thing, Serial: c.SerialNumber.Text(16), By: by, Time: time.Now().UTC().Truncate(time.Second)}
	if replace {
		all, err := a.List()
		if err != nil {
			return Bundle{}, err
		}
		for _, old := range all {
			if old.Thing == thing && !old.Revoked {
				record.Replaces = append(record.Replaces, old.ID)
			}
		}
	}
	if err := a.put(ctx, issuedPrefix+record.ID, record); err != nil {
		return Bundle{}, fmt.Errorf("enroll %s: %w", thing, err)
	}
	if len(record.Replaces) > 0 {
		a.change(func(s *state) {
			s.replacing = maps.Clone(s.replacing)
			s.replacing[record.ID] = record.Replaces
		})
	}
	a.log.Info("certificate issued", "thing", thing, "certificate", record.ID, "by", by)
	if a.enrolled != nil {
		a.enrolled(thing)
	}
	return Bundle{Thing: thing, Certificate: string(certificate), CA: string(a.ca.PEM()), ID: record.ID}, nil
}

// used revokes what a certificate replaces, when it is used.
func (a *Access) used(id string) {
	if old := a.state.Load().replacing[id]; len(old) > 0 {
		if err := a.revoke(old, "replaced"); err != nil {
			a.log.Warn("old certificates are still valid", "err", err)
			return
		}
		a.change(func(s *state) {
			s.replacing = maps.Clone(s.replacing)
			delete(s.replacing, id)
		})
	}
}

// List are the certificates that were issued, by thing.
func (a *Access) List() ([]Issued, error) {
	out := []Issued{}
	revoked := a.state.Load().revoked
	err := a.store.View(func(r localshadow.Reader) error {
		return r.Scan([]byte(issuedPrefix), func(key, value []byte) error {
			var i Issued
			if err := json.Unmarshal(value, &i); err != nil {
				return fmt.Errorf("read %q: %w", key, err)
			}
			i.Revoked = revoked[i.ID]
			out = append(out, i)
			return nil
		})
	})
	slices.SortFunc(out, func(a, b Issued) int {
		return cmp.Or(cmp.Compare(a.Thing, b.Thing), a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	return out, err
}

// Enrolled are the things that have a certificate that is not revoked.
func (a *Access) Enrolled() (map[string]bool, error) {
	out := map[string]bool{}
	all, err := a.List()
	for _, i := range all {
		if !i.Revoked {
			out[i.Thing] = true
		}
	}
	return out, err
}

// Revoke ends certificates: all of a thing, or the one with an id, of which the
// first eight digits do. Live connections end at once. It returns their ids.
func (a *Access) Revoke(what string) ([]string, error) {
	if a.ca == nil {
		return nil, errNoCA
	}
	all, err := a.List()
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, i := range all {
		if i.Thing == what || len(what) >= 8 && strings.HasPrefix(i.ID, what) {
			found[i.ID] = true
		}
	}
	// One that is connected counts though nothing is known of its issue: that of
	// another CA, or of a store that was set aside.
	a.end("", func(name, certificate string) bool {
		if certificate != "" && (name == "certificate:"+what || len(what) >= 8 && strings.HasPrefix(certificate, what)) {
			found[certificate] = true
		}
		return false
	})
	if certificateIDs.MatchString(what) {
		found[what] = true
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no certificate of the thing %.140q, nor one with that id", what)
	}
	ids := slices.Sorted(maps.Keys(found))
	return ids, a.revoke(ids, what)
}

func (a *Access) revoke(ids []string, why string) error {
	if err := a.ca.revoke(ids, why); err != nil {
		return err
	}
	a.change(func(s *state) {
		s.revoked = maps.Clone(s.revoked)
		for _, id := range ids {
			s.revoked[id] = true
		}
	})
	a.log.Info("certificates revoked", "certificates", ids, "of", why)
	a.end("its certificate is revoked", func(_, certificate string) bool { return slices.Contains(ids, certificate) })
	if a.lost == nil {
		return nil
	}
	all, err := a.List()
	if err != nil {
		a.log.Warn("whose certificates were revoked is not known", "err", err) // they are, and it was said
		return nil
	}
	for _, i := range all {
		if slices.Contains(ids, i.ID) {
			a.lost(i.Thing)
		}
	}
	return nil
}

// put stores a record; it is durable when the call returns.
func (a *Access) put(ctx context.Context, key string, record any) error {
	value, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return a.store.Update(ctx, func(tx *localshadow.Tx) error { return tx.Set([]byte(key), value) })
}

func (a *Access) drop(ctx context.Context, key string) error {
	return a.store.Update(ctx, func(tx *localshadow.Tx) error {
		tx.Delete([]byte(key))
		return nil
	})
}

// validThing refuses names that no thing may have.
func validThing(name string) error { return shadow.ID{Thing: name}.Check() }
