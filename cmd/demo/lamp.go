package demo

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
)

// lamp is a device as one would write it: it does what the delta says, and
// reports what it then is.
type lamp struct {
	*client
	ctx context.Context
	t   *timeline

	mu    sync.Mutex
	state map[string]any
}

func newLamp(ctx context.Context, address string, t *timeline) *lamp {
	l := &lamp{ctx: ctx, t: t, state: map[string]any{"power": "off", "brightness": 100}}
	l.client = newClient(address, "lamp", []string{"$aws/things/lamp/shadow/update/delta"}, l.delta)
	return l
}

// delta turns the lamp into what is desired of it. It reports from a goroutine
// of its own: a message handler does not wait for an acknowledgement.
func (l *lamp) delta(_ string, payload []byte) {
	var m struct {
		State map[string]any `json:"state"`
	}
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	l.mu.Lock()
	maps.Copy(l.state, m.State)
	l.mu.Unlock()
	text, _ := json.Marshal(m.State)
	l.t.tell("lamp", "lamp", "is told %s, does it, and reports", text)
	go func() { _ = l.report() }() // when it is lost, the next delta asks again
}

// report sends the whole of the lamp's state.
func (l *lamp) report() error {
	l.mu.Lock()
	state := maps.Clone(l.state)
	l.mu.Unlock()
	return l.update(l.ctx, "lamp", map[string]any{"reported": state})
}

// press is somebody at the lamp's own switch: what it is and what is wanted of
// it change together.
func (l *lamp) press(power string) error {
	l.mu.Lock()
	l.state["power"] = power
	l.mu.Unlock()
	change := map[string]any{"power": power}
	return l.update(l.ctx, "lamp", map[string]any{"desired": change, "reported": change})
}
