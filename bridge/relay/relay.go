package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// Session is the life of one connection to the cloud.
type Session interface {
	// Send sends a message; messages go out in the order of the calls. It may
	// wait while too many are under way. Done is called once, from any
	// goroutine: with nil when the cloud has the message, and with an error when
	// it may or may not have it.
	Send(ctx context.Context, topic string, payload []byte, qos byte, retain bool, done func(error))
	// Lost is closed when the connection is gone.
	Lost() <-chan struct{}
}

// Broker is the local broker.
type Broker interface {
	// Send publishes to the subscribers and waits for none of them. It calls
	// kept once, from any goroutine, when a restart can't lose the message.
	Send(topic string, payload []byte, qos byte, retain bool, kept func())
}

// Message is a message of a local client.
type Message struct {
	Topic   string
	Payload []byte
	Retain  bool
}

// Relay moves messages by rules. Set the fields before Run and Take.
type Relay struct {
	Local Broker
	// Room is nil while the disk has room; an error refuses what comes, whatever
	// the class. Nil: there always is.
	Room func() error

	dir    string
	origin Origin
	log    *slog.Logger
	rules  atomic.Pointer[rules]
	link   *link
	pace   *rate.Limiter // of what is sent from a backlog

	mu       sync.Mutex
	journals map[string]*journal
	run      func(*journal) // starts a sender; nil before Run
	down     downStats
}

// Open opens the journals in a folder: those of the classes that rules name,
// and those that still hold something. A nil log discards.
func Open(cfg Config, classes Classes, dir string, origin Origin, log *slog.Logger) (*Relay, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{dir: dir, origin: origin, log: log, link: newLink(), pace: rate.NewLimiter(rate.Inf, 1), journals: map[string]*journal{}}
	all, faults := compile(cfg, classes)
	if len(faults) > 0 {
		return nil, fmt.Errorf("relay: %w", errors.Join(faults...))
	}
	r.rules.Store(&all)
	for name, class := range r.needed(all, classes) {
		j, err := r.openJournal(name, class)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("relay: %w", err), r.Close())
		}
		r.journals[name] = j
	}
	return r, nil
}

func (r *Relay) openJournal(name string, class Class) (*journal, error) {
	j, err := openJournal(r.dir, name, class, r.origin, r.log)
	if err == nil {
		j.disk = func() error {
			if r.Room == nil {
				return nil
			}
			return r.Room()
		}
	}
	return j, err
}

// needed are the classes that rules name or whose folder is there.
func (r *Relay) needed(all rules, classes Classes) Classes {
	known, out := classes.complete(), Classes{}
	for _, rule := range all {
		if rule.side == Local {
			out[rule.class] = known[rule.class]
		}
	}
	folders, _ := os.ReadDir(r.dir) // none before the first start
	for _, f := range folders {
		name := f.Name()
		if !f.IsDir() || !validClassName(name) {
			continue
		}
		if class, ok := known[name]; ok {
			out[name] = class
		} else if _, err := os.Stat(filepath.Join(r.dir, name, StateName)); err == nil {
			out[name] = known[DefaultClass] // nothing comes any more, what is there is sent
		}
	}
	return out
}

// SetPace bounds the messages a second that are sent from a backlog; without
// it the connection alone does.
func (r *Relay) SetPace(limit rate.Limit) { r.pace.SetLimit(limit) }

// Run sends what the journals hold until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	r.mu.Lock()
	r.run = func(j *journal) { wg.Go(func() { r.send(ctx, j) }) }
	for _, j := range r.journals {
		r.run(j)
	}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.run = nil
	r.mu.Unlock()
	wg.Wait()
	return nil
}

// Close closes the journals, after Run and after the last Take.
func (r *Relay) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for _, name := range slices.Sorted(maps.Keys(r.journals)) {
		err = errors.Join(err, r.journals[name].Close())
	}
	return err
}

// Filters are what the cloud is to be asked for.
func (r *Relay) Filters() []string { return r.rules.Load().filters() }

func (all rules) filters() []string {
	var out []string
	for _, rule := range all {
		if f := rule.from.String(); rule.side == Cloud && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// Take takes a message of a local client when a rule does, and tells whether.
// It calls acked once, when every rule's journal has it on disk or has no use
// for it; never, when one could not keep it. It waits while many others wait
// for the disk, until ctx ends.
func (r *Relay) Take(ctx context.Context, m Message, acked func()) bool {
	all := *r.rules.Load()
	var first *entry
	var into *journal
	var more []func(acked func())
	for _, rule := range all {
		if rule.side != Local {
			continue
		}
		captures := rule.from.match(m.Topic)
		if captures == nil {
			continue
		}
		j := r.journal(rule.class)
		topic, err := rule.to.expand(captures)
		if err != nil {
			j.unfit(m.Topic, err)
			topic = ""
		}
		e := &entry{topic: topic, payload: m.Payload, qos: rule.qos, retain: rule.retains(m.Retain), envelope: rule.envelope}
		if first == nil {
			first, into = e, j
			continue
		}
		more = append(more, func(acked func()) { j.put(ctx, e, acked) })
	}
	switch {
	case first == nil:
		return false
	case len(more) > 0:
		acked = last(len(more)+1, acked)
	}
	into.put(ctx, first, acked)
	for _, put := range more {
		put(acked)
	}
	return true
}

// put takes a message in; one without a topic has no way to the cloud, and
// nobody is to wait for it.
func (j *journal) put(ctx context.Context, e *entry, acked func()) {
	if e.topic == "" {
		acked()
		return
	}
	e.acked = acked
	j.take(ctx, e)
}

// last calls fn with its nth call.
func last(n int, fn func()) func() {
	var left atomic.Int64
	left.Store(int64(n))
	return func() {
		if left.Add(-1) == 0 {
			fn()
		}
	}
}

func (r *Relay) journal(class string) *journal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.journals[class]
}

// unfit is a message whose topic the cloud does not take.
func (j *journal) unfit(topic string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.TooLarge++
	j.complain("unfit", "message not relayed: the cloud would not take it", "topic", topic, "err", err)
}

// Up is a connection on which every filter is subscribed.
func (r *Relay) Up(s Session) { r.link.set(s) }

// Down is its end.
func (r *Relay) Down() { r.link.set(nil) }

// Message is one that came from the cloud; it calls ack when the local broker
// has it. One that no rule takes is of a rule that is not there any more.
func (r *Relay) Message(topic string, payload []byte, qos byte, retain bool, ack func()) {
	type target struct {
		rule  *rule
		topic string
	}
	var targets []target
	for _, rule := range *r.rules.Load() {
		if rule.side != Cloud {
			continue
		}
		if captures := rule.from.match(topic); captures != nil {
			if to, err := rule.to.expand(captures); err == nil { // here no topic is too long
				targets = append(targets, target{rule, to})
			}
		}
	}
	if len(targets) == 0 {
		r.down.stray.Add(1)
		ack()
		return
	}
	r.down.received.Add(1)
	kept := last(len(targets), ack)
	for _, t := range targets {
		r.Local.Send(t.topic, payload, min(qos, t.rule.qos), t.rule.retains(retain), kept)
	}
}
