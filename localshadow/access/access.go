package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"edgeshadow/localshadow"
)

// Thing is what policies may ask about a thing.
type Thing struct {
	Type       string
	Attributes map[string]string
}

// Things is the registry as policies need it.
type Things interface {
	// Thing is the entry of a name; the zero value when there is none.
	Thing(name string) Thing
}

// Options are what an Access works with. All may be nil.
type Options struct {
	CA     *CA    // whose certificates can be revoked by the name of their thing
	Things Things // nil: things have neither types nor attributes
	// Enrolled is told of each thing that gets a certificate.
	Enrolled func(thing string)
	// Revoked is told of each thing that loses one.
	Revoked func(thing string)
	// Expected is called when a token waits for a device.
	Expected func()
	Log      *slog.Logger
}

// Access decides who clients are and what they may do. Its methods may be
// called from many goroutines. What is put, created or revoked is durable when
// the call returns, and reaches live connections at once.
type Access struct {
	ca     *CA
	things Things
	log    *slog.Logger
	store  *localshadow.Store

	enrolled func(thing string)
	lost     func(thing string) // a certificate
	expected func()

	changing sync.Mutex // one change of state at a time
	state    atomic.Pointer[state]
	clients  atomic.Pointer[func(cause string, of func(name, certificate string) bool)]

	denials  denials
	throttle throttle
	logins   logins
	enroller enroller
	ageSaved saving // of Run
}

// state is what decisions rest on. It is replaced as a whole, and never changed.
type state struct {
	config  Config
	entries []Entry
	hashes  map[string]string  // of users, as the files have them
	files   map[string]*Policy // of the configuration
	put     map[string]*Policy // by command
	keys    map[string]Key
	revoked map[string]bool // certificate ids

	replacing map[string][]string // certificate ids: what ends when one is first used
}

// policy finds a policy; that of the configuration wins over one that was put.
func (s *state) policy(name string) *Policy {
	for _, all := range []map[string]*Policy{builtin, s.files, s.put} {
		if p := all[name]; p != nil {
			return p
		}
	}
	return nil
}

// Open reads what the store holds and what the configuration names. A fault in
// a policy or a password file is an error.
func Open(cfg Config, store *localshadow.Store, o Options) (*Access, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Access{ca: o.CA, things: o.Things, log: o.Log, store: store, enrolled: o.Enrolled, lost: o.Revoked, expected: o.Expected}
	s := &state{put: map[string]*Policy{}, keys: map[string]Key{}, revoked: map[string]bool{}}
	if o.CA != nil {
		var err error
		if s.revoked, err = o.CA.revocations(); err != nil {
			return nil, err
		}
	}
	if err := a.read(s); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	if err := s.configure(cfg); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	a.state.Store(s)
	a.warnUnknown(s)
	return a, nil
}

// configure reads the files of a configuration.
func (s *state) configure(cfg Config) error {
	s.config, s.entries = cfg, cfg.Principals
	if cfg.Principals == nil {
		s.entries = DefaultPrincipals()
	}
	s.files, s.hashes = map[string]*Policy{}, map[string]string{}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Policies)) {
		p, err := readPolicy(name, cfg.Policies[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("policy %s: %w", name, err))
			continue
		}
		s.files[name] = p
	}
	for _, e := range s.entries {
		if e.User == "" || e.Password == "" {
			continue
		}
		hash, err := readHash(e.Password)
		if err != nil {
			errs = append(errs, fmt.Errorf("password of %s: %w", e.User, err))
		}
		s.hashes[e.User] = hash
	}
	return errors.Join(errs...)
}

// warnUnknown tells of names that grant nothing.
func (a *Access) warnUnknown(s *state) {
	for _, e := range s.entries {
		for _, name := range e.Policies {
			if s.policy(name) == nil {
				a.log.Warn("a principal has a policy that there is not; it grants nothing", "policy", name,
					"hint", "name its file in access.policies, or edgeshadow access policy put "+name+" FILE")
			}
		}
	}
}

// Prepare reads a new configuration. Commit makes it count for new and for live
// connections; until then, and when Prepare fails, the old one does.
func (a *Access) Prepare(cfg Config) (commit, discard func(), err error) {
	next := &state{}
	if err := next.configure(cfg); err != nil {
		return nil, nil, fmt.Errorf("access: %w", err)
	}
	commit = func() {
		a.change(func(s *state) {
			s.config, s.entries, s.files, s.hashes = next.config, next.entries, next.files, next.hashes
		})
		a.logins.forget()
		a.warnUnknown(a.state.Load())
	}
	return commit, func() {}, nil
}

// change replaces the state; what do changes of it must be a copy.
func (a *Access) change(do func(s *state)) {
	a.changing.Lock()
	defer a.changing.Unlock()
	next := *a.state.Load()
	do(&next)
	a.state.Store(&next)
}

// Refresh makes policies look at the registry again, when an entry has changed.
func (a *Access) Refresh() { a.change(func(*state) {}) }

// OnRevoke sets who ends the live connections of principals; of is asked about
// each, by its name and the id of its certificate.
func (a *Access) OnRevoke(end func(cause string, of func(name, certificate string) bool)) {
	a.clients.Store(&end)
}

func (a *Access) end(cause string, of func(name, certificate string) bool) {
	if end := a.clients.Load(); end != nil {
		(*end)(cause, of)
	}
}

// Run keeps count of the time until ctx ends: what expires does so after that
// long under power, whatever the clock says.
func (a *Access) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		a.expire(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// policiesOf are the policies of a principal, each once.
func (s *state) policiesOf(matches func(Entry) bool) []*Policy {
	var out []*Policy
	for _, e := range s.entries {
		if matches(e) {
			out = append(out, s.named(e.Policies)...)
		}
	}
	return out
}

func (s *state) named(names []string) []*Policy {
	var out []*Policy
	for _, name := range names {
		if p := s.policy(name); p != nil {
			out = append(out, p)
		}
	}
	return out
}
