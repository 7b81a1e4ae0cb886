package demo

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"edgeshadow/localshadow/shadow"
)

// play is the story: online, an outage in which both sides change, and together
// again.
func (s *site) play(ctx context.Context) error {
	t := s.t
	t.heading("Online")
	t.say("lamp", "connects and reports what it is")
	steps := []func() error{
		func() error { return s.lamp.report() },
		func() error { return s.inSync(ctx, "lamp") },
		func() error {
			t.say("app", "wants the lamp on: desired.power on")
			return s.app.update(ctx, "lamp", map[string]any{"desired": map[string]any{"power": "on"}})
		},
		func() error { return s.reported(ctx, "lamp", "power", `"on"`) },
		func() error { return s.inSync(ctx, "lamp", "boiler") },
		func() error { return s.outage(ctx) },
		func() error { return s.heal(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
		beat(ctx)
	}
	t.plain("\n%s", t.paint("1", "Both sides"))
	equal, err := s.compare()
	if err == nil && !equal {
		err = ErrDiffer
	}
	return err
}

// beat lets a reader follow.
func beat(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(500 * time.Millisecond):
	}
}

// outage changes both sides while neither sees the other.
func (s *site) outage(ctx context.Context) error {
	t := s.t
	t.heading("The uplink is cut")
	before, err := s.here("boiler", "water_temp")
	if err != nil {
		return err
	}
	s.cable.Cut()
	t.say("cable", "cut; devices go on as before")
	beat(ctx)
	t.say("lamp", "somebody presses its switch: off")
	if err := s.lamp.press("off"); err != nil {
		return err
	}
	beat(ctx)
	t.say("panel", "on the wall: desired.brightness 80")
	if err := s.panel.update(ctx, "lamp", map[string]any{"desired": map[string]any{"brightness": 80}}); err != nil {
		return err
	}
	beat(ctx)
	t.say("app", "in the cloud: desired.brightness 40, the boiler to 20 °C")
	if err := s.app.update(ctx, "lamp", map[string]any{"desired": map[string]any{"brightness": 40}}); err != nil {
		return err
	}
	if err := s.app.update(ctx, "boiler", map[string]any{"desired": map[string]any{"setpoint": lower}}); err != nil {
		return err
	}
	beat(ctx)
	t.say("plc", "goes on warming; the gateway goes on reading it")
	return s.await(ctx, "the boiler warms during the outage", func() (bool, error) {
		now, err := s.here("boiler", "water_temp")
		return !shadow.Equal(now, before), err
	})
}

// lower is the set-point that the application asks for during the outage, °C.
const lower = 20

// heal brings the cable back and waits for the end.
func (s *site) heal(ctx context.Context) error {
	t := s.t
	t.heading("The uplink is back")
	s.cable.Heal()
	t.say("cable", "back")
	if err := s.reported(ctx, "boiler", "setpoint", strconv.Itoa(lower)); err != nil {
		return err
	}
	if err := s.reported(ctx, "lamp", "brightness", "40"); err != nil {
		return err
	}
	if err := s.reported(ctx, "boiler", "burner_on", "false"); err != nil {
		return err
	}
	if err := s.inSync(ctx, "lamp", "boiler", "boiler~connectivity"); err != nil {
		return err
	}
	decisions, err := s.gateway.Sync().Decisions(nil)
	if err != nil {
		return err
	}
	for _, d := range decisions {
		t.say("gateway", "decided %s %s: %s kept over %s (%s wins)", d.Thing, d.Path, absent(d.Kept), absent(d.Lost), d.Winner)
	}
	return nil
}

func absent(value string) string {
	if value == "" {
		return "its removal"
	}
	return value
}

// here is what the gateway holds as a reported value; nil: nothing.
func (s *site) here(thing, point string) (any, error) {
	d, err := s.gateway.Service().Document(shadow.ID{Thing: thing})
	if err != nil || d == nil {
		return nil, err
	}
	v, _ := d.State.Reported.Get(point)
	return v, nil
}

// reported waits until a value is reported in the cloud.
func (s *site) reported(ctx context.Context, thing, point, want string) error {
	return s.await(ctx, fmt.Sprintf("%s reports %s %s", thing, point, want), func() (bool, error) {
		d, err := s.cloud.Service().Document(shadow.ID{Thing: thing})
		if err != nil || d == nil {
			return false, err
		}
		v, ok := d.State.Reported.Get(point)
		w, parseErr := shadow.Parse([]byte(want))
		return ok && shadow.Equal(v, w), parseErr
	})
}

// inSync waits until shadows are equal on both sides.
func (s *site) inSync(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := s.await(ctx, name+" is equal on both sides", func() (bool, error) {
			here, there, err := s.both(name)
			return same(here, there), err
		}); err != nil {
			return err
		}
		s.t.tell("gateway", name, "%s is in sync", name)
	}
	return nil
}

// both are a shadow's two documents; name is as in shadow.ID.String.
func (s *site) both(name string) (here, there *shadow.Document, err error) {
	thing, shadowName, _ := strings.Cut(name, "~")
	id := shadow.ID{Thing: thing, Name: shadowName}
	if here, err = s.gateway.Service().Document(id); err != nil {
		return nil, nil, err
	}
	if there, err = s.cloud.Service().Document(id); err != nil {
		return nil, nil, err
	}
	return here, there, nil
}

// await looks until something is so.
func (s *site) await(ctx context.Context, what string, look func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := look()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: waited for: %s", ErrDiffer, what)
		case <-tick.C:
		}
	}
}
