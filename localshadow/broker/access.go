package broker

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
)

// What a principal may do, by the names of AWS IoT policies, and what the
// resource of each is (SHADOW 21).
const (
	ActionConnect       = "iot:Connect"       // a client id
	ActionPublish       = "iot:Publish"       // a topic
	ActionRetainPublish = "iot:RetainPublish" // a topic; asked beside ActionPublish
	ActionSubscribe     = "iot:Subscribe"     // a filter, as it was sent; of a shared one what follows the group
	ActionReceive       = "iot:Receive"       // a topic; asked for each delivery

	ActionGetThingShadow           = "iot:GetThingShadow"    // a thing, or thing/shadow
	ActionUpdateThingShadow        = "iot:UpdateThingShadow" // the same
	ActionDeleteThingShadow        = "iot:DeleteThingShadow" // the same
	ActionListNamedShadowsForThing = "iot:ListNamedShadowsForThing"
	ActionGetRetainedMessage       = "iot:GetRetainedMessage" // a topic
	ActionListRetainedMessages     = "iot:ListRetainedMessages"
	ActionDeleteConnection         = "iot:DeleteConnection" // a client id
	ActionDescribeThing            = "iot:DescribeThing"    // a thing
	ActionCreateThing              = "iot:CreateThing"      // a thing
	ActionUpdateThing              = "iot:UpdateThing"      // a thing
	ActionDeleteThing              = "iot:DeleteThing"      // a thing
	ActionListThings               = "iot:ListThings"
	ActionDescribeThingType        = "iot:DescribeThingType"  // a thing type
	ActionCreateThingType          = "iot:CreateThingType"    // a thing type
	ActionDeprecateThingType       = "iot:DeprecateThingType" // a thing type
	ActionDeleteThingType          = "iot:DeleteThingType"    // a thing type
	ActionListThingTypes           = "iot:ListThingTypes"
)

// Credentials are what a client shows of itself, and what it asks for.
type Credentials struct {
	Listener    string            // its address as configured
	Auth        []string          // what the listener admits
	Remote      net.Addr          // where the client is
	Certificate *x509.Certificate // the leaf that the TLS layer has verified; nil: it shows none
	User        string
	Password    []byte        // nil: none was sent. AWS SDKs send a user name alone (SHADOW 31)
	Request     *http.Request // over HTTP, and the one that became a WebSocket; nil over MQTT

	// Of a CONNECT.
	ClientID   string // empty over HTTP
	Will       bool
	WillTopic  string
	Persistent bool // the session outlives the connection
}

// Access says who clients are. What it refuses, it logs.
type Access interface {
	// Authenticate tells who shows these credentials. It may take its time; the
	// caller's goroutine is that of the one client.
	Authenticate(Credentials) (Principal, error)
}

// Principal is one client as long as it is connected, or one request. Its
// methods may be called from many goroutines.
type Principal interface {
	// Name is for logs, and to it belong sessions: certificate:lamp.
	Name() string
	// May decides. It does not allocate. Resource is without "topic/" and the
	// like: the action says what it is.
	May(action, resource string) bool
	// Refused is told of a no that a client runs into, to log and remember it.
	Refused(action, resource string)
}

// may is May for what a client asks for.
func may(p Principal, action, resource string) bool {
	if p.May(action, resource) {
		return true
	}
	p.Refused(action, resource)
	return false
}

// trusting is the Access of a broker that was given none: who may come in may
// do everything.
type trusting struct{}

func (trusting) Authenticate(c Credentials) (Principal, error) {
	if c.Certificate != nil && slices.Contains(c.Auth, Certificate) {
		if name := c.Certificate.Subject.CommonName; name != "" {
			return trusted("certificate:" + name), nil
		}
		return nil, errors.New("its certificate has no common name")
	}
	if slices.Contains(c.Auth, Anonymous) {
		return trusted(Anonymous), nil
	}
	return nil, errors.New("it shows no certificate")
}

type trusted string

func (t trusted) Name() string          { return string(t) }
func (trusted) May(string, string) bool { return true }
func (trusted) Refused(string, string)  {}
