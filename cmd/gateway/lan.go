package gateway

import (
	"cmp"
	"net"
	"slices"

	"edgeshadow/config"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
)

// Where devices of the LAN come in when the configuration names no listeners.
const (
	lanAddress  = ":8883" // with a certificate
	deskAddress = ":8444" // to trade a token for one
)

// brokerConfig is what the broker is to be. Where the configuration names no
// listeners there is the one on loopback; as soon as a device is enrolled, or a
// token waits for one, that for the LAN, which takes certificates only; and while
// a token waits one for HTTPS: nothing is open that nobody needs. An address that
// can't be had costs the LAN, and not the gateway.
func (g *Gateway) brokerConfig(cfg *config.Config) broker.Config {
	if cfg.NamesListeners() {
		return cfg.Broker
	}
	out := cfg.Broker
	out.Listeners = slices.Clip(out.Listeners)
	open := func(protocol, address string) {
		if !g.listensOn(address) {
			l, err := net.Listen("tcp", address)
			if err != nil {
				g.log.Warn("devices are to come in, and nothing listens for them", "err", err, "hint", "name an address in broker.listeners")
				return
			}
			_ = l.Close()
		}
		out.Listeners = append(out.Listeners,
			broker.Listener{Address: address, Protocol: protocol, TLS: &broker.TLS{Auto: true}, Auth: []string{access.Certificate}})
	}
	enrolled, _ := g.access.Enrolled() // a store that can't be read ends the gateway
	waiting, _ := g.access.Waiting()
	if len(enrolled) > 0 || waiting {
		open(broker.MQTT, cmp.Or(g.options.LAN, lanAddress))
	}
	if waiting {
		open(broker.HTTP, cmp.Or(g.options.Desk, deskAddress))
	}
	return out
}

func (g *Gateway) listensOn(address string) bool {
	return slices.ContainsFunc(g.listeners(), func(l broker.Listener) bool { return l.Address == address })
}

// listeners are those that the broker has.
func (g *Gateway) listeners() []broker.Listener {
	if l := g.listening.Load(); l != nil {
		return *l
	}
	return nil
}

// prepareBroker remembers what it listens on.
func (g *Gateway) prepareBroker(cfg *config.Config) (commit, discard func(), err error) {
	next := g.brokerConfig(cfg)
	apply, discard, err := g.broker.Prepare(next)
	return func() {
		apply()
		g.listening.Store(&next.Listeners)
	}, discard, err
}

// openLAN has the broker listen for the first device that is enrolled, or is to be.
func (g *Gateway) openLAN() {
	if !g.serving.Load() {
		return
	}
	g.reloading.Lock()
	defer g.reloading.Unlock()
	cfg := g.cfg.Load()
	if !slices.ContainsFunc(g.brokerConfig(cfg).Listeners, func(l broker.Listener) bool { return !g.listensOn(l.Address) }) {
		return
	}
	commit, _, err := g.prepareBroker(cfg)
	if err != nil {
		g.log.Warn("no listener for the device that was enrolled", "err", err)
		return
	}
	commit()
}
