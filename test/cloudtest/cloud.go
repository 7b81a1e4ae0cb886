package cloudtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cloud is the shadow service. New makes one; all methods may be called at any time.
type Cloud struct {
	mu      sync.Mutex
	shadows map[string]*document // by topic prefix
	ahead   time.Duration        // of the clock
	links   []link
	changed chan struct{} // closed with each change
	// history is all documents that ever were, by prefix and version: with a
	// counter that starts over there may be several.
	history map[string]map[int64][]any
}

// link is where the messages of the cloud go.
type link interface {
	send(topic string, payload []byte)
}

// limit is the size of a document.
const limit = 8192

type document struct {
	exists  bool
	state   map[string]any // desired, reported
	stamps  map[string]any // in the shape of state
	version int64
}

// New is a cloud without shadows.
func New() *Cloud {
	return &Cloud{shadows: map[string]*document{}, changed: make(chan struct{}), history: map[string]map[int64][]any{}}
}

func (c *Cloud) attach(l link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = append(c.links, l)
}

func (c *Cloud) detach(l link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = slices.DeleteFunc(c.links, func(other link) bool { return other == l })
}

// clock is the cloud's, in seconds.
func (c *Cloud) clock() int64 { return time.Now().Add(c.ahead).Unix() }

func prefix(thing, name string) string {
	if name == "" {
		return "$aws/things/" + thing + "/shadow"
	}
	return "$aws/things/" + thing + "/shadow/name/" + name
}

// State is a shadow's state and version; nil when there is none.
func (c *Cloud) State(thing, name string) (map[string]any, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.shadows[prefix(thing, name)]
	if d == nil || !d.exists {
		return nil, 0
	}
	return clone(d.state).(map[string]any), d.version
}

// Dump is every shadow, for a person to read.
func (c *Cloud) Dump() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for prefix, d := range c.shadows {
		lines = append(lines, fmt.Sprintf("%s: %v at %d", prefix, d.state, d.version))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// Was tells whether a document of a version ever had this state.
func (c *Cloud) Was(thing, name string, version int64, state any) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.history[prefix(thing, name)][version], func(was any) bool { return reflect.DeepEqual(was, state) })
}

// AwaitShadow waits until a shadow has a state; nil: until there is none.
func (c *Cloud) AwaitShadow(ctx context.Context, thing, name string, want map[string]any) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		got, version := c.State(thing, name)
		if reflect.DeepEqual(got, want) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s has %v at %d, want %v: %w", prefix(thing, name), got, version, want, ctx.Err())
		}
	}
}

// Update is an application that updates a shadow. It tells whether the cloud took it.
func (c *Cloud) Update(thing, name string, state any) bool {
	payload, _ := json.Marshal(map[string]any{"state": state})
	return c.request(prefix(thing, name), "update", payload)
}

// Delete is an application that deletes a shadow.
func (c *Cloud) Delete(thing, name string) { c.request(prefix(thing, name), "delete", nil) }

// Forget is the passing of 48 hours after a delete: the counter starts over.
func (c *Cloud) Forget(thing, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += 48 * time.Hour
	if d := c.shadows[prefix(thing, name)]; d != nil && !d.exists {
		delete(c.shadows, prefix(thing, name))
	}
}

// request serves one request and sends the answers to the link.
func (c *Cloud) request(prefix, op string, payload []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	suffix, body := c.serve(prefix, op, payload)
	for _, l := range c.links {
		l.send(prefix+"/"+op+suffix, body)
	}
	return suffix == "/accepted"
}

func (c *Cloud) serve(prefix, op string, payload []byte) (string, []byte) {
	var request map[string]any
	_ = json.Unmarshal(payload, &request)
	answer := func(members map[string]any) []byte {
		if t, ok := request["clientToken"]; ok {
			members["clientToken"] = t
		}
		out, _ := json.Marshal(members)
		return out
	}
	reject := func(code int, message string) (string, []byte) {
		return "/rejected", answer(map[string]any{"code": code, "message": message})
	}
	d := c.shadows[prefix]
	if d == nil {
		d = &document{}
	}
	switch op {
	case "get":
		if !d.exists {
			return reject(404, "No shadow exists with name: '"+prefix+"'")
		}
		return "/accepted", answer(map[string]any{"state": d.state, "metadata": d.stamps, "version": d.version, "timestamp": c.clock()})
	case "delete":
		if !d.exists {
			return reject(404, "No shadow exists with name: '"+prefix+"'")
		}
		last := d.version
		c.shadows[prefix] = &document{version: last + 1}
		c.note(prefix, last+1, nil)
		return "/accepted", answer(map[string]any{"version": last, "timestamp": c.clock()})
	case "update":
		return c.update(prefix, d, request, answer, reject)
	}
	panic("cloudtest: operation " + op)
}

