package upstream

import (
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// State of the connection.
type State string

const (
	Down       State = "down"
	Connecting State = "connecting"
	Up         State = "up"
)

// repeatEvery is after how many failures a lasting one is told again.
const repeatEvery = 20

// Status is what the connection is like, and why.
type Status struct {
	State    State     `json:"state"`
	Since    time.Time `json:"since"`
	Why      string    `json:"why,omitempty"`  // the last failure, while it lasts
	Hint     string    `json:"hint,omitempty"` // its cure
	Connects int       `json:"connects"`       // since the start
	Failures int       `json:"failures"`       // in a row
}

// Status reads it.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.State == "" {
		return Status{State: Down}
	}
	return c.status
}

func (c *Client) wasUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status.Failures <= 1
}

// set moves the state and logs: the first failure, then one now and then, and the end.
func (c *Client) set(s State, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.State != s {
		c.status.Since = time.Now()
	}
	c.status.State = s
	if err != nil {
		c.status.Failures++
		c.status.Why, c.status.Hint = explain(err)
		if c.status.Failures%repeatEvery == 1 {
			c.Log.Warn("uplink down", "err", c.status.Why, "hint", c.status.Hint, "failures", c.status.Failures)
		}
	}
	if s == Up {
		c.status.Connects++
		c.Log.Info("uplink up", "endpoint", c.Config.Endpoint, "failures", c.status.Failures)
		c.status.Why, c.status.Hint, c.status.Failures = "", "", 0
	}
}

// clockFloor is a date before which this program did not exist: a clock that
// shows less was never set.
var clockFloor = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// explain turns an error of a connection into a cause and, if there is one, a cure.
func explain(err error) (why, hint string) {
	why = err.Error()
	var hinted interface{ Hint() string }
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	switch {
	case errors.As(err, &hinted):
		return why, hinted.Hint()
	case errors.As(err, &dns):
		return why, "the name of cloud.endpoint does not resolve: check the name, and the DNS server of this machine"
	case errors.Is(err, syscall.ECONNREFUSED):
		return why, "nothing listens there: check host and port of cloud.endpoint, and the firewall"
	case errors.As(err, &unknown):
		return why, "cloud.ca does not hold the root of the server's certificate"
	case errors.As(err, &hostname):
		return why, "the server's certificate is for another name than cloud.endpoint"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(clockFloor):
		return "the clock is not set: " + why, "set the clock of this machine (timedatectl), or wait for NTP"
	case errors.As(err, &invalid):
		return why, "the server's certificate is not valid now: check it, and the clock of this machine"
	case errors.Is(err, packets.ErrorRefusedNotAuthorised), errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword):
		return why, "the server refuses this client: check that the certificate is active and its policy allows iot:Connect"
	case errors.Is(err, os.ErrNotExist):
		return why, "check the paths in the section cloud"
	case strings.Contains(why, "remote error: tls"):
		return why, "the server refuses the client certificate: is it the one that is registered, and active?"
	case strings.HasSuffix(why, "EOF"):
		return why, "the server closed the connection: AWS does so when the policy refuses, or when another client has the same client id"
	}
	return why, ""
}
