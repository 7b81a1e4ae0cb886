package broker

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// maxAliases is how many topic aliases a client of MQTT 5 may have.
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
