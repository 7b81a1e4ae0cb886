package gateway

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/bridge"
	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/config"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
)

// Options are what a gateway's surroundings decide and its configuration does not.
type Options struct {
	Socket  string           // where the API listens; empty: nowhere
	Log     *slog.Logger     // nil discards
	Backoff upstream.Backoff // of the uplink; zero: the default
	// Load reads the configuration again, for a reload; nil: there is none.
	Load func() (*config.Config, error)
	// Hangup asks for a reload; nil: only the API does.
	Hangup <-chan os.Signal
}

// Open opens the store and binds every address, so that a store that is locked
// and an address in use are errors here.
func Open(cfg *config.Config, o Options) (_ *Gateway, err error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{options: o, log: log, began: time.Now()}
	g.cfg.Store(cfg)
	limitMemory(cfg.Gateway.Memory)
	if g.store, err = localshadow.OpenStore(cfg.Store, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.store.Close())
		}
	}()
	g.service = localshadow.NewService(g.store, log)

	var ca broker.CA
	if needsCA(cfg.Broker) {
		if ca, err = access.OpenCA(filepath.Join(cfg.Store.Path, "pki")); err != nil {
			return nil, err
		}
	}
	g.broker = broker.New(cfg.Broker, g.service, ca, log)
	g.service.Publisher = g.broker

	drivers := map[string]adapters.Driver{}
	for name, bus := range cfg.Buses {
		drivers[name] = modbus.New(name, bus, cfg.Things, log)
	}
	if g.field, err = adapters.New(cfg.Things, drivers, sink{g.service}, log); err != nil {
		return nil, err
	}
	g.service.Observe(actuator{g.field, &g.cfg})

	if cfg.Cloud != nil {
		if g.sync, err = bridge.Open(cfg.Sync, g.store, g.service, log); err != nil {
			return nil, err
		}
		g.uplink = &upstream.Client{
			Config: *cfg.Cloud, ClientID: cfg.Gateway.Thing, Filters: bridge.Filters(), Handler: g.sync, Log: log,
			Backoff: o.Backoff,
		}
		g.sync.Connect(g.uplink)
		g.sync.Know(cfg.Gateway.Thing)
		for name := range cfg.Things {
			g.sync.Know(name)
		}
		g.service.Observe(g.sync)
	}
	if o.Socket != "" {
		c := console.New(g, log)
		if err := c.Listen(o.Socket); err != nil {
			// The gateway's work does not hang on its console.
			log.Warn("no API: commands can't reach this gateway", "err", err, "hint", console.SocketHint)
		} else {
			g.console = c
			g.service.Observe(c)
		}
	}
	if err = g.broker.Listen(); err != nil {
		if g.console != nil {
			err = errors.Join(err, g.console.Close())
		}
		return nil, err
	}
	return g, nil
}

func needsCA(c broker.Config) bool {
	for _, l := range c.Listeners {
		if l.TLS != nil && (l.TLS.Auto || l.TLS.ClientCA == "") {
			return true
		}
	}
	return false
}
