package shadow_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/shadow"
)

// deviceWins is the policy by default: commands are the cloud's, measurements
// the device's.
var deviceWins = shadow.Policy{Desired: shadow.Cloud, Reported: shadow.Local}

// stamped is a document of a state, each leaf of which has the stamp.
func stamped(tb testing.TB, text string, stamp int64) shadow.Document {
	tb.Helper()
	return shadow.MergeMeta(shadow.Document{}, object(tb, text), nil, stamp)
}

// renderConflicts has a line for each: path, winner, what was kept and lost.
func renderConflicts(conflicts []shadow.Conflict) []string {
	value := func(v any, absent bool) string {
		if absent {
			return "nothing"
		}
		return string(shadow.Append(nil, v))
	}
	var out []string
	for _, c := range conflicts {
		out = append(out, fmt.Sprintf("%s: %s keeps %s over %s", c.Path, c.Winner, value(c.Kept, c.KeptAbsent), value(c.Lost, c.LostAbsent)))
	}
	return out
}

// SYNC d3, row by row.
func TestReconcile(t *testing.T) {
	for _, row := range []struct {
		name, base, local, cloud, want string
		conflicts                      []string
	}{
		{"nothing changed", `{"desired":{"a":1},"reported":{"b":1}}`, `{"desired":{"a":1},"reported":{"b":1}}`, `{"desired":{"a":1},"reported":{"b":1}}`, `{"desired":{"a":1},"reported":{"b":1}}`, nil},
		{"both to the same", `{"desired":{"a":1}}`, `{"desired":{"a":2}}`, `{"desired":{"a":2}}`, `{"desired":{"a":2}}`, nil},
		{"local alone", `{"reported":{"a":1,"b":1}}`, `{"reported":{"a":2,"b":1}}`, `{"reported":{"a":1,"b":1}}`, `{"reported":{"a":2,"b":1}}`, nil},
		{"cloud alone", `{"desired":{"a":1,"b":1}}`, `{"desired":{"a":1,"b":1}}`, `{"desired":{"a":2,"b":1}}`, `{"desired":{"a":2,"b":1}}`, nil},
		{"leaves apart", `{"desired":{"o":{"a":1,"b":1}}}`, `{"desired":{"o":{"a":2,"b":1}}}`, `{"desired":{"o":{"a":1,"b":2}}}`, `{"desired":{"o":{"a":2,"b":2}}}`, nil},
		{"desired: cloud wins", `{"desired":{"a":1}}`, `{"desired":{"a":2}}`, `{"desired":{"a":3}}`, `{"desired":{"a":3}}`, []string{"desired.a: cloud keeps 3 over 2"}},
		{"reported: local wins", `{"reported":{"a":1}}`, `{"reported":{"a":2}}`, `{"reported":{"a":3}}`, `{"reported":{"a":2}}`, []string{"reported.a: local keeps 2 over 3"}},
		{"a conflict in the depth", `{"desired":{"o":{"p":{"a":1}}}}`, `{"desired":{"o":{"p":{"a":2}}}}`, `{"desired":{"o":{"p":{"a":3}}}}`, `{"desired":{"o":{"p":{"a":3}}}}`, []string{"desired.o.p.a: cloud keeps 3 over 2"}},
		{"arrays are leaves", `{"desired":{"a":[1,2]}}`, `{"desired":{"a":[1,3]}}`, `{"desired":{"a":[9,2]}}`, `{"desired":{"a":[9,2]}}`, []string{"desired.a: cloud keeps [9,2] over [1,3]"}},
		{"removed here", `{"desired":{"a":1,"b":1}}`, `{"desired":{"b":1}}`, `{"desired":{"a":1,"b":1}}`, `{"desired":{"b":1}}`, nil},
		{"removed there", `{"desired":{"a":1,"b":1}}`, `{"desired":{"a":1,"b":1}}`, `{"desired":{"b":1}}`, `{"desired":{"b":1}}`, nil},
		{"removed there, changed here", `{"reported":{"a":1}}`, `{"reported":{"a":2}}`, `{}`, `{"reported":{"a":2}}`, []string{"reported.a: local keeps 2 over nothing"}},
		{"removed here, changed there", `{"reported":{"a":1}}`, `{}`, `{"reported":{"a":2}}`, `{}`, []string{"reported.a: local keeps nothing over 2"}},
		{"section removed there", `{"desired":{"a":1,"b":1}}`, `{"desired":{"a":1,"b":1}}`, `{}`, `{}`, nil},
		{"object removed there, a leaf of it changed here", `{"reported":{"o":{"a":1,"b":1}}}`, `{"reported":{"o":{"a":2,"b":1}}}`, `{"reported":{}}`, `{"reported":{"o":{"a":2}}}`, []string{"reported.o.a: local keeps 2 over nothing"}},
		{"object removed here, a leaf of it added there", `{"desired":{"o":{"a":1}}}`, `{}`, `{"desired":{"o":{"a":1,"b":2}}}`, `{"desired":{"o":{"b":2}}}`, nil},
		{"object emptied here, removed there", `{"desired":{"o":{"a":1},"x":1}}`, `{"desired":{"o":{},"x":1}}`, `{"desired":{"x":1}}`, `{"desired":{"x":1}}`, nil},
		{"no base: members cross", `{}`, `{"desired":{"o":{"a":1}}}`, `{"desired":{"o":{"b":2},"c":3}}`, `{"desired":{"o":{"a":1,"b":2},"c":3}}`, nil},
		{"no base: sections cross", `{}`, `{"reported":{"a":1}}`, `{"desired":{"a":2}}`, `{"desired":{"a":2},"reported":{"a":1}}`, nil},
		{"true is not 1", `{"desired":{"a":true}}`, `{"desired":{"a":1}}`, `{"desired":{"a":true}}`, `{"desired":{"a":1}}`, nil},
		{"1 is 1.0", `{"desired":{"a":1}}`, `{"desired":{"a":1.0}}`, `{"desired":{"a":2}}`, `{"desired":{"a":2}}`, nil},
		{"empty is not absent", `{"desired":{"x":1}}`, `{"desired":{"x":1,"o":{}}}`, `{"desired":{"x":1}}`, `{"desired":{"x":1,"o":{}}}`, nil},
		{"type changed on both", `{"desired":{"a":1}}`, `{"desired":{"a":{"b":1}}}`, `{"desired":{"a":[1]}}`, `{"desired":{"a":[1]}}`, []string{`desired.a: cloud keeps [1] over {"b":1}`}},
		{"both made it an object", `{"desired":{"a":1}}`, `{"desired":{"a":{"b":1}}}`, `{"desired":{"a":{"c":1}}}`, `{"desired":{"a":{"b":1,"c":1}}}`, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, conflicts := shadow.Reconcile(stamped(t, row.base, 1), state(t, row.local), stamped(t, row.cloud, 1), deviceWins)
			if render(got) != row.want {
				t.Errorf("got %s, want %s", render(got), row.want)
			}
			if diff := cmp.Diff(row.conflicts, renderConflicts(conflicts)); diff != "" {
				t.Errorf("conflicts (-want +got):\n%s", diff)
			}
		})
	}
}

