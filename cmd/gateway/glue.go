package gateway

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/bridge"
	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/config"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// sink takes what the field reports into the shadows, while the disk has room.
type sink struct {
	service *localshadow.Service
	floor   *floor
}

func (s sink) Report(ctx context.Context, thing, name string, reported map[string]any) error {
	if err := s.floor.check(); err != nil {
		return err
	}
	v, err := shadow.Of(reported)
	if err != nil {
		return err
	}
	return s.service.Report(ctx, shadow.ID{Thing: thing, Name: name}, v.(*shadow.Object))
}

// timedCloud measures how long the cloud takes to acknowledge.
type timedCloud struct {
	bridge.Cloud
	timing console.Timing
}

func (c timedCloud) Publish(ctx context.Context, topic string, payload []byte) error {
	began := time.Now()
	err := c.Cloud.Publish(ctx, topic, payload)
	if err == nil {
		c.timing.Observe(time.Since(began))
	}
	return err
}

// meter counts the bytes of the uplink for the budget.
type meter struct{ uplink *upstream.Pool }

func (m meter) Bytes() int64 {
	s := m.uplink.Status()
	return s.BytesIn + s.BytesOut
}

// actuator takes what is desired of wired things to the field, and tells it what
// became of what it reported.
type actuator struct {
	field *adapters.Supervisor
	cfg   *atomic.Pointer[config.Config]
}

func (a actuator) Changed(c localshadow.Change) {
	if _, wired := a.cfg.Load().Things[c.ID.Thing]; !wired {
		return
	}
	if changes := altered(reported(c.Prev), reported(c.Doc)); len(changes) > 0 {
		a.field.Reported(c.ID.Thing, c.ID.Name, changes)
	}
	if c.ID.Name != "" {
		return
	}
	was, is := desired(c.Prev), desired(c.Doc)
	anew := askedAnew(c)
	if len(anew) > 0 || was.Len() != is.Len() || shadow.Diff(shadow.State{Desired: was}, shadow.State{Desired: is}) != nil {
		a.field.Actuate(c.ID.Thing, c.ID.Name, values(is), anew...)
	}
}

func desired(d *shadow.Document) *shadow.Object {
	if d == nil {
		return nil
	}
	return d.State.Desired
}

func reported(d *shadow.Document) *shadow.Object {
	if d == nil {
		return nil
	}
	return d.State.Reported
}

// altered are the values of is that are not in was, and nil for those that only
// was has.
func altered(was, is *shadow.Object) map[string]any {
	if is.Len() == 0 {
		gone := make(map[string]any, was.Len())
		for k := range was.All() {
			gone[k] = nil
		}
		return gone
	}
	patch := shadow.Diff(shadow.State{Reported: was}, shadow.State{Reported: is})
	changes, _ := patch.Get("reported")
	o, _ := changes.(*shadow.Object)
	return values(o)
}

// values are an object's members as Go values; numbers are json.Number.
func values(o *shadow.Object) map[string]any {
	out := make(map[string]any, o.Len())
	for k, v := range o.All() {
		out[k] = value(v)
	}
	return out
}

func value(v any) any {
	switch v := v.(type) {
	case shadow.Number:
		return json.Number(v)
	case *shadow.Object:
		return values(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = value(v[i])
		}
		return out
	default:
		return v
	}
}
