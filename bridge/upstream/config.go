package upstream

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Config is the section "cloud" of the configuration. Files are paths.
type Config struct {
	Endpoint    string `yaml:"endpoint"`    // mqtts://host:8883, wss://host:443, mqtt://host:1883; a bare host is mqtts
	Certificate string `yaml:"certificate"` // client certificate, PEM
	Key         string `yaml:"key"`         // its key, PEM
	CA          string `yaml:"ca"`          // roots, PEM; default: the system's
	// Region is that of the signature of a WebSocket; default: the one in the
	// endpoint's name, or where AWS's own programs find one.
	Region string `yaml:"region"`
	// PublishRate bounds the messages a second; 0: DefaultPublishRate with TLS,
	// for that is what AWS takes, and none without.
	PublishRate int `yaml:"publish_rate"`
}

// Rate is the messages a second that may be sent; 0: any number.
func (c Config) Rate() int {
	if a, err := c.address(); c.PublishRate == 0 && err == nil && a.tls {
		return DefaultPublishRate
	}
	return c.PublishRate
}

// FieldError is a fault of the configuration; Path is below the section.
type FieldError struct{ Path, Text string }

func (e *FieldError) Error() string { return e.Path + ": " + e.Text }

// alpnPort is where AWS IoT Core takes MQTT only from clients that ask for it by ALPN.
const alpnPort = "443"

// address is the parsed endpoint.
type address struct {
	tls        bool
	ws         bool // MQTT over a WebSocket
	host, port string
}

func (a address) aws() bool {
	return strings.HasSuffix(a.host, ".amazonaws.com") || strings.HasSuffix(a.host, ".amazonaws.com.cn")
}

// signed says that AWS credentials tell who we are.
func (a address) signed(c Config) bool { return a.ws && c.Certificate == "" }

func (a address) String() string { return net.JoinHostPort(a.host, a.port) }

func (c Config) address() (address, error) {
	endpoint := c.Endpoint
	if !strings.Contains(endpoint, "://") {
		endpoint = "mqtts://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return address{}, fmt.Errorf("%q is no endpoint; want for example xxxxxxxx-ats.iot.eu-central-1.amazonaws.com", c.Endpoint)
	}
	if u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return address{}, fmt.Errorf("%q has more than a host and a port", c.Endpoint)
	}
	a := address{host: u.Hostname(), port: u.Port()}
	switch u.Scheme {
	case "mqtt":
		a.port = orElse(a.port, "1883")
	case "mqtts":
		a.tls, a.port = true, orElse(a.port, "8883")
	case "wss":
		a.tls, a.ws, a.port = true, true, orElse(a.port, wssPort)
	case "ws":
		return address{}, fmt.Errorf("ws:// has no TLS; want wss://%s", u.Host)
	default:
		return address{}, fmt.Errorf("scheme %q is unknown; want mqtts, wss or mqtt", u.Scheme)
	}
	if n, err := strconv.ParseUint(a.port, 10, 16); err != nil || n == 0 {
		return address{}, fmt.Errorf("%q is no port; want 1 to 65535", a.port)
	}
	return a, nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Validate tells every fault. That the files are there and hold what they
// should is found at each connection and told in Status: they may come later.
func (c Config) Validate() []error {
	var faults []error
	fault := func(path, text string) { faults = append(faults, &FieldError{path, text}) }
	if c.Endpoint == "" {
		fault("endpoint", "missing; without an uplink leave the whole section cloud out")
		return faults
	}
	a, err := c.address()
	switch {
	case err != nil:
		fault("endpoint", err.Error())
	case !a.tls && (c.Certificate != "" || c.Key != "" || c.CA != ""):
		fault("endpoint", "certificate, key and ca are of no use without TLS: want mqtts://"+a.host)
	case !a.tls && a.aws():
		fault("endpoint", "AWS IoT takes only TLS: want mqtts://"+a.host)
	case a.aws() && a.ws && (c.Certificate != "" || c.Key != ""):
		fault("endpoint", "AWS IoT takes a WebSocket with AWS credentials, not with certificate and key: want mqtts://"+a.host+":443")
	case a.aws() && !a.ws && c.Certificate == "" && c.Key == "":
		fault("certificate", "missing; AWS IoT wants certificate and key, or AWS credentials with wss://"+a.host)
	}
	if c.Region != "" && err == nil && !a.signed(c) {
		fault("region", "is for AWS credentials, which only wss:// without a certificate uses")
	}
	if c.PublishRate < 0 {
		fault("publish_rate", fmt.Sprintf("%d is negative", c.PublishRate))
	}
	switch {
	case c.Certificate != "" && c.Key == "":
		fault("key", "missing; certificate and key come together")
	case c.Certificate == "" && c.Key != "":
		fault("certificate", "missing; certificate and key come together")
	}
	return faults
}
