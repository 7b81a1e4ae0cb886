package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"edgeshadow/adapters"
	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow"
)

// How long one thing may last before it counts as stuck: each has a timeout of
// its own that is far shorter.
const (
	stuckTurn    = 3 * time.Minute // of a bus: a step is some requests of a minute at most
	stuckConnect = 2 * time.Minute // TCP, TLS, CONNACK and SUBACK, each with its timeout
	stuckDown    = 6 * time.Minute // the pause between two attempts is two minutes at most
	stuckSilent  = 3 * upstream.DefaultKeepAlive
)

// watch feeds systemd's watchdog while the store commits, the buses turn and the
// uplink moves. Without a watchdog it does nothing.
func (g *Gateway) watch(ctx context.Context) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		g.log.Warn("watchdog", "err", err)
	}
	if err != nil || interval <= 0 {
		return nil
	}
	const perInterval = 3 // looks: one that comes late does no harm
	tick := time.NewTicker(interval / perInterval)
	defer tick.Stop()
	var beats sync.WaitGroup
	defer beats.Wait()
	pulse := make(chan error, 1)
	beating := false
	var silent error
	for {
		if !beating {
			beating = true
			beats.Go(func() { pulse <- g.alive() })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if beating && silent == nil {
				silent = errors.New("the store, a driver or the reconciler does not answer")
				g.log.Error("watchdog not fed", "err", silent)
			}
			continue
		case err := <-pulse:
			switch {
			case err == nil:
				_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
			case silent == nil:
				g.log.Error("watchdog not fed", "err", err)
			}
			silent, beating = err, false
		}
		select { // the next look
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// alive is nil while everything that must go on does. It blocks when the store
// or the reconciler does not.
func (g *Gateway) alive() error {
	// What writes nothing goes the way of what does, through all loops.
	if err := g.store.Update(context.Background(), func(*localshadow.Tx) error { return nil }); err != nil {
		return err
	}
	now := time.Now()
	if err := stuckBus(g.field.Stats(), now); err != nil {
		return err
	}
	if g.uplink == nil {
		return nil
	}
	g.sync.Stats() // a turn that does not end holds its lock
	return stuck(g.uplink.Status(), now)
}

// stuckBus is how a driver that hangs looks.
func stuckBus(buses []adapters.BusStats, now time.Time) error {
	for _, b := range buses {
		if b.BusySince != nil && now.Sub(*b.BusySince) > stuckTurn {
			return fmt.Errorf("bus %s is stuck since %s", b.Bus, b.BusySince.Format(time.TimeOnly))
		}
	}
	return nil
}

// stuck is how an uplink that does not move looks.
func stuck(s upstream.Status, now time.Time) error {
	state := func(most time.Duration, since time.Time) error {
		if since.IsZero() || now.Sub(since) <= most {
			return nil
		}
		return fmt.Errorf("the uplink is stuck: %s since %s", s.State, since.Format(time.TimeOnly))
	}
	switch s.State {
	case upstream.Up:
		return state(stuckSilent, later(s.Since, s.Heard))
	case upstream.Connecting:
		return state(stuckConnect, s.Since)
	default:
		return state(stuckDown, s.Since)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
