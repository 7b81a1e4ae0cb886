package shadow_test

import (
	"testing"

	"edgeshadow/localshadow/shadow"
)

// A1 to A4: the messages to the byte.
func TestMessages(t *testing.T) {
	token := "t<>&\u2028"
	d := history(t, `{"state":{"desired":{"on":true,"level":{"a":1.10}},"reported":{"on":false}}}`)
	u := update(t, `{"state":{"desired":{"level":{"a":2},"gone":null},"reported":null},"clientToken":"t"}`)
	next, err := shadow.Apply(d, 1, u, 2000, shadow.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	delta, _ := shadow.AppendDelta(nil, next, 2000, u.ClientToken)
	noDelta, has := shadow.AppendDelta([]byte("x"), history(t, `{"state":{"reported":{"a":1}}}`), 1, nil)
	if has || string(noDelta) != "x" {
		t.Errorf("D8: a delta where there is none: %s", noDelta)
	}
	empty := history(t, `{"state":{}}`)
	cleared := update(t, `{"state":null}`)
	for _, row := range []struct{ rule, got, want string }{
		{"A1 A2 accepted", string(shadow.AppendAccepted(nil, u, 2, 2000)),
			`{"state":{"desired":{"level":{"a":2},"gone":null},"reported":null},"metadata":{"desired":{"level":{"a":{"timestamp":2000}},"gone":{"timestamp":2000}},"reported":{"timestamp":2000}},"version":2,"timestamp":2000,"clientToken":"t"}`},
		{"A3 state null", string(shadow.AppendAccepted(nil, cleared, 3, 2000)), `{"state":null,"metadata":{"timestamp":2000},"version":3,"timestamp":2000}`},
		{"A3 state empty", string(shadow.AppendAccepted(nil, update(t, `{"state":{}}`), 3, 2000)), `{"state":{},"metadata":{},"version":3,"timestamp":2000}`},
		{"A4 T5 delta", string(delta),
			`{"version":2,"timestamp":2000,"state":{"on":true,"level":{"a":2}},"metadata":{"on":{"timestamp":1000},"level":{"a":{"timestamp":2000}}},"clientToken":"t"}`},
		{"P1 documents", string(shadow.AppendDocuments(nil, d, next, 2000, u.ClientToken)),
			`{"previous":{"state":{"desired":{"on":true,"level":{"a":1.10}},"reported":{"on":false}},"metadata":{"desired":{"on":{"timestamp":1000},"level":{"a":{"timestamp":1000}}},"reported":{"on":{"timestamp":1000}}},"version":1},"current":{"state":{"desired":{"on":true,"level":{"a":2}}},"metadata":{"desired":{"on":{"timestamp":1000},"level":{"a":{"timestamp":2000}}}},"version":2},"timestamp":2000,"clientToken":"t"}`},
		{"P2 P3 first", string(shadow.AppendDocuments(nil, nil, empty, 1, nil)), `{"previous":null,"current":{"state":{},"metadata":{},"version":1},"timestamp":1}`},
		{"G1 G2 get", string(shadow.AppendGet(nil, d, 3000, &token)),
			`{"state":{"desired":{"on":true,"level":{"a":1.10}},"reported":{"on":false},"delta":{"on":true,"level":{"a":1.10}}},"metadata":{"desired":{"on":{"timestamp":1000},"level":{"a":{"timestamp":1000}}},"reported":{"on":{"timestamp":1000}}},"version":1,"timestamp":3000,"clientToken":"` + token + `"}`},
		{"G3 empty", string(shadow.AppendGet(nil, empty, 5, nil)), `{"state":{},"metadata":{},"version":1,"timestamp":5}`},
		{"X2 delete", string(shadow.AppendDeleted(nil, 9, 5, &token)), `{"version":9,"timestamp":5,"clientToken":"` + token + `"}`},
		{"E2 E3 classic", string(shadow.AppendRejected(nil, shadow.NotFound(shadow.ID{Thing: "T"}), nil)), `{"code":404,"message":"No shadow exists with name: 'T'"}`},
		{"E2 named", string(shadow.AppendRejected(nil, shadow.NotFound(shadow.ID{Thing: "T", Name: "S"}), nil)), `{"code":404,"message":"No shadow exists with name: 'T~S'"}`},
	} {
		if row.got != row.want {
			t.Errorf("%s\n got %s\nwant %s", row.rule, row.got, row.want)
		}
	}
}

// What this service sends, its own client side reads back.
func TestParseGet_RoundTrip(t *testing.T) {
	d := history(t, `{"state":{"desired":{"a":[1,{"b":2}],"timestamp":{"timestamp":1}},"reported":{"c":{}}}}`, `{"state":{"desired":{"x":1.10}}}`)
	text := shadow.AppendGet(nil, d, 5, nil)
	got, a, err := shadow.ParseGet(text)
	if err != nil {
		t.Fatal(err)
	}
	if again := shadow.AppendGet(nil, &got, 5, nil); string(again) != string(text) {
		t.Errorf("got %s\nwant %s", again, text)
	}
	if a.Timestamp != 5 || a.Version != 2 {
		t.Errorf("%+v", a)
	}
}

func TestParseAccepted_Unreadable(t *testing.T) {
	for _, payload := range []string{``, `5`, `{}`, `{"version":"1"}`, `{"version":1,"state":5}`, `{"version":1,"state":{"desired":5}}`, `{"version":1,"timestamp":"x"}`} {
		if a, err := shadow.ParseAccepted([]byte(payload)); err == nil {
			t.Errorf("%s: %+v", payload, a)
		}
	}
	a, err := shadow.ParseAccepted([]byte(`{"version":1,"state":{"desired":{"a":1}},"metadata":{"desired":{"a":"junk"}}}`))
	if err != nil || !a.HasState {
		t.Errorf("foreign metadata: %+v, %v", a, err)
	}
}

func TestTopics(t *testing.T) {
	classic, named := shadow.ID{Thing: "T"}, shadow.ID{Thing: "T", Name: "get"} // N3
	for topic, want := range map[string]shadow.ID{
		"$aws/things/T/shadow/get":                      classic,
		"$aws/things/T/shadow/update/documents":         classic,
		"$aws/things/T/shadow/name/get/get":             named,
		"$aws/things/T/shadow/name/get/delete/rejected": named,
	} {
		id, suffix, ok := shadow.ParseTopic(topic)
		if !ok || id != want || id.Topic(suffix) != topic {
			t.Errorf("%s: %v %q %v", topic, id, suffix, ok)
		}
	}
	for _, topic := range []string{
		"", "$aws/things/T/shadow", "$aws/things/T/shadow/", "$aws/things/T/shadow/delta", "$aws/things//shadow/get",
		"$aws/things/T/shadow/name/get", "$aws/things/T/shadow/name//get", "$aws/things/T U/shadow/get", "$AWS/things/T/shadow/get",
		"$aws/things/$T/shadow/get", "$aws/things/T/shadow/get/accepted/x", "$aws/things/T/shadow/name/a/b/get",
	} {
		if id, suffix, ok := shadow.ParseTopic(topic); ok {
			t.Errorf("%s: %v %q", topic, id, suffix)
		}
	}
}
