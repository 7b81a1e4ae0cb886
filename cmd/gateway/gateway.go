// Package gateway builds a gateway from a configuration and runs it. It is the
// only package that knows all the others; what introduces them to each other
// stands in glue.go.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

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

// Gateway is one running gateway. Open makes it, Run serves.
type Gateway struct {
	cfg     *config.Config
	log     *slog.Logger
	began   time.Time
	store   *localshadow.Store
	service *localshadow.Service
	broker  *broker.Broker
	field   *adapters.Supervisor
	sync    *bridge.Reconciler // nil without an uplink
	uplink  *upstream.Client   // nil without one
	console *console.Server
}

// Options are what a gateway's surroundings decide and its configuration does not.
type Options struct {
	Socket  string           // where the API listens; empty: nowhere
	Log     *slog.Logger     // nil discards
	Backoff upstream.Backoff // of the uplink; zero: the default
}

// Open opens the store and binds every address, so that a store that is locked
// and an address in use are errors here.
func Open(cfg *config.Config, o Options) (_ *Gateway, err error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{cfg: cfg, log: log, began: time.Now()}
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
	g.service.Observe(actuator{g.field, cfg.Things})

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

// Run serves until ctx ends, and closes what Open opened. Nothing but the
// uplink needs a network.
func (g *Gateway) Run(ctx context.Context) error {
	// The store fails for good when the disk does: then nothing that is
	// promised can be kept, and the daemon ends so that systemd sees it.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-g.store.Failed():
			cancel(fmt.Errorf("the store failed: %w", g.store.Err()))
		case <-ctx.Done():
		}
	}()

	// Boot, in the order in which each needs what is before it:
	//  1. deltas that a power cut may have swallowed, before clients can write more
	//  2. the field: commands that are still outstanding are known before the first poll
	//  3. the broker, the field, the bridge and the uplink, together
	//  4. the console, which only looks
	// They stop together, on ctx; the store closes when all have ended: last
	// wills and last readings are still written.
	if g.store.Unclean() {
		if err := g.service.RepublishDeltas(ctx); err != nil {
			return errors.Join(fmt.Errorf("republish deltas: %w", err), g.close())
		}
	}
	if err := g.outstanding(); err != nil {
		return errors.Join(fmt.Errorf("read outstanding commands: %w", err), g.close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.broker.Run(ctx) })
	group.Go(func() error { return g.field.Run(ctx) })
	if g.uplink != nil {
		group.Go(func() error { return g.sync.Run(ctx) })
		group.Go(func() error { return g.uplink.Run(ctx) })
	}
	if g.console != nil {
		group.Go(func() error { return g.console.Run(ctx) })
	}
	g.log.Info("ready", "thing", g.cfg.Gateway.Thing, "listeners", g.Addrs(), "boot", g.store.Boot(),
		"after", time.Since(g.began).Round(time.Millisecond))
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	group.Go(func() error {
		<-ctx.Done()
		_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
		return nil
	})
	err := group.Wait()
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return errors.Join(err, g.close())
}

func (g *Gateway) close() error {
	var err error
	if g.console != nil {
		err = g.console.Close()
	}
	return errors.Join(err, g.store.Close())
}

// Addrs are the addresses that the broker is bound to.
func (g *Gateway) Addrs() []net.Addr { return g.broker.Addrs() }

// Service is the shadow service.
func (g *Gateway) Service() *localshadow.Service { return g.service }

// Sync is the reconciler; nil without an uplink.
func (g *Gateway) Sync() *bridge.Reconciler { return g.sync }

// DefaultSocket is where the API listens: EDGESHADOW_SOCKET, or the daemon's place.
func DefaultSocket() string {
	if s := os.Getenv("EDGESHADOW_SOCKET"); s != "" {
		return s
	}
	return console.DefaultSocket
}
