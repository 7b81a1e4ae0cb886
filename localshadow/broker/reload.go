package broker

import (
	"errors"
	"net"
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Prepare readies another configuration of a broker that runs: it binds the
// addresses that are new and reads certificates. Commit puts it into force, and
// can't fail; discard undoes what was done. One of the two must be called.
//
// A listener whose address stays keeps its socket and its clients: what else
// changed, certificates too, holds for connections from then on. One that is
// gone ends its clients.
func (b *Broker) Prepare(cfg Config) (commit, discard func(), err error) {
	b.binding.Lock()
	left := slices.Clone(b.bound)
	b.binding.Unlock()
	kept := make([]*listener, len(cfg.Listeners))
	for i, c := range cfg.Listeners {
		if j := slices.IndexFunc(left, c.same); j >= 0 {
			kept[i] = left[j]
			left = slices.Delete(left, j, j+1)
		}
	}
	var bound, added []*listener
	var changes []func()
	discard = func() {
		for _, l := range added {
			_ = l.net.Close()
		}
	}
	for i, c := range cfg.Listeners {
		l := kept[i]
		var r *rules
		if l == nil {
			if l, err = b.listen(c, left); err == nil {
				added = append(added, l)
			}
		} else if r, err = c.rules(b.ca); err == nil {
			changes = append(changes, func() { l.rules.Store(r) })
		}
		if err != nil {
			discard()
			return nil, nil, err
		}
		bound = append(bound, l)
	}
	return func() {
		b.rate.Store(cfg.Limits.rate())
		for _, change := range changes {
			change()
		}
		b.binding.Lock()
		b.bound = bound
		b.binding.Unlock()
		for _, l := range added {
			b.serve(l)
		}
		for _, l := range left {
			b.server.Listeners.Close(l.id, b.endClients)
			b.server.Listeners.Delete(l.id)
		}
	}, discard, nil
}

// same tells whether a listener has the socket that is wanted.
func (l Listener) same(is *listener) bool {
	return is.address == l.Address && (is.rules.Load().protocol == Unix) == (l.protocol() == Unix)
}

// bindAll binds the listeners of the start.
func (b *Broker) bindAll() error {
	for _, cfg := range b.cfg.Listeners {
		l, err := b.listen(cfg, nil)
		if err == nil {
			b.bound = append(b.bound, l)
			err = b.server.AddListener(l)
		}
		if err != nil {
			for _, l := range b.bound {
				err = errors.Join(err, l.net.Close())
			}
			return err
		}
	}
	return nil
}

// serve begins to accept on a listener that is bound.
func (b *Broker) serve(l *listener) {
	if err := b.server.AddListener(l); err != nil { // never: ids are our own
		l.log.Warn("listener", "err", err)
		return
	}
	b.server.Listeners.Serve(l.id, b.server.EstablishConnection)
	l.log.Info("listening")
}

// endClients disconnects those that came through a listener.
func (b *Broker) endClients(listener string) {
	for _, cl := range b.server.Clients.GetByListener(listener) {
		b.end(cl, packets.ErrServerShuttingDown)
	}
}

// end disconnects a client; of those of MQTT 5 with a reason.
func (b *Broker) end(cl *mqtt.Client, code packets.Code) {
	if cl.Properties.ProtocolVersion == 5 {
		_ = b.server.DisconnectClient(cl, code) // returns the code
		return
	}
	cl.Stop(code) // MQTT 3.1.1 has no such packet for clients
}

// Addrs are the bound addresses, in the order of the configuration.
func (b *Broker) Addrs() []net.Addr {
	b.binding.Lock()
	defer b.binding.Unlock()
	var out []net.Addr
	for _, l := range b.bound {
		out = append(out, l.net.Addr())
	}
	return out
}
