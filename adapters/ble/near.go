package ble

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

// Near listens actively for so long and gives what is near: Seen. Adapters that
// listen passively ask meanwhile, so that devices tell their names, and what no
// thing is made of is heard too.
func (d *Driver) Near(ctx context.Context, long time.Duration) []Sighting {
	d.mu.Lock()
	var passive []*radio
	for _, r := range d.radios {
		if r.state() == statePassive {
			passive = append(passive, r)
		}
	}
	d.mu.Unlock()
	for _, r := range passive {
		filter := values{"Transport": dbus.MakeVariant("le"), "DuplicateData": dbus.MakeVariant(true)}
		_ = r.call(ctx, adapterIface+".SetDiscoveryFilter", filter) // it tells more, and is not needed
		if err := r.call(ctx, adapterIface+".StartDiscovery"); err != nil {
			r.log.Info("the scan hears only what is listened for", "err", explain(err))
			continue
		}
		defer func() {
			_ = r.call(context.WithoutCancel(ctx), adapterIface+".StopDiscovery") // a discovery that stays costs only power
		}()
	}
	rest(ctx, nil, long)
	return d.Seen()
}

func (r *radio) state() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats.State
}
