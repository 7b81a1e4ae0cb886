package access

import (
	"errors"
	"slices"
)

// Authenticate tells who shows these credentials: a certificate first, then a
// signature, then a password, and nobody where the listener admits anonymous
// clients. What was shown and is wrong is refused, whatever else is admitted.
// It reads the body of a signed request and puts it back.
func (a *Access) Authenticate(c Credentials) (*Principal, error) {
	p, what, err := a.identify(c)
	if err != nil {
		a.denied(Denial{
			Principal: what, Client: c.ClientID, Remote: remoteOf(c), Action: "authenticate", Resource: c.Listener, Why: err.Error(),
		})
		return nil, err
	}
	p.access, p.client, p.remote, p.env = a, c.ClientID, remoteOf(c), environment(c)
	p.id = p.env.id
	if p.kind == Certificate {
		a.used(p.id)
	}
	return p, nil
}

func remoteOf(c Credentials) string {
	if at := addressOf(c.Remote); at != "" {
		return at
	}
	return "local"
}

var (
	errNothing  = errors.New("it shows nothing that this listener admits")
	errNoName   = errors.New("its certificate has no common name")
	errRevoked  = errors.New("its certificate is revoked")
	errNotShown = errors.New("it shows no certificate")
)

// identify returns who, and for the log what a refused client claims to be.
func (a *Access) identify(c Credentials) (p *Principal, claim string, err error) {
	admits := func(way string) bool { return slices.Contains(c.Auth, way) }
	if c.Certificate != nil && admits(Certificate) {
		name := c.Certificate.Subject.CommonName
		claim := "certificate:" + clip(name)
		switch {
		case name == "":
			return nil, claim, errNoName
		case a.state.Load().revoked[certificateID(c.Certificate)]:
			return nil, claim, errRevoked
		}
		return &Principal{kind: Certificate, who: name}, "", nil
	}
	if c.Request != nil && admits(Signature) {
		if s, err := readSignature(c.Request); s != nil || err != nil {
			return a.signed(c, s, err)
		}
	}
	user, password := c.User, c.Password
	if c.Request != nil && password == nil {
		if name, word, ok := c.Request.BasicAuth(); ok {
			user, password = name, []byte(word)
		}
	}
	if password != nil && admits(Password) {
		return a.login(c, user, password)
	}
	if admits(Anonymous) {
		return &Principal{kind: Anonymous}, "", nil
	}
	if slices.Equal(c.Auth, []string{Certificate}) {
		return nil, "", errNotShown
	}
	return nil, "", errNothing
}

// login checks a password, when its turn has come. One that was right before
// needs no turn: others at its address can't keep it out.
func (a *Access) login(c Credentials, user string, password []byte) (*Principal, string, error) {
	claim, address := "user:"+clip(user), remoteOf(c)
	in := &Principal{kind: userKind, who: user}
	hash, known := a.state.Load().hashes[user]
	if known && a.logins.remembers(hash, password) {
		return in, "", nil
	}
	defer a.throttle.turn(address).Unlock()
	if err := a.throttle.admit(address, user); err != nil {
		return nil, claim, err
	}
	if !known {
		hash = nobody
	}
	if !a.logins.check(hash, password) || !known {
		a.throttle.fail(address, user)
		return nil, claim, errPassword
	}
	a.throttle.succeed(address, user)
	return in, "", nil
}