// SYNC d3: a leaf that the cloud set back to its old value has changed: its
// stamp says so.
func TestReconcile_SetBack(t *testing.T) {
	base, local := stamped(t, `{"desired":{"a":1}}`, 1), state(t, `{"desired":{"a":2}}`)
	got, conflicts := shadow.Reconcile(base, local, stamped(t, `{"desired":{"a":1}}`, 1), deviceWins)
	if render(got) != `{"desired":{"a":2}}` || conflicts != nil {
		t.Errorf("untouched: %s, %v", render(got), conflicts)
	}
	got, conflicts = shadow.Reconcile(base, local, stamped(t, `{"desired":{"a":1}}`, 9), deviceWins)
	if want := []string{"desired.a: cloud keeps 1 over 2"}; render(got) != `{"desired":{"a":1}}` || !slices.Equal(renderConflicts(conflicts), want) {
		t.Errorf("set back: %s, %v", render(got), renderConflicts(conflicts))
	}
}

// SYNC d11: newest is asked first, and the section's own rule stands in when the
// times decide nothing.
func TestReconcile_Newest(t *testing.T) {
	base := stamped(t, `{"desired":{"o":{"a":1,"b":1,"c":1}}}`, 1)
	local, cloud := state(t, `{"desired":{"o":{"a":2,"b":2,"c":2}}}`), stamped(t, `{"desired":{"o":{"a":3,"b":3,"c":3}}}`, 1)
	p := deviceWins
	var asked []string
	p.Newest = func(section string, path []string) shadow.Side {
		asked = append(asked, fmt.Sprint(section, path))
		return map[string]shadow.Side{"a": shadow.Local, "b": shadow.Cloud}[path[1]]
	}
	got, _ := shadow.Reconcile(base, local, cloud, p)
	if want := `{"desired":{"o":{"a":2,"b":3,"c":3}}}`; render(got) != want {
		t.Errorf("got %s, want %s", render(got), want)
	}
	if want := []string{"desired[o a]", "desired[o b]", "desired[o c]"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// SYNC d6: who deleted, what the other side did since base, what stays.
func TestCloudDeleted(t *testing.T) {
	for _, row := range []struct {
		name, base, local, stays string
		conflicts                []string
	}{
		{"nothing edited", `{"desired":{"a":1},"reported":{"b":1}}`, `{"desired":{"a":1},"reported":{"b":1}}`, ``, nil},
		{"reported edited", `{"desired":{"a":1},"reported":{"b":1,"c":1}}`, `{"desired":{"a":1},"reported":{"b":2,"c":1}}`, `{"reported":{"b":2,"c":1}}`,
			[]string{`reported: local keeps {"b":2,"c":1} over nothing`}},
		{"desired edited", `{"desired":{"a":1},"reported":{"b":1}}`, `{"desired":{"a":2,"n":3},"reported":{"b":1}}`, ``,
			[]string{"desired.a: cloud keeps nothing over 2", "desired.n: cloud keeps nothing over 3"}},
		{"both edited", `{"desired":{"a":1}}`, `{"desired":{"a":2},"reported":{"b":1}}`, `{"reported":{"b":1}}`,
			[]string{"desired.a: cloud keeps nothing over 2", `reported: local keeps {"b":1} over nothing`}},
		{"reported emptied", `{"reported":{"b":1}}`, `{}`, ``, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			stays, keep, conflicts := shadow.CloudDeleted(stamped(t, row.base, 1), state(t, row.local))
			checkDeleted(t, stays, keep, conflicts, row.stays, row.conflicts)
		})
	}
}

func TestLocalDeleted(t *testing.T) {
	for _, row := range []struct {
		name, base, cloud string
		stamp             int64
		stays             string
		conflicts         []string
	}{
		{"nothing edited", `{"desired":{"a":1},"reported":{"b":1}}`, `{"desired":{"a":1},"reported":{"b":1}}`, 1, ``, nil},
		{"desired edited", `{"desired":{"a":1,"c":1},"reported":{"b":1}}`, `{"desired":{"a":2,"c":1},"reported":{"b":1}}`, 1, `{"desired":{"a":2,"c":1}}`,
			[]string{`desired: cloud keeps {"a":2,"c":1} over nothing`}},
		{"desired set again", `{"desired":{"a":1}}`, `{"desired":{"a":1}}`, 9, `{"desired":{"a":1}}`, []string{`desired: cloud keeps {"a":1} over nothing`}},
		{"reported edited", `{"reported":{"b":1}}`, `{"reported":{"b":2}}`, 9, ``, nil},
		{"desired cleared", `{"desired":{"a":1}}`, `{}`, 1, ``, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			stays, keep, conflicts := shadow.LocalDeleted(stamped(t, row.base, 1), stamped(t, row.cloud, row.stamp))
			checkDeleted(t, stays, keep, conflicts, row.stays, row.conflicts)
		})
	}
}

