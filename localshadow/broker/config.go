package broker

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"edgeshadow/localshadow/access"
)

// maxSocketPath is the operating system's bound (sun_path in unix(7)).
const maxSocketPath = 107

// Config is the section "broker" of the configuration.
type Config struct {
	Listeners []Listener `yaml:"listeners"`
	Limits    Limits     `yaml:"limits"`
}

// Limits are bounds of one client.
type Limits struct {
	Rate int `yaml:"rate"` // packets a second; more of them for some seconds end the connection; default 10000
}

func (l Limits) rate() int64 {
	if l.Rate == 0 {
		return defaultRate
	}
	return int64(l.Rate)
}

// Default is one listener for programs on the gateway itself.
func Default() Config {
	return Config{Listeners: []Listener{{Address: "127.0.0.1:1883"}}}
}

// Protocols of a listener. With TLS they are mqtts, wss and https.
const (
	MQTT = "mqtt" // MQTT over TCP, the default
	WS   = "ws"   // MQTT over WebSocket
	HTTP = "http" // requests to the Handler
	Unix = "unix" // MQTT over a Unix socket
)

// Listener is one address to listen on.
type Listener struct {
	Address  string   `yaml:"address"`  // host:port, an empty host is every address; of unix the path of the socket
	Protocol string   `yaml:"protocol"` // mqtt, the default, ws, http or unix
	TLS      *TLS     `yaml:"tls"`      // nil: plain
	Auth     []string `yaml:"auth"`     // default: anonymous on loopback, certificate elsewhere
	Insecure bool     `yaml:"insecure"` // admits anonymous clients, and logins without TLS, beyond loopback
}

// TLS is the word auto, a server certificate of the built-in CA, or files.
type TLS struct {
	Auto        bool   `yaml:"-"`
	Certificate string `yaml:"certificate"` // PEM file
	Key         string `yaml:"key"`         // PEM file
	ClientCA    string `yaml:"client_ca"`   // PEM file; default: the built-in CA
}

// UnmarshalYAML takes the word auto, or files.
func (t *TLS) UnmarshalYAML(unmarshal func(any) error) error {
	var word string
	if unmarshal(&word) == nil {
		if word != "auto" {
			return fmt.Errorf("%q is neither auto nor files", word)
		}
		t.Auto = true
		return nil
	}
	type files TLS
	return unmarshal((*files)(t))
}

// FieldError is a fault of the configuration. Path is below the section, for
// example "listeners[1].auth".
type FieldError struct{ Path, Text string }

func (e *FieldError) Error() string { return e.Path + ": " + e.Text }

// auth is what a listener admits, defaults applied.
func (l Listener) auth() []string {
	switch {
	case len(l.Auth) > 0:
		return l.Auth
	case l.loopback():
		return []string{access.Anonymous}
	default:
		return []string{access.Certificate}
	}
}

// Admits tells whether a listener lets clients in that show who they are in one
// of the ways above.
func (l Listener) Admits(way string) bool { return slices.Contains(l.auth(), way) }

// protocol is the listener's, defaults applied.
func (l Listener) protocol() string { return cmp.Or(l.Protocol, MQTT) }

// loopback tells whether only this machine can reach the listener.
func (l Listener) loopback() bool {
	if l.Protocol == Unix {
		return true
	}
	host, _, err := net.SplitHostPort(l.Address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// Validate tells every fault.
func (c Config) Validate() []error {
	var faults []error
	if c.Limits.Rate < 0 {
		faults = append(faults, &FieldError{"limits.rate", "negative; want packets a second, for example 10000"})
	}
	seen := map[string]int{}
	for i, l := range c.Listeners {
		fault := func(field, format string, args ...any) {
			faults = append(faults, &FieldError{fmt.Sprintf("listeners[%d].%s", i, field), fmt.Sprintf(format, args...)})
		}
		l.checkAddress(fault)
		if j, dup := seen[l.Address]; dup && l.Address != "" && !strings.HasSuffix(l.Address, ":0") {
			fault("address", "%s is listeners[%d]'s already", l.Address, j)
		}
		seen[l.Address] = i
		l.checkAuth(fault)
		l.checkTLS(fault)
	}
	return faults
}

func (l Listener) checkAddress(fault func(field, format string, args ...any)) {
	switch l.protocol() {
	case MQTT, WS, HTTP:
	case Unix:
		switch {
		case !filepath.IsAbs(l.Address):
			fault("address", `%q is no absolute path; want for example "/run/edgeshadow/mqtt.sock"`, l.Address)
		case len(l.Address) > maxSocketPath:
			fault("address", "longer than the %d bytes that a socket's path may have", maxSocketPath)
		}
		return
	default:
		fault("protocol", "%q is unknown; want mqtt, ws, http or unix", l.Protocol)
	}
	_, port, err := net.SplitHostPort(l.Address)
	switch {
	case l.Address == "":
		fault("address", `missing; want host:port, for example "127.0.0.1:1883"`)
	case err != nil:
		fault("address", "%q is not host:port", l.Address)
	default:
		if _, err := net.LookupPort("tcp", port); err != nil {
			fault("address", "%q is not a port", port)
		}
	}
}

func (l Listener) checkAuth(fault func(field, format string, args ...any)) {
	for _, a := range l.Auth {
		switch a {
		case access.Anonymous, access.Certificate, access.Password:
		case access.Signature:
			if l.protocol() != WS && l.protocol() != HTTP {
				fault("auth", "sigv4 signs requests of HTTP; this listener speaks %s", l.protocol())
			}
		default:
			fault("auth", "%q is unknown; want anonymous, certificate, password or sigv4", a)
		}
	}
	secret := slices.Contains(l.Auth, access.Password) || slices.Contains(l.Auth, access.Signature)
	if secret && l.TLS == nil && !l.loopback() && !l.Insecure {
		fault("auth", "logins that anybody can read on their way; add tls: auto, or say insecure: true beside it")
	}
	if slices.Contains(l.auth(), access.Anonymous) && !l.loopback() && !l.Insecure {
		fault("auth", "anonymous clients beyond loopback; use certificate, or say insecure: true beside it")
	}
}

func (l Listener) checkTLS(fault func(field, format string, args ...any)) {
	certified := slices.Contains(l.auth(), access.Certificate)
	switch t := l.TLS; {
	case l.Protocol == Unix && t != nil:
		fault("tls", "a Unix socket has none; the rights of its folder say who may connect")
	case l.Protocol == Unix && certified:
		fault("auth", "certificate needs TLS, which a Unix socket has not")
	case certified && t == nil:
		fault("tls", "missing; clients show a certificate only over TLS: add tls: auto")
	case t == nil || t.Auto:
	case t.Certificate == "" || t.Key == "":
		fault("tls", "want auto, or both certificate and key")
	case t.ClientCA != "" && !certified:
		fault("tls.client_ca", "does nothing: clients are asked for a certificate with auth: [certificate]")
	}
}
