package upstream

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Config is the section "cloud" of the configuration. Files are paths.
type Config struct {
	Endpoint    string `yaml:"endpoint"`    // mqtts://host:8883, mqtt://host:1883; a bare host is mqtts
	Certificate string `yaml:"certificate"` // client certificate, PEM
	Key         string `yaml:"key"`         // its key, PEM
	CA          string `yaml:"ca"`          // roots, PEM; default: the system's
}

// FieldError is a fault of the configuration; Path is below the section.
type FieldError struct{ Path, Text string }

func (e *FieldError) Error() string { return e.Path + ": " + e.Text }

// alpnPort is where AWS IoT Core takes MQTT only from clients that ask for it by ALPN.
const alpnPort = "443"

// address is the parsed endpoint.
type address struct {
	tls        bool
	host, port string
}

func (a address) url() string {
	scheme := "tcp"
	if a.tls {
		scheme = "ssl"
	}
	return scheme + "://" + net.JoinHostPort(a.host, a.port)
}

func (c Config) address() (address, error) {
	endpoint := c.Endpoint
	if !strings.Contains(endpoint, "://") {
		endpoint = "mqtts://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return address{}, fmt.Errorf("%q is no endpoint; want for example xxxxxxxx-ats.iot.eu-central-1.amazonaws.com", c.Endpoint)
	}
	if u.Path != "" || u.RawQuery != "" || u.User != nil {
		return address{}, fmt.Errorf("%q has more than a host and a port", c.Endpoint)
	}
	a := address{host: u.Hostname(), port: u.Port()}
	switch u.Scheme {
	case "mqtt":
		a.port = orElse(a.port, "1883")
	case "mqtts":
		a.tls, a.port = true, orElse(a.port, "8883")
	case "wss":
		return address{}, fmt.Errorf("wss is not available in this version; mqtts and mqtt are")
	default:
		return address{}, fmt.Errorf("scheme %q is unknown; want mqtts or mqtt", u.Scheme)
	}
	return a, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Validate tells every fault.
func (c Config) Validate() []error {
	var faults []error
	a, err := c.address()
	switch {
	case c.Endpoint == "":
		faults = append(faults, &FieldError{"endpoint", "missing; without an uplink leave the whole section cloud out"})
	case err != nil:
		faults = append(faults, &FieldError{"endpoint", err.Error()})
	case !a.tls && (c.Certificate != "" || c.Key != "" || c.CA != ""):
		faults = append(faults, &FieldError{"endpoint", "certificate, key and ca need mqtts://"})
	}
	if (c.Certificate == "") != (c.Key == "") {
		faults = append(faults, &FieldError{"certificate", "certificate and key come together"})
	}
	return faults
}