func checkDeleted(t *testing.T, stays shadow.State, keep bool, conflicts []shadow.Conflict, want string, wantConflicts []string) {
	t.Helper()
	got := ""
	if keep {
		got = render(stays)
	}
	if got != want {
		t.Errorf("stays %q, want %q", got, want)
	}
	if diff := cmp.Diff(wantConflicts, renderConflicts(conflicts)); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
}

// SYNC d8: what an observed cloud says about an own write whose answer was lost,
// and what the merge then makes of it.
func TestRecognise(t *testing.T) {
	for _, row := range []struct {
		name, base, target, cloud string
		stamp                     int64 // of the cloud's leaves
		local, moved, merged      string
		conflicts                 []string
	}{
		{"c = t: applied, a newer local edit wins", `{"desired":{"a":1}}`, `{"desired":{"a":2}}`, `{"desired":{"a":2}}`, 5,
			`{"desired":{"a":3}}`, `{"desired":{"a":2}}`, `{"desired":{"a":3}}`, nil},
		{"c = b, stamp unchanged: not applied, sent again", `{"desired":{"a":1}}`, `{"desired":{"a":2}}`, `{"desired":{"a":1}}`, 1,
			`{"desired":{"a":2}}`, `{"desired":{"a":1}}`, `{"desired":{"a":2}}`, nil},
		{"c = b, stamp newer: applied and set back", `{"desired":{"a":1}}`, `{"desired":{"a":2}}`, `{"desired":{"a":1}}`, 5,
			`{"desired":{"a":2}}`, `{"desired":{"a":1}}`, `{"desired":{"a":1}}`, []string{"desired.a: cloud keeps 1 over 2"}},
		{"c another value: policy", `{"desired":{"a":1}}`, `{"desired":{"a":2}}`, `{"desired":{"a":9}}`, 5,
			`{"desired":{"a":2}}`, `{"desired":{"a":1}}`, `{"desired":{"a":9}}`, []string{"desired.a: cloud keeps 9 over 2"}},
		{"leaf by leaf", `{"reported":{"o":{"a":1,"b":1}}}`, `{"reported":{"o":{"a":2,"b":2}}}`, `{"reported":{"o":{"a":2,"b":9}}}`, 1,
			`{"reported":{"o":{"a":2,"b":2}}}`, `{"reported":{"o":{"a":2,"b":1}}}`, `{"reported":{"o":{"a":2,"b":2}}}`, []string{"reported.o.b: local keeps 2 over 9"}},
		{"a removal that was applied", `{"reported":{"a":1,"b":1}}`, `{"reported":{"b":1}}`, `{"reported":{"b":1}}`, 1,
			`{"reported":{"b":1,"a":5}}`, `{"reported":{"b":1}}`, `{"reported":{"b":1,"a":5}}`, nil},
		{"a section that was cleared", `{"reported":{"a":1}}`, `{}`, `{}`, 1, `{}`, `{}`, `{}`, nil},
		{"a creation", `{}`, `{"reported":{"a":1}}`, `{"reported":{"a":1}}`, 5, `{"reported":{"a":1}}`, `{"reported":{"a":1}}`, `{"reported":{"a":1}}`, nil},
		{"an object in part", `{"desired":{"a":1}}`, `{"desired":{"a":{"x":1,"y":2}}}`, `{"desired":{"a":{"x":1,"y":3}}}`, 1,
			`{"desired":{"a":{"x":1,"y":2}}}`, `{"desired":{"a":{"x":1}}}`, `{"desired":{"a":{"x":1,"y":3}}}`, []string{"desired.a.y: cloud keeps 3 over 2"}},
		{"a scalar of base stays when no leaf is ours", `{"desired":{"a":1}}`, `{"desired":{"a":{"x":1}}}`, `{"desired":{"a":{"x":2}}}`, 5,
			`{"desired":{"a":1}}`, `{"desired":{"a":1}}`, `{"desired":{"a":{"x":2}}}`, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			cloud := stamped(t, row.cloud, row.stamp)
			moved := shadow.Recognise(stamped(t, row.base, 1), state(t, row.target), cloud)
			if render(moved.State) != row.moved {
				t.Errorf("base moved to %s, want %s", render(moved.State), row.moved)
			}
			merged, conflicts := shadow.Reconcile(moved, state(t, row.local), cloud, deviceWins)
			if render(merged) != row.merged {
				t.Errorf("merged to %s, want %s", render(merged), row.merged)
			}
			if diff := cmp.Diff(row.conflicts, renderConflicts(conflicts)); diff != "" {
				t.Errorf("conflicts (-want +got):\n%s", diff)
			}
		})
	}
}

