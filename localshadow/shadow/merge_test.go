package shadow_test

import (
	"testing"

	"edgeshadow/localshadow/shadow"
)

func TestMerge(t *testing.T) {
	for _, row := range []struct{ rule, state, patch, want string }{
		{"M1 only what is named", `{"desired":{"a":1,"b":{"c":2,"d":3}}}`, `{"desired":{"b":{"c":9}}}`, `{"desired":{"a":1,"b":{"c":9,"d":3}}}`},
		{"M2 null removes", `{"desired":{"a":1,"b":{"c":2,"d":3}}}`, `{"desired":{"a":null,"b":{"c":null}}}`, `{"desired":{"b":{"d":3}}}`},
		{"M3 null of nothing", `{}`, `{"reported":{"online":null}}`, `{}`},
		{"M3 values that are no deletions", `{}`, `{"reported":{"a":"","b":0,"c":false,"d":[]}}`, `{"reported":{"a":"","b":0,"c":false,"d":[]}}`},
		{"M3b nulls in a new object", `{}`, `{"desired":{"a":{"b":null,"c":1}}}`, `{"desired":{"a":{"c":1}}}`},
		{"M3b only nulls in a new object", `{"desired":{"z":1}}`, `{"desired":{"a":{"b":null}}}`, `{"desired":{"z":1}}`},
		{"M3b deep", `{"desired":{"z":1}}`, `{"desired":{"a":{"b":{"c":null}}}}`, `{"desired":{"z":1}}`},
		{"M3b new section", `{}`, `{"desired":{"a":null,"b":1}}`, `{"desired":{"b":1}}`},
		{"M4 whole value", `{}`, `{"desired":{"a":{"b":[1,{"c":2}]}}}`, `{"desired":{"a":{"b":[1,{"c":2}]}}}`},
		{"M5 empty section", `{"reported":{"a":1}}`, `{"desired":{}}`, `{"reported":{"a":1}}`},
		{"M5 empty section changes nothing", `{"desired":{"a":1}}`, `{"desired":{}}`, `{"desired":{"a":1}}`},
		{"M5 last key", `{"desired":{"a":1},"reported":{"b":1}}`, `{"desired":{"a":null}}`, `{"reported":{"b":1}}`},
		{"M6 arrays replace", `{"desired":{"a":[1,2,3]}}`, `{"desired":{"a":[9]}}`, `{"desired":{"a":[9]}}`},
		{"M6 scalar to object", `{"desired":{"a":1}}`, `{"desired":{"a":{"b":2}}}`, `{"desired":{"a":{"b":2}}}`},
		{"M6 scalar to empty object", `{"desired":{"a":1}}`, `{"desired":{"a":{}}}`, `{"desired":{"a":{}}}`},
		{"M6 object to scalar", `{"desired":{"a":{"b":2}}}`, `{"desired":{"a":1}}`, `{"desired":{"a":1}}`},
		{"M7 nested empty", `{}`, `{"desired":{"d":{}}}`, `{"desired":{"d":{}}}`},
		{"M7 emptied stays", `{"desired":{"d":{"a":1}}}`, `{"desired":{"d":{"a":null}}}`, `{"desired":{"d":{}}}`},
		{"M7 empty onto object", `{"desired":{"d":{"a":1}}}`, `{"desired":{"d":{}}}`, `{"desired":{"d":{"a":1}}}`},
		{"M8 null section", `{"desired":{"a":1},"reported":{"b":1}}`, `{"desired":null}`, `{"reported":{"b":1}}`},
		{"M9 empty state", `{"desired":{"a":1}}`, `{}`, `{"desired":{"a":1}}`},
		{"M11 ordinary keys", `{}`, `{"desired":{"state":1,"version":{"timestamp":2},"metadata":3,"desired":{"reported":4}}}`, `{"desired":{"state":1,"version":{"timestamp":2},"metadata":3,"desired":{"reported":4}}}`},
		{"order is kept", `{"desired":{"z":1,"a":2}}`, `{"desired":{"m":3,"z":4}}`, `{"desired":{"z":4,"a":2,"m":3}}`},
		{"numbers keep their text", `{}`, `{"desired":{"a":9007199254740993,"b":1.10,"c":1E+2,"d":-0}}`, `{"desired":{"a":9007199254740993,"b":1.10,"c":1E+2,"d":-0}}`},
	} {
		t.Run(row.rule, func(t *testing.T) {
			if got := render(shadow.Merge(state(t, row.state), object(t, row.patch))); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
	if got := render(shadow.Merge(state(t, `{"desired":{"a":1},"reported":{"a":1}}`), nil)); got != `{}` { // M9
		t.Errorf("M9 state null: %s", got)
	}
}

func TestMetadata(t *testing.T) {
	for _, row := range []struct {
		rule     string
		requests []string
		want     string
	}{
		{"T1 mirrors", []string{`{"state":{"desired":{"a":1,"b":[1,[2],{"c":3}],"d":{},"e":[],"f":{"g":1}}}}`},
			`{"desired":{"a":{"timestamp":1000},"b":[{"timestamp":1000},[{"timestamp":1000}],{"c":{"timestamp":1000}}],"d":{},"e":[],"f":{"g":{"timestamp":1000}}}}`},
		{"T2 per leaf, even unchanged", []string{`{"state":{"desired":{"a":1,"b":1}}}`, `{"state":{"desired":{"b":1}}}`},
			`{"desired":{"a":{"timestamp":1000},"b":{"timestamp":1001}}}`},
		{"T3 deleted", []string{`{"state":{"desired":{"a":1,"b":1},"reported":{"a":1}}}`, `{"state":{"desired":{"a":null},"reported":null}}`},
			`{"desired":{"b":{"timestamp":1000}}}`},
		{"T4 type change", []string{`{"state":{"desired":{"a":{"b":1,"c":2}}}}`, `{"state":{"desired":{"a":5}}}`, `{"state":{"desired":{"a":{"c":3}}}}`},
			`{"desired":{"a":{"c":{"timestamp":1002}}}}`},
		{"M11 a key named timestamp", []string{`{"state":{"desired":{"timestamp":5}}}`, `{"state":{"desired":{"x":{"timestamp":6}}}}`},
			`{"desired":{"timestamp":{"timestamp":1000},"x":{"timestamp":{"timestamp":1001}}}}`},
	} {
		t.Run(row.rule, func(t *testing.T) {
			if got := render(history(t, row.requests...).Metadata); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestDelta(t *testing.T) {
	for _, row := range []struct{ rule, state, want string }{
		{"D1 missing", `{"desired":{"a":1,"b":2},"reported":{"b":2,"c":3}}`, `{"a":1}`},
		{"D1 path kept", `{"desired":{"a":{"b":{"c":1,"d":2}}},"reported":{"a":{"b":{"c":1}}}}`, `{"a":{"b":{"d":2}}}`},
		{"D2 arrays whole", `{"desired":{"a":[1,{"x":1}]},"reported":{"a":[{"x":1},1]}}`, `{"a":[1,{"x":1}]}`},
		{"D2 equal arrays", `{"desired":{"a":[[1],{"x":1,"y":2}]},"reported":{"a":[[1.0],{"y":2,"x":1}]}}`, ``},
		{"D3 empty object missing", `{"desired":{"d":{}},"reported":{"x":1}}`, `{"d":{}}`},
		{"D3 empty object against a full one", `{"desired":{"d":{}},"reported":{"d":{"x":1}}}`, ``},
		{"D4 type", `{"desired":{"a":{"b":1},"c":1},"reported":{"a":1,"c":[1]}}`, `{"a":{"b":1},"c":1}`},
		{"D5 exact", `{"desired":{"a":"1","b":true,"C":1,"d":"x"},"reported":{"a":1,"b":1,"c":1,"d":"X"}}`, `{"a":"1","b":true,"C":1,"d":"x"}`},
		{"D6 numeric", `{"desired":{"a":1,"b":1e2,"c":-0,"d":0.10},"reported":{"a":1.0,"b":100,"c":0,"d":0.1}}`, ``},
		{"D6 beyond 2^53", `{"desired":{"a":9007199254740993},"reported":{"a":9007199254740992}}`, `{"a":9007199254740993}`},
		{"D6 text as received", `{"desired":{"a":1.10},"reported":{"a":2}}`, `{"a":1.10}`},
		{"D7 no reported", `{"desired":{"a":1}}`, `{"a":1}`},
		{"D7 no desired", `{"reported":{"a":1}}`, ``},
	} {
		t.Run(row.rule, func(t *testing.T) {
			got := ""
			if d := shadow.Delta(state(t, row.state)); d != nil {
				got = string(shadow.Append(nil, d))
			}
			if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestEqual_Numbers(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"1", "1.0", true}, {"1", "1e0", true}, {"10", "1E+1", true}, {"0", "-0.00e9", true}, {"0.1", "1e-1", true},
		{"9007199254740993", "9007199254740992", false},
		{"1e400", "1e401", false}, {"-1", "1", false}, {"12", "1.2e1", true}, {"100000000000000000000", "1e20", true},
	} {
		a, b := shadow.Number(row.a), shadow.Number(row.b)
		if got := shadow.Equal(a, b); got != row.want {
			t.Errorf("%s and %s: %v", a, b, got)
		}
	}
}
