package pubsub

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
)

// Target is where to connect and how to be known there.
type Target struct {
	Endpoint    string // [mqtt|mqtts|ws|wss://]host[:port] or unix:///path
	Port        int    // 0: the endpoint's, or that of its protocol
	WebSocket   bool   // when the endpoint names no protocol
	Certificate string // PEM file, and so Key and CA; each of them means TLS
	Key         string
	CA          string // of the broker; empty: the system's
	User        string
	Password    string
	ClientID    string
	// Open connects as far as MQTT; nil: by the fields above. Endpoint is for people then.
	Open func(context.Context) (net.Conn, error)
}

// awsPort is where AWS IoT takes MQTT from those who ask for it by ALPN
// (SHADOW 20).
const awsPort = "443"

var ports = map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}

// schemes are the library's words for ours.
var schemes = map[string]string{"mqtt": "tcp", "mqtts": "ssl", "ws": "ws", "wss": "wss", "unix": "unix"}

// secured tells whether the endpoint, or what is to be shown to it, wants TLS.
func (t Target) secured(port string) bool {
	return t.Certificate != "" || t.Key != "" || t.CA != "" || port == "8883" || port == "443" || port == "8443"
}

// URL is the endpoint in full.
func (t Target) URL() (*url.URL, error) {
	endpoint := t.Endpoint
	if !strings.Contains(endpoint, "://") {
		_, port, _ := net.SplitHostPort(endpoint)
		if t.Port != 0 {
			port = fmt.Sprint(t.Port)
		}
		protocol := map[bool]string{false: "mqtt", true: "ws"}[t.WebSocket]
		if t.secured(port) {
			protocol += "s"
		}
		endpoint = protocol + "://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", t.Endpoint, err)
	}
	if schemes[u.Scheme] == "" {
		return nil, fmt.Errorf("endpoint %q: want mqtt://, mqtts://, ws://, wss:// or unix://", t.Endpoint)
	}
	if u.Scheme == "unix" {
		return u, nil
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("endpoint %q names no host", t.Endpoint)
	}
	port := cmp.Or(u.Port(), ports[u.Scheme])
	if t.Port != 0 {
		port = fmt.Sprint(t.Port)
	}
	u.Host = net.JoinHostPort(u.Hostname(), port)
	if strings.HasPrefix(u.Scheme, "ws") && u.Path == "" {
		u.Path = "/mqtt"
	}
	return u, nil
}

// tlsConfig reads the files.
func (t Target) tlsConfig(u *url.URL) (*tls.Config, error) {
	if u.Scheme != "mqtts" && u.Scheme != "wss" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	if u.Scheme == "mqtts" && u.Port() == awsPort {
		c.NextProtos = []string{"x-amzn-mqtt-ca"}
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("CA: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA: no certificate in %s", t.CA)
		}
	}
	if t.Certificate != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