// A section or member that is gone is an explicit null in the patch.
func TestDiff(t *testing.T) {
	for _, row := range []struct{ name, from, to, want string }{
		{"equal", `{"desired":{"a":1,"o":{"b":1.0}}}`, `{"desired":{"o":{"b":1},"a":1}}`, ``},
		{"member gone", `{"desired":{"a":1,"b":1}}`, `{"desired":{"b":1}}`, `{"desired":{"a":null}}`},
		{"section gone", `{"desired":{"a":1},"reported":{"b":1}}`, `{"reported":{"b":1}}`, `{"desired":null}`},
		{"deep", `{"desired":{"o":{"a":1,"b":1}}}`, `{"desired":{"o":{"a":2,"c":1}}}`, `{"desired":{"o":{"b":null,"a":2,"c":1}}}`},
		{"emptied object", `{"desired":{"o":{"a":1}}}`, `{"desired":{"o":{}}}`, `{"desired":{"o":{"a":null}}}`},
		{"array", `{"desired":{"a":[1,2]}}`, `{"desired":{"a":[2]}}`, `{"desired":{"a":[2]}}`},
		{"from nothing", `{}`, `{"desired":{"a":{"b":1}}}`, `{"desired":{"a":{"b":1}}}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ""
			if d := shadow.Diff(state(t, row.from), state(t, row.to)); d != nil {
				got = string(shadow.Append(nil, d))
			}
			if got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}
