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
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"edgeshadow/adapters"
	"edgeshadow/bridge"
	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/config"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/registry"
)

// Gateway is one running gateway. Open makes it, Run serves.
type Gateway struct {
	options   Options
	cfg       atomic.Pointer[config.Config]
	reloading sync.Mutex // held for a reload
	log       *slog.Logger
	began     time.Time
	store     *localshadow.Store
	service   *localshadow.Service
	ca        *access.CA
	access    *access.Access
	registry  *registry.Registry
	broker    *broker.Broker
	field     *adapters.Supervisor
	drivers   drivers            // of field; guarded by reloading
	sync      *bridge.Reconciler // nil without an uplink
	relay     *relay.Relay       // nil without an uplink
	uplink    *upstream.Pool     // nil without one
	console   *console.Server
	api       bool         // console listens on its socket
	monitor   net.Listener // of metrics; nil: none

	timings   *console.Timings
	traffic   traffic
	floor     floor
	serving   atomic.Bool // between boot and stop
	listening atomic.Pointer[[]broker.Listener]
}

// Run serves until ctx ends, and closes what Open opened. Nothing but the
// uplink needs a network.
//
// Boot, in the order in which each needs what is before it:
//  1. deltas that a power cut may have swallowed, before clients can write more
//  2. the field: commands that are still outstanding are known before the first poll
//  3. the broker, the field, the bridge and the uplink, together
//  4. the console and the watchdog, which only look
//
// They stop together, on ctx; the relay's journals and the store close when all
// have ended: last wills and last readings are still written.
func (g *Gateway) Run(ctx context.Context) error {
	if err := g.boot(ctx); err != nil {
		return errors.Join(err, g.close())
	}
	group, ctx := errgroup.WithContext(ctx)
	run := func(part func(context.Context) error) { group.Go(func() error { return part(ctx) }) }
	run(g.access.Run)
	run(g.runRegistry)
	run(g.broker.Run)
	run(g.field.Run)
	run(g.grow)
	if g.uplink != nil {
		run(g.sync.Run)
		run(g.relay.Run)
		run(g.uplink.Run)
		run(g.measure)
	}
	if g.api {
		run(g.console.Run)
	}
	if g.monitor != nil {
		run(func(ctx context.Context) error { return g.console.Monitor(ctx, g.monitor) })
	}
	run(g.watchStore)
	run(g.watch)
	run(g.obey)
	g.serving.Store(true)
	g.log.Info("ready", "thing", g.cfg.Load().Gateway.Thing, "listeners", g.Addrs(), "boot", g.store.Boot(),
		"after", time.Since(g.began).Round(time.Millisecond))
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	debug.FreeOSMemory() // tables were read whole, and all documents once
	err := group.Wait()
	g.serving.Store(false)
	return errors.Join(err, g.close())
}

// boot is what comes before anything is served.
func (g *Gateway) boot(ctx context.Context) error {
	if g.store.Unclean() {
		if err := g.service.RepublishDeltas(ctx); err != nil {
			return fmt.Errorf("republish deltas: %w", err)
		}
	}
	for name := range g.cfg.Load().Things {
		if err := g.outstanding(name); err != nil {
			return err
		}
	}
	return nil
}

// watchStore ends the gateway when the store fails, which it does for good when
// the disk does: then nothing that is promised can be kept, and systemd is to
// see it.
func (g *Gateway) watchStore(ctx context.Context) error {
	select {
	case <-g.store.Failed():
		return fmt.Errorf("the store failed: %w", g.store.Err())
	case <-ctx.Done():
		return nil
	}
}

// obey reloads with each hangup, and tells systemd of the stop.
func (g *Gateway) obey(ctx context.Context) error {
	for {
		select {
		case <-g.options.Hangup:
			_, _ = g.Reload() // what went wrong is in the log
		case <-ctx.Done():
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
			return nil
		}
	}
}

func (g *Gateway) close() error {
	var err error
	if g.relay != nil {
		err = g.relay.Close()
	}
	return errors.Join(err, g.console.Close(), g.store.Close())
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
