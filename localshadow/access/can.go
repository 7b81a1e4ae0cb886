package access

import (
	"fmt"
	"strings"
)

// Verdict is the answer to "may X do Y?".
type Verdict struct {
	Allowed   bool     `json:"allowed"`
	Principal string   `json:"principal"`
	Action    string   `json:"action"`
	Resource  string   `json:"resource"`
	Policies  []string `json:"policies"`            // that the principal has
	Decided   string   `json:"decided,omitempty"`   // the policy and the statement that decided; empty: none allows it
	Statement string   `json:"statement,omitempty"` // its text
	Allow     string   `json:"allow,omitempty"`     // a statement that would allow it
}

// Can decides as for a client. Who is certificate:NAME or a thing's name, user:NAME,
// key:ID or anonymous; client is its client id, empty: the thing's name, and of
// others none. The action may leave "iot:" out; the resource may be an ARN.
func (a *Access) Can(who, name, resource, client string) (Verdict, error) {
	p, err := a.claimed(who, client)
	if err != nil {
		return Verdict{}, err
	}
	act, err := actionOf(name)
	if err != nil {
		return Verdict{}, err
	}
	if strings.HasPrefix(resource, "arn:") {
		parts := strings.SplitN(resource, ":", 6)
		resource = strings.TrimPrefix(parts[len(parts)-1], actions[act].head)
	}
	if actions[act].head == "" {
		resource = ""
	}
	v := Verdict{Principal: p.Name(), Action: actions[act].name, Resource: resource, Policies: []string{}}
	for _, policy := range p.policies(a.state.Load()) {
		v.Policies = append(v.Policies, policy.Name)
	}
	allowed, by := p.current().decide(act, resource)
	v.Allowed = allowed
	if by != nil {
		v.Decided, v.Statement = by.String(), by.text
	} else {
		v.Allow = allowing(act, resource)
	}
	return v, nil
}

// claimed is a principal as if it had come in.
func (a *Access) claimed(who, client string) (*Principal, error) {
	p := &Principal{access: a}
	kind, name, named := strings.Cut(who, ":")
	switch {
	case who == Anonymous:
		p.kind = Anonymous
	case named && (kind == Certificate || kind == userKind || kind == keyKind) && name != "":
		p.kind, p.who = kind, name
	case validThing(who) == nil:
		p.kind, p.who = Certificate, who
	default:
		return nil, fmt.Errorf("%.140q is no principal; want a thing, certificate:NAME, user:NAME, key:ID or anonymous", who)
	}
	if p.kind == Certificate {
		if client == "" {
			client = p.who
		}
		p.env.parts = map[string][]string{"Subject.CommonName": {p.who}}
	}
	p.env.clientID, p.client = client, client
	return p, nil
}

// actionOf finds an action however it is written.
func actionOf(name string) (action, error) {
	full := name
	if !strings.Contains(name, ":") {
		full = "iot:" + name
	}
	var all []string
	for i := range actions {
		if strings.EqualFold(actions[i].name, full) {
			return action(i), nil
		}
		all = append(all, strings.TrimPrefix(actions[i].name, "iot:"))
	}
	return 0, fmt.Errorf("there is no action %.60q; want one of %s", name, strings.Join(all, " "))
}
