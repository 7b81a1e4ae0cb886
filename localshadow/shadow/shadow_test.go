package shadow_test

import (
	"errors"
	"testing"

	"edgeshadow/localshadow/shadow"
)

// object parses an object; "" is nil.
func object(tb testing.TB, text string) *shadow.Object {
	tb.Helper()
	if text == "" {
		return nil
	}
	v, err := shadow.Parse([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return v.(*shadow.Object)
}

// state parses {"desired":…,"reported":…} without nulls.
func state(tb testing.TB, text string) shadow.State {
	tb.Helper()
	return shadow.Merge(shadow.State{}, object(tb, text))
}

// render is a state as JSON.
func render(s shadow.State) string {
	var members []shadow.Member
	if s.Desired != nil {
		members = append(members, shadow.Member{Key: "desired", Value: s.Desired})
	}
	if s.Reported != nil {
		members = append(members, shadow.Member{Key: "reported", Value: s.Reported})
	}
	return string(shadow.Append(nil, shadow.NewObject(members...)))
}

// update parses a request that must be good.
func update(tb testing.TB, payload string) shadow.Update {
	tb.Helper()
	u, err := shadow.ParseUpdate([]byte(payload), shadow.DefaultLimits())
	if err != nil {
		tb.Fatalf("%s: %v", payload, err)
	}
	return u
}

// history applies requests one after the other, at 1000, 1001, … seconds.
func history(tb testing.TB, payloads ...string) *shadow.Document {
	tb.Helper()
	var d *shadow.Document
	for i, p := range payloads {
		var follows int64
		if d != nil {
			follows = d.Version
		}
		next, err := shadow.Apply(d, follows, update(tb, p), 1000+int64(i), shadow.DefaultLimits())
		if err != nil {
			tb.Fatalf("%s: %v", p, err)
		}
		d = next
	}
	return d
}

// rejection is an error as it stands on the wire.
func rejection(tb testing.TB, err error) string {
	tb.Helper()
	var e *shadow.Error
	if !errors.As(err, &e) {
		tb.Fatalf("want a rejection, have %v", err)
	}
	return e.Error()
}
