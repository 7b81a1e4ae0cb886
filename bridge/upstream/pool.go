package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// maxSubscriptions is what AWS allows of a connection (SHADOW 27).
const maxSubscriptions = 50

// refreshEvery is how often what stands in for refused filters is looked up
// again: there may be new things.
const refreshEvery = 10 * time.Second

// Pool is as many connections as its subscriptions need: the first one, which
// sends everything, has the client id, the others add -2, -3, … to it and only
// listen. Its handler sees one connection: it is up while all of them are.
type Pool struct {
	Client // the settings of the connections; Filters are all that is wanted
	// InPlaceOf are the filters to ask for when one with wildcards is refused:
	// a policy may name each thing. Nil, or none of them: the refusal stands.
	// It may call back into the pool.
	InPlaceOf func(filter string) []string

	calls sync.Mutex // held while Handler or Aside is called

	state   sync.Mutex
	members []*member
	refused map[string][]string // filters that others stand in for
	start   func(*member)       // nil before Run and after its end
	told    bool                // Handler.Up was called, and Down not yet
	waiting sync.WaitGroup      // for members
}

// member is one connection.
type member struct {
	*Client
	pool     *Pool
	stop     context.CancelFunc
	up, kept bool
}

// Run keeps the connections up until ctx ends. It may be called once.
func (p *Pool) Run(ctx context.Context) error {
	p.state.Lock()
	p.start = func(m *member) {
		ctx, cancel := context.WithCancel(ctx)
		m.stop = cancel
		p.waiting.Go(func() { _ = m.Run(ctx) }) // it returns nil
	}
	for _, m := range p.first() {
		p.start(m)
	}
	p.state.Unlock()
	defer func() {
		p.state.Lock()
		p.start = nil
		p.state.Unlock()
		p.waiting.Wait()
	}()
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.refresh()
		}
	}
}

// refresh looks up what stands in for refused filters.
func (p *Pool) refresh() {
	p.state.Lock()
	refused := slices.Collect(maps.Keys(p.refused))
	p.state.Unlock()
	found := map[string][]string{}
	for _, f := range refused {
		found[f] = p.InPlaceOf(f)
	}
	p.state.Lock()
	defer p.state.Unlock()
	for f, others := range found {
		if _, still := p.refused[f]; still && len(others) > 0 {
			p.refused[f] = others
		}
	}
	if len(found) > 0 {
		p.assign()
	}
}

// first makes the first member, if it was not made yet, and assigns filters.
func (p *Pool) first() []*member {
	if len(p.members) == 0 {
		p.members = []*member{p.member(0)}
		start := p.start
		p.start = nil // they are started by who asked
		p.assign()
		p.start = start
	}
	return p.members
}

// member makes one connection of the pool.
func (p *Pool) member(i int) *member {
	id, log := p.ClientID, p.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if i > 0 {
		id = fmt.Sprintf("%s-%d", p.ClientID, i+1)
		log = log.With("client", id)
	}
	m := &member{pool: p}
	m.Client = &Client{
		Config: p.Config, ClientID: id, Log: log, Backoff: p.Backoff, KeepAlive: p.KeepAlive, Now: p.Now,
		Handler: m, Aside: m.aside, refused: m.refusedFilters,
	}
	return m
}

