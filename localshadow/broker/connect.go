package broker

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow/access"
)

// Bounds of a client (SHADOW 18, 27).
const (
	maxClientID  = 128
	maxKeepalive = 1200 // seconds, of MQTT 5, which is told; also what 0 becomes, so that a dead peer is noticed
)

// refusal is why a CONNECT is refused.
type refusal struct {
	code packets.Code
	why  string
	told bool // by Access
}

// OnConnect decides who a client is and whether it may come in, and bounds what
// it asks for.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	c := connOf(cl)
	who, no := h.admit(cl, c, pk)
	if no != nil {
		h.b.stats.refused.Add(1)
		level := slog.LevelInfo
		if no.told {
			level = slog.LevelDebug
		}
		h.b.log.Log(h.b.ctx, level, "client refused", "client", clip(cl.ID), "remote", cl.Net.Remote, "err", no.why)
		_ = h.b.server.SendConnack(cl, connackCode(cl, no.code), false, nil)
		if no.code == packets.ErrNotAuthorized {
			h.b.refuse(cl, c)
		}
		return no.code
	}
	c.principal = who
	if code := h.begin(cl, c, pk); code != packets.CodeSuccess {
		h.b.stats.refused.Add(1)
		_ = h.b.server.SendConnack(cl, code, false, nil)
		return code
	}
	if cl.Properties.ProtocolVersion == 5 && (cl.State.Keepalive == 0 || cl.State.Keepalive > maxKeepalive) {
		cl.State.Keepalive = maxKeepalive
		cl.State.ServerKeepalive = true // [MQTT-3.2.2-21]
	}
	c.admit(cl)
	cl.State.Inflight.ResetReceiveQuota(1 << 30) // exchanges are bounded in readPublish
	return nil
}

// begin gives the connection its session. What the store must know of it is on
// disk when the client hears of it.
func (h *hook) begin(cl *mqtt.Client, c *conn, pk packets.Packet) packets.Code {
	h.b.takeOver(cl.ID)
	due, changed, err := h.b.open(cl, c, pk, c.principal)
	due.send(h.b)
	if err != nil {
		h.b.log.Warn("client refused", "client", cl.ID, "remote", cl.Net.Remote, "err", err)
		return packets.ErrServerUnavailable
	}
	if changed && !h.b.keeper.sync() {
		return packets.ErrServerUnavailable
	}
	return packets.CodeSuccess
}

// OnConnectAuthenticate has nothing left to decide.
func (h *hook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (h *hook) admit(cl *mqtt.Client, c *conn, pk packets.Packet) (who Principal, no *refusal) {
	if fault := checkClientID(cl.ID); fault != "" {
		return nil, &refusal{code: packets.ErrClientIdentifierNotValid, why: fault}
	}
	if no := checkWill(pk.Connect); no != nil {
		return nil, no
	}
	if pk.Properties.AuthenticationMethod != "" { // [MQTT-4.12.0-1]
		return nil, &refusal{code: packets.ErrBadAuthenticationMethod, why: "it asks for an authentication method, of which there is none"}
	}
	who, err := h.b.Access.Authenticate(credentials(cl, c, pk))
	if err != nil {
		_, trusts := h.b.Access.(trusting)
		return nil, &refusal{packets.ErrNotAuthorized, err.Error(), !trusts}
	}
	if !mayConnect(who, cl.ID, pk.Connect) {
		return nil, &refusal{packets.ErrNotAuthorized, "its policies do not allow it", true}
	}
	c.held.take(h.b.turns.of(cl.ID))
	if holder := h.b.sessions.holder(cl.ID); holder != "" && holder != who.Name() {
		return nil, &refusal{
			code: packets.ErrNotAuthorized,
			why:  fmt.Sprintf("%s is connected with this client id, which %s may not take from it", holder, who.Name()),
		}
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
		return &refusal{code: packets.ErrTopicNameInvalid, why: "its last will names the invalid topic " + clip(p.WillTopic)}
	case !mayPublish(p.WillTopic):
		return &refusal{code: packets.ErrNotAuthorized, why: "its last will names the reserved topic " + clip(p.WillTopic)}
	case reserved(p.WillTopic) && p.WillRetain:
		return &refusal{code: packets.ErrNotAuthorized, why: "its last will is retained on the reserved topic " + clip(p.WillTopic)}
	}
	return nil
}

// credentials are what a CONNECT shows.
func credentials(cl *mqtt.Client, c *conn, pk packets.Packet) access.Credentials {
	out := access.Credentials{
		Listener: c.from.listener.address, Auth: c.from.admits, Remote: c.RemoteAddr(), Certificate: c.certificate(), Request: c.from.request,
		User: string(pk.Connect.Username),
		Will: pk.Connect.WillFlag, WillTopic: pk.Connect.WillTopic, ClientID: cl.ID,
		Persistent: !pk.Connect.Clean,
	}
	if pk.Connect.PasswordFlag {
		out.Password = append([]byte{}, pk.Connect.Password...)
	}
	if cl.Properties.ProtocolVersion == 5 {
		out.Persistent = pk.Properties.SessionExpiryInterval > 0
	}
	return out
}

// certificate is the leaf that the client showed and the TLS layer verified.
func (c *conn) certificate() *x509.Certificate {
	if t := c.TLS(); t != nil {
		if chains := t.ConnectionState().VerifiedChains; len(chains) > 0 {
			return chains[0][0]
		}
	}
	return nil
}

// mayConnect asks for all that a CONNECT does: its last will is published
// without being asked again.
func mayConnect(who Principal, id string, p packets.ConnectParams) bool {
	return may(who, access.ActionConnect, id) &&
		(!p.WillFlag || may(who, access.ActionPublish, p.WillTopic)) &&
		(!p.WillFlag || !p.WillRetain || may(who, access.ActionRetainPublish, p.WillTopic))
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
