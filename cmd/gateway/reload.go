package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"

	"edgeshadow/cmd/console"
	"edgeshadow/config"
)

// RestartError names what changed and can't while the gateway runs.
type RestartError struct{ Paths []string }

func (e *RestartError) Error() string {
	return "needs a restart: " + strings.Join(e.Paths, ", ") + "; nothing was applied"
}

// Hint is the cure.
func (e *RestartError) Hint() string { return "systemctl restart edgeshadow" }

// part is what can take a new configuration while it runs.
type part struct {
	sections []string
	// files says that it also reads files, which may have changed though their
	// names did not.
	files bool
	// prepare does all that can fail. Then one of commit, which can't, and
	// discard, which undoes what was prepared, is called.
	prepare func(*config.Config) (commit, discard func(), err error)
}

// Reload reads the configuration again and applies what changed: all of it, or
// on any error nothing. What did not change is not touched.
func (g *Gateway) Reload() ([]config.Change, error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	_, _ = daemon.SdNotify(false, "RELOADING=1\n"+daemon.SdNotifyMonotonicUsec())
	defer func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) }()
	changes, err := g.reload()
	switch {
	case err != nil:
		g.log.Error("configuration not reloaded; the last good one stays", "err", err)
	case len(changes) == 0:
		g.log.Info("configuration reloaded: nothing changed")
	}
	for _, c := range changes {
		if err == nil {
			g.log.Info("configuration reloaded", "change", c.String())
		}
	}
	return changes, err
}

func (g *Gateway) reload() (changes []config.Change, err error) {
	if g.options.File == "" {
		return nil, errors.New("reload: this gateway has no configuration file")
	}
	cfg, err := config.Load(g.options.File)
	if err != nil {
		return nil, err
	}
	changes = config.Diff(g.cfg.Load(), cfg)
	parts, err := affected(changes, g.parts())
	if err != nil {
		return nil, err
	}
	var commits, discards []func()
	for _, p := range parts {
		commit, discard, err := p.prepare(cfg)
		if err != nil {
			for _, discard := range slices.Backward(discards) {
				discard()
			}
			return nil, fmt.Errorf("%s: %w", p.sections[0], err)
		}
		commits, discards = append(commits, commit), append(discards, discard)
	}
	g.cfg.Store(cfg)
	for _, commit := range commits {
		commit()
	}
	return changes, nil
}

// affected are the parts that the changes are for, and those that read files, in
// their order. A change that
// is no part's needs a restart.
func affected(changes []config.Change, parts []part) ([]part, error) {
	sections := map[string]bool{}
	var restart []string
	for _, c := range changes {
		sections[c.Section()] = true
		if !slices.ContainsFunc(parts, func(p part) bool { return slices.Contains(p.sections, c.Section()) }) {
			restart = append(restart, c.Path)
		}
	}
	if len(restart) > 0 {
		return nil, &RestartError{restart}
	}
	return slices.DeleteFunc(parts, func(p part) bool {
		return !p.files && !slices.ContainsFunc(p.sections, func(s string) bool { return sections[s] })
	}), nil
}

// parts are what can be reloaded, in the order in which they are.
func (g *Gateway) parts() []part {
	return []part{
		{sections: []string{"gateway"}, prepare: g.prepareSelf},
		{sections: []string{"access"}, files: true, prepare: g.prepareCA}, // before the listeners, which check against it
		{sections: []string{"broker"}, files: true, prepare: g.prepareBroker},
		{sections: []string{"buses", "things"}, prepare: g.prepareField},
		{sections: []string{"sync", "cloud"}, prepare: g.prepareSync},
		{sections: []string{"registry", "things"}, prepare: g.prepareRegistry},
		{sections: []string{"access"}, files: true, prepare: g.prepareAccess},
		{sections: []string{"cloud", "relay", "journal"}, files: true, prepare: g.prepareCloud},
	}
}

// prepareSelf takes the bound of memory. Another name is another gateway.
func (g *Gateway) prepareSelf(cfg *config.Config) (commit, discard func(), err error) {
	was := g.cfg.Load().Gateway
	var restart []string
	if cfg.Gateway.Metrics != was.Metrics {
		restart = append(restart, "gateway.metrics")
	}
	if cfg.Gateway.Thing != was.Thing {
		restart = append(restart, "gateway.thing")
	}
	if len(restart) > 0 {
		return nil, nil, &RestartError{restart}
	}
	return func() { limitMemory(cfg.Gateway.Memory) }, func() {}, nil
}

// prepareCA takes the files of the CA, which may have been renewed.
func (g *Gateway) prepareCA(*config.Config) (commit, discard func(), err error) {
	return g.ca.Prepare()
}

// prepareSync is for the reconciler; without an uplink there is none.
func (g *Gateway) prepareSync(cfg *config.Config) (commit, discard func(), err error) {
	if g.sync == nil {
		return func() {}, func() {}, nil
	}
	return g.sync.Prepare(cfg.Reconciler())
}

// prepareAccess reads the policies, which also ask about things: what is
// committed looks at those of the new configuration.
func (g *Gateway) prepareAccess(cfg *config.Config) (commit, discard func(), err error) {
	return g.access.Prepare(cfg.Access)
}

// Reloaded is Reload for the console.
func (g *Gateway) Reloaded() console.Reloaded {
	changes, err := g.Reload()
	var out console.Reloaded
	var faults config.Faults
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &faults):
		for _, f := range faults {
			out.Faults = append(out.Faults, f.Error())
		}
		out.Error = "the configuration is faulty; the last good one stays"
	case err != nil:
		out.Error = err.Error()
		if errors.As(err, &hinted) {
			out.Hint = hinted.Hint()
		}
	default:
		for _, c := range changes {
			out.Changes = append(out.Changes, c.String())
		}
	}
	return out
}
