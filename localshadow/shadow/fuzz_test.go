package shadow_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"edgeshadow/localshadow/shadow"
)

var seeds = []string{
	``, `{}`, `[]`, `null`, `66`, `{"a":1.10,"b":[{"c":"\ud83d\ude00"},-0],"d":{}}`, `{"a":"\ud800"}`, `{"a":1,"a":2}`,
	`{"state":{"desired":{"a":1,"o":{"b":null}},"reported":null},"version":3,"clientToken":"t"}`,
	`{"state":null}`, `{"state":{}},"version":1}`, `{"desired":{"a":1},"reported":{"a":[1,2]}}`,
	`{"version":2,"timestamp":1,"state":{"desired":{"a":1}},"metadata":{"desired":{"a":{"timestamp":1}}}}`,
	`{"code":404,"message":"No shadow exists with name: 'T'","clientToken":"t"}`,
}

// What Parse takes is JSON to encoding/json too, and comes back from Append.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := shadow.Parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("parsed %q", data)
		}
		text := shadow.Append(nil, v)
		back, err := shadow.Parse(text)
		if err != nil || !shadow.Equal(v, back) {
			t.Fatalf("%q became %q, which is %v", data, text, err)
		}
		if again := shadow.Append(nil, back); !bytes.Equal(again, text) {
			t.Errorf("%q became %q", text, again)
		}
	})
}

// Whatever is sent gets an *Error or an update that can be applied, and what is
// made of it is a document with well-formed messages.
func FuzzUpdate(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(seeds[8]), []byte(s))
	}
	lim := shadow.DefaultLimits()
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var d *shadow.Document
		for i, payload := range [][]byte{first, second} {
			u, err := shadow.ParseUpdate(payload, lim)
			var follows int64
			if d != nil {
				follows = d.Version
			}
			var next *shadow.Document
			if err == nil {
				next, err = shadow.Apply(d, follows, u, int64(i), lim)
			}
			if err != nil {
				var e *shadow.Error
				if !errors.As(err, &e) {
					t.Fatalf("%q: %v is no rejection", payload, err)
				}
				if body := shadow.AppendRejected(nil, e, u.ClientToken); !json.Valid(body) {
					t.Fatalf("%q: rejected as %q", payload, body)
				}
				continue
			}
			checkStored(t, *next)
			checkDelta(t, next.State)
			if n := shadow.Size(next.State); n > lim.Size {
				t.Fatalf("a document of %d bytes", n)
			}
			accepted := shadow.AppendAccepted(nil, u, next.Version, int64(i))
			got, err := shadow.ParseAccepted(accepted)
			if err != nil || !shadow.Equal(got.State, u.State) || got.Version != follows+1 {
				t.Fatalf("%q: accepted as %q, read as %+v, %v", payload, accepted, got, err)
			}
			documents := shadow.AppendDocuments(nil, d, next, int64(i), u.ClientToken)
			delta, _ := shadow.AppendDelta(nil, next, int64(i), u.ClientToken)
			if !json.Valid(documents) || len(delta) > 0 && !json.Valid(delta) {
				t.Fatalf("%q: documents %q, delta %q", payload, documents, delta)
			}
			d = next
		}
		if token := shadow.ParseToken(second); token != nil && (len(*token) > 64 || !utf8.ValidString(*token)) {
			t.Errorf("token %q", *token)
		}
	})
}

// fuzzed reads the state of a document or a patch; nil when the text is none.
func fuzzed(text []byte) *shadow.Object {
	payload := append(append([]byte(`{"state":`), text...), '}')
	u, err := shadow.ParseUpdate(payload, shadow.DefaultLimits())
	if err != nil {
		return nil
	}
	o, _ := u.State.(*shadow.Object)
	return o
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"desired":{"a":1,"o":{"b":1}},"reported":{"a":2}}`), []byte(`{"desired":{"a":null,"o":{"b":{}}},"reported":null}`))
	f.Fuzz(func(t *testing.T, state, patch []byte) {
		s, p := fuzzed(state), fuzzed(patch)
		if s == nil || p == nil {
			return
		}
		d := shadow.MergeMeta(shadow.Document{}, s, nil, 1)
		next := shadow.MergeMeta(d, p, nil, 2)
		checkStored(t, next)
		if diff := shadow.Diff(d.State, next.State); diff != nil && !sameState(shadow.Merge(d.State, diff), next.State) {
			t.Errorf("%s is not the way from %s to %s", shadow.Append(nil, diff), render(d.State), render(next.State))
		}
		if again := shadow.MergeMeta(next, p, nil, 2); !sameState(again.State, next.State) {
			t.Errorf("merged once %s, twice %s", render(next.State), render(again.State))
		}
	})
}

func FuzzDelta(f *testing.F) {
	f.Add([]byte(`{"desired":{"a":1.0,"o":{"b":[1,2]},"e":{}},"reported":{"a":1,"o":{"b":[2,1]}}}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		if s := fuzzed(state); s != nil {
			checkDelta(t, shadow.Merge(shadow.State{}, s))
		}
	})
}

func FuzzReconcile(f *testing.F) {
	f.Add([]byte(`{"desired":{"a":1,"o":{"b":1}}}`), []byte(`{"desired":{"a":2,"o":null}}`), []byte(`{"desired":{"a":1,"o":{"c":2}},"reported":{"x":1}}`))
	f.Fuzz(func(t *testing.T, base, here, there []byte) {
		b, h, c := fuzzed(base), fuzzed(here), fuzzed(there)
		if b == nil || h == nil || c == nil {
			return
		}
		d := shadow.MergeMeta(shadow.Document{}, b, nil, 1)
		checkReconcile(t, d, shadow.Merge(d.State, h), shadow.MergeMeta(d, c, nil, 2))
	})
}

func FuzzParseTopic(f *testing.F) {
	for _, s := range []string{"$aws/things/T/shadow/get", "$aws/things/T/shadow/name/get/get/accepted", "$aws/things/T/shadow/name//get", "a/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		id, suffix, ok := shadow.ParseTopic(topic)
		if ok && (id.Check() != nil || id.Topic(suffix) != topic) {
			t.Errorf("%q: %v %q", topic, id, suffix)
		}
	})
}

// A cloud may send anything; what is read of it can be merged and encoded.
func FuzzParseAnswer(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, _, err := shadow.ParseGet(data); err == nil {
			merged, _ := shadow.Reconcile(shadow.Document{}, shadow.State{}, d, deviceWins)
			if !json.Valid(shadow.AppendGet(nil, &d, 1, nil)) || !sameState(merged, d.State) {
				t.Errorf("%q was read as %s, merged to %s", data, render(d.State), render(merged))
			}
		}
		if e, token, err := shadow.ParseRejected(data); err == nil && !json.Valid(shadow.AppendRejected(nil, e, token)) {
			t.Errorf("%q was read as %v", data, e)
		}
	})
}

// A damaged record is an error, never a panic, and what is read can be stored.
func FuzzDecodeDocument(f *testing.F) {
	d := shadow.MergeMeta(shadow.Document{Version: 7}, object(f, `{"desired":{"a":[1,{"b":2}],"c":{}},"reported":{"d":"x"}}`), nil, 1000)
	f.Add(shadow.AppendDocument(nil, &d))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := shadow.DecodeDocument(data)
		if err != nil {
			return
		}
		again, err := shadow.DecodeDocument(shadow.AppendDocument(nil, d))
		if err != nil || !bytes.Equal(shadow.AppendGet(nil, again, 1, nil), shadow.AppendGet(nil, d, 1, nil)) {
			t.Errorf("%x: %v", data, err)
		}
	})
}