// assign spreads the filters over as many connections as they need; those that
// have others than before connect anew.
func (p *Pool) assign() {
	var all []string
	for _, f := range p.Filters {
		others, refused := p.refused[f]
		if !refused {
			others = []string{f}
		}
		for _, f := range others {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	parts := slices.Collect(slices.Chunk(all, maxSubscriptions))
	if len(parts) == 0 {
		parts = [][]string{nil}
	}
	for i, part := range parts {
		if i == len(p.members) {
			m := p.member(i)
			m.Filters = part
			p.members = append(p.members, m)
			if p.start != nil {
				p.start(m)
			}
			continue
		}
		p.members[i].set(p.Config, part)
	}
	for _, m := range p.members[len(parts):] {
		if m.stop != nil {
			m.stop()
		}
	}
	p.members = slices.Clip(p.members[:len(parts)])
}

// refusedFilters finds others in the place of filters that the broker refused;
// false when there are none.
func (m *member) refusedFilters(filters []string) bool {
	p := m.pool
	found := map[string][]string{}
	for _, f := range filters {
		if p.InPlaceOf != nil {
			found[f] = p.InPlaceOf(f)
		}
		if len(found[f]) == 0 {
			return false
		}
	}
	p.state.Lock()
	defer p.state.Unlock()
	if p.refused == nil {
		p.refused = map[string][]string{}
	}
	for f, others := range found {
		if _, again := p.refused[f]; again || !slices.Contains(p.Filters, f) {
			return false
		}
		p.refused[f] = others
	}
	m.Log.Info("subscriptions with wildcards are refused; each thing's own are asked for", "filters", filters)
	p.assign()
	return true
}

// Up is a member's.
func (m *member) Up(kept bool) {
	p := m.pool
	p.calls.Lock()
	defer p.calls.Unlock()
	p.state.Lock()
	m.up, m.kept = true, kept
	all := true
	for _, m := range p.members {
		all = all && m.up
		kept = kept && m.kept
	}
	tell := all && !p.told
	if tell {
		p.told = true
		for _, m := range p.members {
			m.kept = true // as long as it stays up
		}
	}
	p.state.Unlock()
	if tell {
		p.Handler.Up(kept)
	}
}

// Down is a member's.
func (m *member) Down(err error) {
	p := m.pool
	p.calls.Lock()
	defer p.calls.Unlock()
	p.state.Lock()
	m.up = false
	tell := p.told && slices.Contains(p.members, m)
	p.told = p.told && !tell
	p.state.Unlock()
	if tell {
		p.Handler.Down(err)
	}
}

// Message is a member's.
func (m *member) Message(topic string, payload []byte, ack func()) {
	m.pool.calls.Lock()
	defer m.pool.calls.Unlock()
	m.pool.Handler.Message(topic, payload, ack)
}

func (m *member) aside(message Message, ack func()) bool {
	m.pool.calls.Lock()
	defer m.pool.calls.Unlock()
	return m.pool.Aside != nil && m.pool.Aside(message, ack)
}

// main is the connection that sends.
func (p *Pool) main() *member {
	p.state.Lock()
	defer p.state.Unlock()
	return p.first()[0]
}

// Publish is Client.Publish of the first connection.
func (p *Pool) Publish(ctx context.Context, topic string, payload []byte) error {
	return p.main().Publish(ctx, topic, payload)
}

// Session is that of the first connection.
func (p *Pool) Session() *Session { return p.main().Session() }

// Prepare is Client.Prepare for all connections.
func (p *Pool) Prepare(cfg Config, filters []string) (commit, discard func(), err error) {
	if err := cfg.usable(p.Now); err != nil {
		return nil, nil, err
	}
	return func() {
		p.state.Lock()
		defer p.state.Unlock()
		p.Config, p.Filters = cfg, filters
		if len(p.members) == 0 {
			return
		}
		maps.DeleteFunc(p.refused, func(f string, _ []string) bool { return !slices.Contains(filters, f) })
		p.assign()
	}, func() {}, nil
}

// Status is that of the connections as one: up when all are, else the first
// that is not; the counters are summed.
func (p *Pool) Status() Status {
	p.state.Lock()
	members := slices.Clone(p.first())
	p.state.Unlock()
	var out Status
	for i, m := range members {
		s := m.Client.Status()
		if i > 0 && s.Why != "" {
			s.Why = m.ClientID + ": " + s.Why
		}
		if i == 0 {
			out = s
			continue
		}
		if out.State == Up && s.State != Up {
			out.State, out.Since, out.Why, out.Hint, out.Failures = s.State, s.Since, s.Why, s.Hint, s.Failures
		}
		if s.Heard.After(out.Heard) {
			out.Heard = s.Heard
		}
		out.Attempts += s.Attempts
		out.Connects += s.Connects
		out.MessagesIn += s.MessagesIn
		out.MessagesOut += s.MessagesOut
		out.BytesIn += s.BytesIn
		out.BytesOut += s.BytesOut
	}
	out.Connections = len(members)
	return out
}

// usable tells why settings can't work.
func (c Config) usable(now func() time.Time) error {
	if err := errors.Join(c.Validate()...); err != nil {
		return err
	}
	a, err := c.address()
	if err != nil {
		return err
	}
	_, err = c.tlsConfig(a, now)
	return err
}
