package gateway

import (
	"fmt"

	"edgeshadow/adapters"
	"edgeshadow/config"
	"edgeshadow/localshadow/shadow"
)

// openField makes the drivers and the supervisor of the start.
func (g *Gateway) openField(cfg *config.Config) error {
	next, commit, _, err := g.drivers.prepare(cfg, g.timings, g.log)
	if err != nil {
		return err
	}
	commit()
	g.drivers = next
	g.field, err = adapters.New(cfg.Things.Field(), next.all(), sink{g.service, &g.floor}, g.log)
	return err
}

// prepareField takes buses and things. A driver and a thing that did not change
// go on untouched.
func (g *Gateway) prepareField(cfg *config.Config) (commit, discard func(), err error) {
	was := g.cfg.Load().Things
	next, drive, undrive, err := g.drivers.prepare(cfg, g.timings, g.log)
	if err != nil {
		return nil, nil, err
	}
	supervise, unsupervise, err := g.field.Prepare(cfg.Things.Field(), next.all())
	if err != nil {
		undrive()
		return nil, nil, err
	}
	return func() {
			supervise() // first: it knows the things before they are heard
			drive()
			g.drivers = next
			for name := range cfg.Things {
				if _, known := was[name]; !known { // of others the supervisor has what is desired
					g.welcome(name)
				}
			}
		}, func() {
			unsupervise()
			undrive()
		}, nil
}

// welcome makes a thing known that a reload brought.
func (g *Gateway) welcome(thing string) {
	if g.sync != nil {
		g.sync.Know(thing)
	}
	if err := g.outstanding(thing); err != nil {
		g.log.Warn("what is desired of a new thing is not known; the next change tells", "thing", thing, "err", err)
	}
}

// outstanding hands the field what is desired of a thing: it keeps nothing over
// a restart.
func (g *Gateway) outstanding(thing string) error {
	d, err := g.service.Document(shadow.ID{Thing: thing})
	if err != nil {
		return fmt.Errorf("read what is desired of %s: %w", thing, err)
	}
	if o := desired(d); o.Len() > 0 {
		g.field.Actuate(thing, "", values(o))
	}
	return nil
}