func (c *Cloud) update(prefix string, d *document, request map[string]any, answer func(map[string]any) []byte, reject func(int, string) (string, []byte)) (string, []byte) {
	patch, ok := request["state"].(map[string]any)
	if !ok {
		return reject(400, "Missing required node: state")
	}
	if v, ok := request["version"].(float64); ok && int64(v) != d.version {
		return reject(409, "Version conflict")
	}
	state, stamps := map[string]any{}, map[string]any{}
	if d.exists {
		state, stamps = clone(d.state).(map[string]any), clone(d.stamps).(map[string]any)
	}
	echo := map[string]any{}
	for section, v := range patch {
		if section != "desired" && section != "reported" {
			return reject(400, "State contains an invalid node: '"+section+"'")
		}
		p, ok := v.(map[string]any)
		if !ok {
			delete(state, section)
			delete(stamps, section)
			echo[section] = c.stamp()
			continue
		}
		s, _ := state[section].(map[string]any)
		m, _ := stamps[section].(map[string]any)
		s, m = c.merge(s, m, p)
		echo[section] = c.echo(p)
		if len(s) == 0 {
			delete(state, section)
			delete(stamps, section)
			continue
		}
		state[section], stamps[section] = s, m
	}
	size := 0
	for _, s := range state {
		text, _ := json.Marshal(s)
		size += len(text)
	}
	if size > limit {
		return reject(413, fmt.Sprintf("Json document too large.  Size is %d, max allowed: %d", size, limit))
	}
	version := d.version + 1
	c.shadows[prefix] = &document{exists: true, state: state, stamps: stamps, version: version}
	c.note(prefix, version, clone(state))
	return "/accepted", answer(map[string]any{"state": patch, "metadata": echo, "version": version, "timestamp": c.clock()})
}

// note keeps a document that was.
func (c *Cloud) note(prefix string, version int64, state any) {
	if c.history[prefix] == nil {
		c.history[prefix] = map[int64][]any{}
	}
	c.history[prefix][version] = append(c.history[prefix][version], state)
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cloud) stamp() any { return map[string]any{"timestamp": c.clock()} }

// echo is the metadata of a request: a stamp for each leaf.
func (c *Cloud) echo(v any) any {
	if m, ok := v.(map[string]any); ok {
		out := map[string]any{}
		for k, e := range m {
			out[k] = c.echo(e)
		}
		return out
	}
	return c.stamp()
}

// merge applies a patch; null removes, objects merge, all else replaces.
func (c *Cloud) merge(state, stamps, patch map[string]any) (map[string]any, map[string]any) {
	if state == nil {
		state = map[string]any{}
	}
	if stamps == nil {
		stamps = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(state, k)
			delete(stamps, k)
		case map[string]any:
			s, isObject := state[k].(map[string]any)
			m, _ := stamps[k].(map[string]any)
			if !isObject {
				m = nil
			}
			s, m = c.merge(s, m, v)
			if !isObject && len(s) == 0 && len(v) > 0 {
				continue // all of a new object was null
			}
			state[k], stamps[k] = s, m
		default:
			state[k], stamps[k] = v, c.stamp()
		}
	}
	return state, stamps
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		for k := range out {
			out[k] = clone(out[k])
		}
		return out
	default:
		return v
	}
}

// operation splits a request topic.
func operation(topic string) (prefix, op string, ok bool) {
	i := strings.LastIndexByte(topic, '/')
	if i < 0 {
		return "", "", false
	}
	prefix, op = topic[:i], topic[i+1:]
	return prefix, op, op == "get" || op == "update" || op == "delete"
}
