package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/cmd/pubsub"
	"edgeshadow/config"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
)

// brokerFlags are where pub, sub and pubsub connect to.
type brokerFlags struct {
	pubsub.Target
	command string
	config  *string
	cloud   bool
}

func addBrokerFlags(c *cobra.Command) *brokerFlags {
	t := &brokerFlags{command: c.Name(), config: configFlag(c)}
	f := c.Flags()
	f.StringVar(&t.Endpoint, "endpoint", "", "host[:port], or mqtt://, mqtts://, ws://, wss://, unix://; default: this gateway's own listener")
	f.StringVar(&t.Endpoint, "host", "", "the same as --endpoint")
	f.IntVar(&t.Port, "port", 0, "port; default: 1883, with TLS 8883")
	f.BoolVar(&t.WebSocket, "ws", false, "MQTT over WebSocket")
	f.StringVar(&t.Certificate, "cert", "", "client certificate, a PEM file")
	f.StringVar(&t.Key, "key", "", "its key, a PEM file")
	f.StringVar(&t.CA, "ca", "", "who signed the broker's certificate, a PEM file; default: the system's authorities")
	f.StringVar(&t.User, "user", "", "user name")
	f.StringVar(&t.Password, "password", "", "its password; env:NAME and file:PATH keep it out of the process list")
	f.StringVar(&t.ClientID, "client-id", "", "client id; default: one of its own")
	f.BoolVar(&t.cloud, "cloud", false, "the cloud of the configuration, with the gateway's certificate")
	return t
}

// target is what the flags and the configuration come to. Own tells that it is
// this gateway.
func (t *brokerFlags) target() (target pubsub.Target, own bool, err error) {
	target = t.Target
	if target.Password, err = readSecret(target.Password); err != nil {
		return target, false, err
	}
	target.ClientID = cmp.Or(target.ClientID, "edgeshadow-"+t.command+"-"+rand.Text()[:8])
	switch {
	case t.cloud && t.Endpoint != "":
		return target, false, usageError{errors.New("--cloud and --endpoint are two places"), "edgeshadow " + t.command}
	case t.cloud:
		return target, false, t.toCloud(&target)
	case t.Endpoint != "":
		return target, false, nil
	}
	return target, true, t.toGateway(&target)
}

// toCloud takes what the uplink has.
func (t *brokerFlags) toCloud(target *pubsub.Target) error {
	cfg, err := config.Load(*t.config)
	if err != nil {
		return err
	}
	if cfg.Cloud == nil {
		return hintedError{errors.New("the configuration has no section cloud"), "--endpoint, --cert, --key and --ca name another"}
	}
	if target.ClientID == cfg.Gateway.Thing {
		return hintedError{fmt.Errorf("client id %s is that of the uplink, which would be thrown out", target.ClientID), "leave --client-id away"}
	}
	cloud := *cfg.Cloud
	cloud.Certificate, cloud.Key = cmp.Or(t.Certificate, cloud.Certificate), cmp.Or(t.Key, cloud.Key)
	cloud.CA = cmp.Or(t.CA, cloud.CA)
	target.Open = cloud.Open
	if target.Endpoint = cloud.Endpoint; !strings.Contains(target.Endpoint, "://") {
		target.Endpoint = "mqtts://" + target.Endpoint
	}
	return nil
}

// toGateway takes the listener that is made for programs on the gateway itself.
func (t *brokerFlags) toGateway(target *pubsub.Target) error {
	listeners := broker.Default().Listeners
	cfg, err := config.Load(*t.config)
	switch {
	case err == nil:
		listeners = cfg.Broker.Listeners
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, l := range listeners {
		host, port, _ := net.SplitHostPort(l.Address)
		anonymous := len(l.Auth) == 0 || slices.Contains(l.Auth, access.Anonymous) || target.User != ""
		switch {
		case l.Protocol == broker.Unix && anonymous:
			target.Endpoint = "unix://" + l.Address
			return nil
		case l.TLS != nil || !anonymous || !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, host):
		case t.Port != 0 && port != fmt.Sprint(t.Port):
		case l.Protocol == broker.WS:
			target.Endpoint = "ws://" + l.Address
			return nil
		case l.Protocol == "" || l.Protocol == broker.MQTT:
			target.Endpoint = "mqtt://" + l.Address
			return nil
		}
	}
	return hintedError{errors.New("the configuration has no listener on loopback without TLS"), "--endpoint, --cert, --key and --ca name one"}
}

// readSecret reads a password that is somewhere else.
func readSecret(s string) (string, error) {
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		return os.Getenv(name), nil
	}
	if path, ok := strings.CutPrefix(s, "file:"); ok {
		data, err := os.ReadFile(path)
		return strings.TrimRight(string(data), "\r\n"), err
	}
	return s, nil
}

// dial connects to the target, and says what may be wrong when it can't.
func (t *brokerFlags) dial(c *cobra.Command, message func(pubsub.Message)) (*pubsub.Client, error) {
	target, own, err := t.target()
	if err != nil {
		return nil, faulty(c, err)
	}
	client, err := pubsub.Dial(c.Context(), target, message)
	switch {
	case err == nil:
		return client, nil
	case errors.Is(err, pubsub.ErrUnreachable) && t.cloud:
		_, hint := upstream.Explain(err)
		return nil, hintedError{err, hint}
	case errors.Is(err, pubsub.ErrUnreachable) && own:
		return nil, fmt.Errorf("%w: %w", console.ErrUnreachable, err)
	case errors.Is(err, pubsub.ErrRefused) && !t.cloud:
		return nil, hintedError{err, "edgeshadow access denied tells why, when the broker is this gateway"}
	case errors.Is(err, pubsub.ErrRefused):
		return nil, hintedError{err, "the policy of the certificate must allow iot:Connect for this client id: --client-id"}
	}
	return nil, err
}
