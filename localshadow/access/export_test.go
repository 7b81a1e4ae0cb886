package access

// Decide is what one policy says to a client.
func Decide(p *Policy, c Credentials, things Things, name, resource string) bool {
	a, ok := actionNamed(name)
	if !ok {
		return false
	}
	who := &Principal{kind: anonymousAuth, access: &Access{things: things}, env: environment(c)}
	if c.Certificate != nil {
		who.kind, who.who = certificateAuth, c.Certificate.Subject.CommonName
	}
	allowed, _ := bind([]*Policy{p}, who.values()).decide(a, resource)
	return allowed
}

// Allowing is the statement that would allow something.
func Allowing(name, resource string) string {
	a, _ := actionNamed(name)
	return allowing(a, resource)
}
