package gateway

import (
	"context"
	"maps"
	"slices"

	"edgeshadow/config"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/registry"
)

// things are what policies may ask about.
type things struct{ registry *registry.Registry }

func (t things) Thing(name string) access.Thing {
	found, err := t.registry.Get(name)
	if err != nil {
		return access.Thing{} // there is none
	}
	return access.Thing{Type: found.Type, Attributes: found.Attributes}
}

// toucher counts the time that nobody changed a shadow.
type toucher struct{ registry *registry.Registry }

func (t toucher) Changed(c localshadow.Change) { t.registry.Touch(c.ID) }

// openRegistry reads the entries; a thing that has one is synced.
func (g *Gateway) openRegistry(cfg *config.Config) (err error) {
	if g.registry, err = registry.Open(cfg.Registry, g.store, g.log); err != nil {
		return err
	}
	g.registry.Configure(configured(cfg))
	g.registry.Changed = func(name string) {
		g.access.Refresh()
		if _, err := g.registry.Get(name); err != nil {
			g.forget(name)
		} else if g.sync != nil {
			g.sync.Know(name)
		}
	}
	g.service.Observe(toucher{g.registry})
	return nil
}

// forget ends the comparisons of a thing that has no entry, no configuration and
// no certificate any more, unless it has a shadow.
func (g *Gateway) forget(thing string) {
	if g.sync == nil || thing == g.cfg.Load().Gateway.Thing {
		return
	}
	if _, err := g.registry.Get(thing); err == nil {
		return
	}
	enrolled, err := g.access.Enrolled()
	if _, ok := enrolled[thing]; ok || err != nil {
		return
	}
	if err := g.sync.Forget(thing); err != nil {
		g.log.Warn("a thing that is gone is compared with the cloud until the restart", "thing", thing, "err", err)
	}
}

// configured are the things of the configuration.
func configured(cfg *config.Config) []registry.Thing {
	var out []registry.Thing
	for _, name := range slices.Sorted(maps.Keys(cfg.Things)) {
		t := cfg.Things[name]
		out = append(out, registry.Thing{Name: name, Type: t.Type, Attributes: t.Attributes})
	}
	return out
}

// knowRegistered makes things synced that have an entry or a certificate.
func (g *Gateway) knowRegistered() error {
	if g.sync == nil {
		return nil
	}
	for _, t := range g.registry.List() {
		g.sync.Know(t.Name)
	}
	enrolled, err := g.access.Enrolled()
	g.sync.Know(slices.Sorted(maps.Keys(enrolled))...)
	return err
}

func (g *Gateway) runRegistry(ctx context.Context) error { return g.registry.Run(ctx, g.service) }

// prepareRegistry also takes the things of the new configuration.
func (g *Gateway) prepareRegistry(cfg *config.Config) (commit, discard func(), err error) {
	take, discard, err := g.registry.Prepare(cfg.Registry)
	was := g.cfg.Load().Things
	return func() {
		take()
		g.registry.Configure(configured(cfg))
		for name := range was {
			if _, stays := cfg.Things[name]; !stays {
				g.forget(name)
			}
		}
	}, discard, err
}

// registryAPI serves /things and /thing-types beside the data plane.
func (g *Gateway) registryAPI() *registry.API {
	return &registry.API{Registry: g.registry, CallerOf: func(ctx context.Context) registry.Caller {
		if who := broker.PrincipalOf(ctx); who != nil {
			return who
		}
		return nil
	}}
}

// Registry is what is known of things beside their shadows.
func (g *Gateway) Registry() *registry.Registry { return g.registry }
