package broker

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// maxAliases is how many topic aliases a client of MQTT 5 may have, and how many
// are used towards one that allows for more.
const maxAliases = 32

// resolve puts the topic in the place of its alias. An alias is known only to
// the connection that it came on [MQTT-3.3.2-7]. False: it is none.
func (c *conn) resolve(pk *packets.Packet) bool {
	p := &pk.Properties
	if !p.TopicAliasFlag {
		return true
	}
	alias := p.TopicAlias
	if alias == 0 || alias > maxAliases {
		return false
	}
	p.TopicAlias, p.TopicAliasFlag = 0, false
	if pk.TopicName == "" {
		pk.TopicName = c.aliases[alias]
		return pk.TopicName != ""
	}
	if c.aliases == nil {
		c.aliases = map[uint16]string{}
	}
	c.aliases[alias] = strings.Clone(pk.TopicName) // it is part of the packet's buffer
	return true
}

// abbreviate gives a topic an alias while the client has places for them, the
// first topics first, and leaves the topic out once the client knows it.
func (l *link) abbreviate(p *publication) {
	if l.aliasing == 0 {
		return
	}
	if p.alias, p.known = l.aliases[p.m.topic]; p.known || len(l.aliases) >= l.aliasing {
		return
	}
	if l.aliases == nil {
		l.aliases = map[string]uint16{}
	}
	p.alias = uint16(len(l.aliases) + 1)
	l.aliases[strings.Clone(p.m.topic)] = p.alias
}

// unknow takes an alias back that was not sent.
func (l *link) unknow(p *publication) {
	if p.alias > 0 && !p.known {
		delete(l.aliases, p.m.topic)
	}
}
