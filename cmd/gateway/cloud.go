package gateway

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"edgeshadow/bridge"
	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
	"edgeshadow/config"
	"edgeshadow/localshadow/broker"
)

// openCloud makes what works towards the cloud: the reconciler, the relay, and
// the connection under both.
func (g *Gateway) openCloud(cfg *config.Config) (err error) {
	if g.sync, err = bridge.Open(cfg.Reconciler(), g.store, g.service, g.log); err != nil {
		return err
	}
	origin := relay.Origin{Gateway: cfg.Gateway.Thing, Boot: g.store.Boot()}
	if g.relay, err = relay.Open(cfg.Relay, cfg.Journal, filepath.Join(cfg.Store.Path, "relay"), origin, g.log); err != nil {
		return err
	}
	g.relay.Local, g.relay.Room = relayed{g.broker}, g.floor.room
	g.relay.SetPace(backlogPace(cfg.Cloud.Config))
	g.broker.Relay = relays{g.relay}
	ends := &ends{sync: g.sync, relay: g.relay}
	g.uplink = &upstream.Pool{InPlaceOf: g.inPlaceOf, Client: upstream.Client{
		Config: cfg.Cloud.Config, ClientID: cfg.Gateway.Thing, Filters: filters(g.relay.Filters()), Log: g.log,
		Handler: ends, Aside: ends.aside, Backoff: g.options.Backoff,
	}}
	ends.uplink = g.uplink
	g.sync.Meter(meter{g.uplink})
	g.sync.Connect(timedCloud{g.uplink, g.timings.RoundTrip})
	g.sync.Know(cfg.Gateway.Thing)
	for name := range cfg.Things {
		g.sync.Know(name)
	}
	g.service.Observe(g.sync)
	return nil
}

// filters are those of the reconciler and of the relay.
func filters(relay []string) []string { return slices.Concat(bridge.Filters(), relay) }

// inPlaceOf are the filters of each thing, for a policy that refuses to be asked
// for all things at once.
func (g *Gateway) inPlaceOf(filter string) []string {
	const prefix = "$aws/things/+/"
	rest, ok := strings.CutPrefix(filter, prefix)
	if !ok {
		return nil
	}
	var out []string
	for _, thing := range g.sync.Things() {
		out = append(out, "$aws/things/"+thing+"/"+rest)
	}
	return out
}

// backlogPace leaves half of what a connection may send to what happens now.
func backlogPace(c upstream.Config) rate.Limit {
	if n := c.Rate(); n > 0 {
		return rate.Limit(max(1, n/2))
	}
	return rate.Inf
}

// prepareCloud takes other credentials, and other rules of the relay. Beginning
// and ending to have a cloud at all takes a restart.
func (g *Gateway) prepareCloud(cfg *config.Config) (commit, discard func(), err error) {
	if (cfg.Cloud == nil) != (g.uplink == nil) {
		return nil, nil, &RestartError{[]string{"cloud"}}
	}
	if cfg.Cloud == nil {
		return func() {}, func() {}, nil
	}
	rules, forget, err := g.relay.Prepare(cfg.Relay, cfg.Journal)
	if err != nil {
		return nil, nil, err
	}
	settings, _, err := g.uplink.Prepare(cfg.Cloud.Config, filters(cfg.Relay.Filters(cfg.Journal)))
	if err != nil {
		forget()
		return nil, nil, err
	}
	return func() {
		rules()
		g.relay.SetPace(backlogPace(cfg.Cloud.Config))
		settings()
	}, forget, nil
}

// ends shares the connection between the reconciler and the relay.
type ends struct {
	sync   *bridge.Reconciler
	relay  *relay.Relay
	uplink *upstream.Pool
}

func (e *ends) Up(kept bool) {
	if s := e.uplink.Session(); s != nil { // else it is lost again
		e.relay.Up(session{s})
	}
	e.sync.Up(kept)
}

func (e *ends) Down(err error) {
	e.relay.Down()
	e.sync.Down(err)
}

func (e *ends) Message(topic string, payload []byte, ack func()) { e.sync.Message(topic, payload, ack) }

// aside gives the relay what is no answer of the shadow service.
func (e *ends) aside(m upstream.Message, ack func()) bool {
	if strings.HasPrefix(m.Topic, "$") {
		return false
	}
	e.relay.Message(m.Topic, m.Payload, m.QoS, m.Retain, ack)
	return true
}

// session is a connection as the relay wants it.
type session struct{ *upstream.Session }

func (s session) Send(ctx context.Context, topic string, payload []byte, qos byte, retain bool, done func(error)) {
	s.Session.Send(ctx, upstream.Message{Topic: topic, Payload: payload, QoS: qos, Retain: retain}, done)
}

// relays is the relay as the broker wants it.
type relays struct{ *relay.Relay }

func (r relays) Take(ctx context.Context, m broker.Message, acked func()) bool {
	return r.Relay.Take(ctx, relay.Message{Topic: m.Topic, Payload: m.Payload, Retain: m.Retain}, acked)
}

// relayed is the broker as the relay wants it.
type relayed struct{ *broker.Broker }

func (b relayed) Send(topic string, payload []byte, qos byte, retain bool, kept func()) {
	b.Broker.Send(broker.Message{Topic: topic, Payload: payload, QoS: qos, Retain: retain}, kept)
}
