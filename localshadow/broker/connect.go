package broker

import (
	"fmt"
	"slices"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Bounds of a client (SHADOW 18, 27).
const (
	maxClientID  = 128
	maxKeepalive = 1200 // seconds; also what 0 becomes, so that a dead peer is noticed
)

// refusal is why a CONNECT is refused.
type refusal struct {
	code packets.Code
	why  string
}

// OnConnect decides who a client is and whether it may come in, and bounds what
// it asks for. Its principal is kept in Properties.Username, where mochi keeps
// it with the session.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	c := connOf(cl)
	who, no := h.admit(cl, c, pk)
	if no != nil {
		h.b.stats.refused.Add(1)
		h.b.log.Info("client refused", "client", clip(cl.ID), "remote", cl.Net.Remote, "err", no.why)
		_ = h.b.server.SendConnack(cl, connackCode(cl, no.code), false, nil)
		return no.code
	}
	c.admit(cl)
	cl.Properties.Username = []byte(who)
	if c.emptyWill {
		cl.Properties.Will.Payload = nil
	}
	if cl.State.Keepalive == 0 || cl.State.Keepalive > maxKeepalive {
		cl.State.Keepalive = maxKeepalive
		cl.State.ServerKeepalive = true // [MQTT-3.2.2-21]
	}
	// An alias is known only to the connection that it was sent on, but a
	// message that is repeated later carries it too.
	cl.Properties.Props.TopicAliasMaximum = 0
	unlimited(cl)
	return nil
}

// OnConnectAuthenticate has nothing left to decide.
func (h *hook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (h *hook) admit(cl *mqtt.Client, c *conn, pk packets.Packet) (who string, no *refusal) {
	if fault := checkClientID(cl.ID); fault != "" {
		return "", &refusal{packets.ErrClientIdentifierNotValid, fault}
	}
	if no := checkWill(pk.Connect); no != nil {
		return "", no
	}
	who, fault := h.b.identify(cl.Net.Listener, c)
	if fault != "" {
		return "", &refusal{packets.ErrNotAuthorized, fault}
	}
	c.held.take(h.b.turns.of(cl.ID))
	if old, ok := h.b.server.Clients.Get(cl.ID); ok && string(old.Properties.Username) != who {
		return "", &refusal{packets.ErrNotAuthorized, fmt.Sprintf("the session of this client id belongs to %s, not to %s", old.Properties.Username, who)}
	}
	return who, nil
}

// checkClientID refuses ids that mean something to the broker or to AWS IoT.
func checkClientID(id string) string {
	switch {
	case id == mqtt.InlineClientId:
		return "the client id inline is the gateway's own"
	case strings.HasPrefix(id, "$"):
		return "the client id begins with $"
	case len(id) > maxClientID:
		return "the client id is longer than 128 bytes"
	}
	return ""
}

// checkWill holds a last will to the rules of a PUBLISH. One for a shadow topic
// is sent to its subscribers, and is no shadow update (SHADOW 16).
func checkWill(p packets.ConnectParams) *refusal {
	switch {
	case !p.WillFlag:
		return nil
	case !validTopic(p.WillTopic):
		return &refusal{packets.ErrTopicNameInvalid, "its last will names the invalid topic " + clip(p.WillTopic)}
	case !mayPublish(p.WillTopic):
		return &refusal{packets.ErrNotAuthorized, "its last will names the reserved topic " + clip(p.WillTopic)}
	case reserved(p.WillTopic) && p.WillRetain:
		return &refusal{packets.ErrNotAuthorized, "its last will is retained on the reserved topic " + clip(p.WillTopic)}
	}
	return nil
}

// identify tells who a client is: the common name of its certificate, or
// anonymous. User names are not looked at: AWS SDKs send one, without a
// password, beside their certificate (SHADOW 31).
func (b *Broker) identify(id string, c *conn) (who, fault string) {
	i := slices.IndexFunc(b.bound, func(l *listener) bool { return l.id == id })
	auth := b.bound[i].auth
	if t := c.TLS(); t != nil && slices.Contains(auth, Certificate) {
		if chain := t.ConnectionState().PeerCertificates; len(chain) > 0 {
			if name := chain[0].Subject.CommonName; name != "" {
				return "certificate:" + name, ""
			}
			return "", "its certificate has no common name"
		}
	}
	if slices.Contains(auth, Anonymous) {
		return Anonymous, ""
	}
	return "", "it shows no certificate"
}

// connackCode is a code as the client's version knows it; SHADOW 18 has 5 where
// MQTT 5 has many.
func connackCode(cl *mqtt.Client, code packets.Code) packets.Code {
	switch {
	case cl.Properties.ProtocolVersion == 5:
		return code
	case code == packets.ErrClientIdentifierNotValid:
		return packets.Err3ClientIdentifierNotValid
	}
	return packets.Err3NotAuthorized
}
