package broker

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Why a connection ended (SHADOW 17).
const (
	goodbye    = "CLIENT_INITIATED_DISCONNECT"
	takenOver  = "DUPLICATE_CLIENTID"
	silent     = "MQTT_KEEP_ALIVE_TIMEOUT"
	lost       = "CONNECTION_LOST"
	clientErr  = "CLIENT_ERROR"
	forbidden  = "AUTH_ERROR"
	throttled  = "THROTTLED"
	serverEnds = "SERVER_INITIATED_DISCONNECT"
	evicted    = "API_INITIATED_DISCONNECT"
)

const events = "$aws/events/"

// presence is what the events of one connection have in common.
type presence struct {
	Session   string `json:"sessionIdentifier,omitempty"`
	Principal string `json:"principalIdentifier,omitempty"`
	number    int64
}

// bootShift leaves room for the connections of one run below the number of the
// boot, so that version numbers grow through restarts, and below 2^53, which
// JavaScript counts to.
const bootShift = 32

// event is one lifecycle event (SHADOW 17), in the order of members on the wire.
type event struct {
	ClientID  string `json:"clientId"`
	Timestamp int64  `json:"timestamp"` // milliseconds, and no more than informs
	Type      string `json:"eventType"`
	presence
	Failure   string   `json:"connectFailureReason,omitempty"`
	Initiated *bool    `json:"clientInitiatedDisconnect,omitempty"`
	Reason    string   `json:"disconnectReason,omitempty"`
	Address   string   `json:"ipAddress,omitempty"`
	Version   *int64   `json:"versionNumber,omitempty"`
	Topics    []string `json:"topics,omitempty"`
}

// tell publishes an event about a client, if somebody subscribed to it. fill
// adds what is of its kind.
func (b *Broker) tell(kind, name, client string, p presence, fill func(*event)) {
	topic := events + kind + "/" + name + "/" + client
	if strings.ContainsAny(client, "+#") || len(b.filters.match(topic, nil)) == 0 {
		return
	}
	e := event{ClientID: client, Timestamp: time.Now().UnixMilli(), Type: name, presence: p}
	fill(&e)
	body, err := json.Marshal(e)
	if err != nil { // never: it is text and numbers
		b.log.Warn("event", "topic", topic, "err", err)
		return
	}
	b.Publish(topic, body)
}

// arrive is for a connection whose CONNECT was accepted.
func (b *Broker) arrive(cl *mqtt.Client, c *conn) {
	number := b.arrivals.Add(1)
	if b.Store != nil {
		number += int64(b.Store.Boot()) << bootShift
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	c.presence = presence{hex.EncodeToString(id), identifier(c.principal.Name(), c.certificate()), number}
	b.tell("presence", "connected", cl.ID, c.presence, func(e *event) {
		e.Address, e.Version = address(c), &number
	})
}

// identifier is that of a certificate, as AWS IoT makes it, or a name.
func identifier(name string, certificate *x509.Certificate) string {
	if certificate == nil {
		return name
	}
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

func address(c *conn) string {
	if addr := host(c.RemoteAddr()); addr.IsValid() {
		return addr.String()
	}
	return "" // of a Unix socket
}

// depart is for a connection that ended.
func (b *Broker) depart(cl *mqtt.Client, c *conn) {
	if c.presence.number == 0 {
		return // it never arrived
	}
	b.tell("presence", "disconnected", cl.ID, c.presence, func(e *event) {
		e.Reason = c.reason(cl)
		initiated := e.Reason == goodbye
		e.Initiated, e.Version = &initiated, &c.presence.number
	})
}

// refuse is for a client whose CONNECT was refused.
func (b *Broker) refuse(cl *mqtt.Client, c *conn) {
	b.tell("presence", "connect_failed", cl.ID, presence{Principal: identifier("", c.certificate())}, func(e *event) {
		e.Failure, e.Address = "AUTHORIZATION_FAILED", address(c)
	})
}

// subscribed is for the filters of a SUBSCRIBE or UNSUBSCRIBE that were granted.
func (b *Broker) subscribed(name string, cl *mqtt.Client, c *conn, filters packets.Subscriptions) {
	var granted []string
	for i, f := range filters {
		if c.wire.codes[i] < packets.CodeNoSubscriptionExisted.Code {
			granted = append(granted, f.Filter)
		}
	}
	if granted == nil {
		return // nothing changed
	}
	b.tell("subscriptions", name, cl.ID, c.presence, func(e *event) { e.Topics = granted })
}

// because notes why the gateway ends a connection; the first reason counts.
func (c *conn) because(reason string) { c.ending.CompareAndSwap(nil, &reason) }

// violated is the reason of a violation.
func (c *conn) violated(code packets.Code) {
	switch code {
	case packets.ErrNotAuthorized:
		c.because(forbidden)
	case packets.ErrMessageRateTooHigh:
		c.because(throttled)
	default:
		c.because(clientErr)
	}
}

// reason is why a connection ended.
func (c *conn) reason(cl *mqtt.Client) string {
	if r := c.ending.Load(); r != nil {
		return *r
	}
	c.mu.Lock()
	slow := errors.Is(c.err, errSlow)
	c.mu.Unlock()
	cause := cl.StopCause()
	var code packets.Code
	isCode := errors.As(cause, &code)
	switch {
	case slow:
		return throttled
	case isCode && (code == packets.CodeDisconnect || code == packets.CodeDisconnectWillMessage):
		return goodbye
	case isCode && code == packets.ErrSessionTakenOver:
		return takenOver
	case isCode && code == packets.ErrServerShuttingDown:
		return serverEnds
	case isCode:
		return clientErr
	case errors.Is(cause, os.ErrDeadlineExceeded):
		return silent
	}
	return lost
}

// ending is a reason, once there is one.
type ending = atomic.Pointer[string]
