package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/config"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/broker/rest"
)

// Options are what a gateway's surroundings decide and its configuration does not.
type Options struct {
	Version string           // of the program, for status
	Socket  string           // where the API listens; empty: nowhere
	Log     *slog.Logger     // nil discards
	Backoff upstream.Backoff // of the uplink; zero: the default
	// LAN is where enrolled devices connect when the configuration names no
	// listeners; empty: every address, port 8883.
	LAN string
	// Desk is where they trade a token for a certificate then; empty: every
	// address, port 8444.
	Desk string
	// File is the main file of the configuration, for a reload and a backup;
	// empty: it did not come from one.
	File string
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
	g.timings = console.NewTimings()
	g.store.Committed, g.service.Served = g.timings.Commit.Observe, g.timings.Update.Observe
	if err = g.openTraffic(); err != nil {
		return nil, err
	}
	g.floor.space = g.store.Space

	if g.ca, err = access.OpenCA(filepath.Join(cfg.Store.Path, "pki")); err != nil {
		return nil, err
	}
	if hint := g.ca.ClockHint(); hint != "" {
		log.Warn("the clock is wrong", "hint", hint)
	}
	if err = g.openRegistry(cfg); err != nil {
		return nil, err
	}
	if g.access, err = access.Open(cfg.Access, g.store, access.Options{CA: g.ca, Things: things{g.registry}, Enrolled: g.enrolled, Revoked: g.forget, Expected: g.openLAN, Log: log}); err != nil {
		return nil, err
	}
	listen := g.brokerConfig(cfg)
	g.listening.Store(&listen.Listeners)
	g.broker = broker.New(listen, g.service, g.ca, log)
	g.broker.Store, g.broker.Access, g.broker.Public = g.store, gatekeeper{g.access}, g.access.Public()
	g.access.OnRevoke(g.dismiss)
	g.broker.Handler = &rest.API{Shadows: g.service, Broker: g.broker, Other: g.registryAPI(), Log: log}
	g.service.Publisher = g.broker

	if err = g.openField(cfg); err != nil {
		return nil, err
	}
	g.service.Observe(actuator{g.field, &g.cfg})

	if cfg.Cloud != nil {
		if err = g.openCloud(cfg); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, g.relay.Close())
			}
		}()
	}
	if err = g.knowRegistered(); err != nil {
		return nil, err
	}
	g.field.Ages = ages{g.store, g.sync}
	g.console = console.New(g, log)
	defer func() {
		if err != nil {
			err = errors.Join(err, g.console.Close())
		}
	}()
	if o.Socket != "" {
		if err := g.console.Listen(o.Socket); err != nil {
			// The gateway's work does not hang on its console.
			log.Warn("no API: commands can't reach this gateway", "err", err, "hint", console.SocketHint)
		} else {
			g.api = true
			g.service.Observe(g.console)
		}
	}
	if cfg.Gateway.Metrics != "" {
		if g.monitor, err = net.Listen("tcp", cfg.Gateway.Metrics); err != nil {
			return nil, fmt.Errorf("gateway.metrics: %w", err)
		}
	}
	if err = g.broker.Listen(); err != nil {
		if g.monitor != nil {
			err = errors.Join(err, g.monitor.Close())
		}
		return nil, err
	}
	return g, nil
}
