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
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"edgeshadow/adapters"
	"edgeshadow/bridge"
	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/config"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/broker"
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
	ca        *authority
	broker    *broker.Broker
	field     *adapters.Supervisor
	drivers   drivers            // of field; guarded by reloading
	sync      *bridge.Reconciler // nil without an uplink
	uplink    *upstream.Client   // nil without one
	console   *console.Server
	api       bool         // console listens on its socket
	monitor   net.Listener // of metrics; nil: none

	timings *console.Timings
	traffic traffic
	floor   floor
	serving atomic.Bool // between boot and stop
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
	for name := range g.cfg.Load().Things {
		if err := g.outstanding(name); err != nil {
			return errors.Join(err, g.close())
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.broker.Run(ctx) })
	group.Go(func() error { return g.field.Run(ctx) })
	if g.uplink != nil {
		group.Go(func() error { return g.sync.Run(ctx) })
		group.Go(func() error { return g.uplink.Run(ctx) })
		group.Go(func() error {
			g.traffic.run(ctx, g.carried)
			return nil
		})
	}
	if g.api {
		group.Go(func() error { return g.console.Run(ctx) })
	}
	if g.monitor != nil {
		group.Go(func() error { return g.console.Monitor(ctx, g.monitor) })
	}
	g.serving.Store(true)
	defer g.serving.Store(false)
	g.log.Info("ready", "thing", g.cfg.Load().Gateway.Thing, "listeners", g.Addrs(), "boot", g.store.Boot(),
		"after", time.Since(g.began).Round(time.Millisecond))
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	group.Go(func() error {
		for {
			select {
			case <-g.options.Hangup:
				_, _ = g.Reload() // what went wrong is in the log
			case <-ctx.Done():
				_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
				return nil
			}
		}
	})
	err := group.Wait()
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return errors.Join(err, g.close())
}

func (g *Gateway) close() error {
	return errors.Join(g.console.Close(), g.store.Close())
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
