package gateway

import (
	"net"

	"edgeshadow/config"
	"edgeshadow/localshadow/broker"
)

// lanAddress is where devices of the LAN connect that have a certificate.
const lanAddress = ":8883"

// brokerConfig is what the broker is to be. Where the configuration names no
// listeners there is the one on loopback, and as soon as a device is enrolled
// one for the LAN, which takes certificates only: nothing is open that nobody
// needs. An address that can't be had costs the LAN, and not the gateway.
func (g *Gateway) brokerConfig(cfg *config.Config) broker.Config {
	if cfg.NamesListeners() {
		return cfg.Broker
	}
	enrolled, err := g.access.Enrolled()
	if err != nil || len(enrolled) == 0 {
		return cfg.Broker
	}
	address := g.options.LAN
	if address == "" {
		address = lanAddress
	}
	if !g.lan.Load() {
		l, err := net.Listen("tcp", address)
		if err != nil {
			g.log.Warn("devices are enrolled, and nothing listens for them", "err", err, "hint", "name an address in broker.listeners")
			return cfg.Broker
		}
		_ = l.Close()
	}
	g.lan.Store(true)
	out := cfg.Broker
	out.Listeners = append(out.Listeners[:len(out.Listeners):len(out.Listeners)],
		broker.Listener{Address: address, TLS: &broker.TLS{Auto: true}, Auth: []string{broker.Certificate}})
	return out
}

// openLAN has the broker listen for the first device that is enrolled.
func (g *Gateway) openLAN() {
	if !g.serving.Load() || g.lan.Load() || g.cfg.Load().NamesListeners() {
		return
	}
	g.reloading.Lock()
	defer g.reloading.Unlock()
	commit, _, err := g.broker.Prepare(g.brokerConfig(g.cfg.Load()))
	if err != nil {
		g.log.Warn("no listener for the device that was enrolled", "err", err)
		return
	}
	commit()
}
