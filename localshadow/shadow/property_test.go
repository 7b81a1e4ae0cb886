package shadow_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"edgeshadow/localshadow/shadow"
)

// Few keys and few values, so that what is drawn meets.
var (
	keys    = rapid.SampledFrom([]string{"a", "b", "c", "state", "timestamp", "é\"\\\n"})
	scalars = rapid.SampledFrom([]any{
		true, false, "", "1", "x\u2028", "1\x00",
		shadow.Number("1"), shadow.Number("1.0"), shadow.Number("1.10"), shadow.Number("1e2"), shadow.Number("-0"),
		shadow.Number("9007199254740993"), shadow.Number("9007199254740992"), shadow.Number("1e999"),
	})
)

// values draws values of up to so many levels; nulls are drawn as members only.
func values(levels int, nulls bool) *rapid.Generator[any] {
	if levels == 0 {
		return scalars
	}
	kinds := []*rapid.Generator[any]{scalars, arrays(levels - 1), rapid.Map(objects(levels-1, nulls), func(o *shadow.Object) any { return o })}
	if nulls {
		kinds = append(kinds, rapid.Just[any](nil))
	}
	return rapid.OneOf(kinds...)
}

func arrays(levels int) *rapid.Generator[any] {
	return rapid.Map(rapid.SliceOfN(values(levels, false), 0, 3), func(v []any) any { return v })
}

func objects(levels int, nulls bool) *rapid.Generator[*shadow.Object] {
	return rapid.Custom(func(t *rapid.T) *shadow.Object {
		var members []shadow.Member
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			members = append(members, shadow.Member{Key: keys.Draw(t, "key"), Value: values(levels, nulls).Draw(t, "value")})
		}
		return shadow.NewObject(members...)
	})
}

// states draws states as they are stored.
var states = rapid.Custom(func(t *rapid.T) shadow.State {
	return shadow.Merge(shadow.State{}, shadow.NewObject(
		shadow.Member{Key: "desired", Value: objects(3, false).Draw(t, "desired")},
		shadow.Member{Key: "reported", Value: objects(3, false).Draw(t, "reported")}))
})

// patches draws what the state of a request may be.
var patches = rapid.Custom(func(t *rapid.T) any {
	if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
		return nil // M9
	}
	var members []shadow.Member
	for _, section := range []string{"desired", "reported"} {
		switch rapid.IntRange(0, 5).Draw(t, section+" kind") {
		case 0:
		case 1:
			members = append(members, shadow.Member{Key: section})
		default:
			members = append(members, shadow.Member{Key: section, Value: objects(3, true).Draw(t, section)})
		}
	}
	return shadow.NewObject(members...)
})

// documents draws documents that came about by updates.
var documents = rapid.Custom(func(t *rapid.T) shadow.Document {
	var d shadow.Document
	for i := range rapid.IntRange(1, 3).Draw(t, "updates") {
		d = shadow.MergeMeta(d, patches.Draw(t, "patch"), nil, 1000+int64(i))
		d.Version++
	}
	return d
})

func sameState(a, b shadow.State) bool { return shadow.Diff(a, b) == nil && shadow.Diff(b, a) == nil }

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkStored holds what is true of every stored document: no null and no empty
// section (M2, M3b, M5), and metadata in its shape (T1).
func checkStored(t fataler, d shadow.Document) {
	t.Helper()
	for _, s := range [][2]*shadow.Object{{d.State.Desired, d.Metadata.Desired}, {d.State.Reported, d.Metadata.Reported}} {
		if (s[0] == nil) != (s[1] == nil) || s[0] != nil && s[0].Len() == 0 {
			t.Fatalf("section %s with metadata %s", shadow.Append(nil, s[0]), shadow.Append(nil, s[1]))
		}
		if s[0] != nil && !mirrors(s[0], s[1]) {
			t.Fatalf("metadata %s of %s", shadow.Append(nil, s[1]), shadow.Append(nil, s[0]))
		}
	}
}

func mirrors(state, meta any) bool {
	switch s := state.(type) {
	case nil:
		return false
	case *shadow.Object:
		m, ok := meta.(*shadow.Object)
		if !ok || s.Len() != m.Len() {
			return false
		}
		for key, v := range s.All() {
			if inner, ok := m.Get(key); !ok || !mirrors(v, inner) {
				return false
			}
		}
		return true
	case []any:
		m, ok := meta.([]any)
		if !ok || len(s) != len(m) {
			return false
		}
		for i := range s {
			if !mirrors(s[i], m[i]) {
				return false
			}
		}
		return true
	default:
		_, ok := meta.(shadow.Timestamp)
		return ok
	}
}

func TestProperty_Merge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := documents.Draw(t, "document")
		checkStored(t, d)
		patch := patches.Draw(t, "patch")
		once := shadow.MergeMeta(d, patch, nil, 2000)
		checkStored(t, once)
		if twice := shadow.MergeMeta(once, patch, nil, 2000); !sameState(once.State, twice.State) || render(twice.Metadata) != render(once.Metadata) {
			t.Errorf("merged once %s, twice %s", render(once.State), render(twice.State))
		}
	})
}

func TestProperty_Diff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := states.Draw(t, "from"), states.Draw(t, "to")
		patch := shadow.Diff(from, to)
		if patch == nil {
			if render(from) != render(to) && !sameState(from, to) {
				t.Errorf("no patch from %s to %s", render(from), render(to))
			}
			return
		}
		if got := shadow.Merge(from, patch); !sameState(got, to) {
			t.Errorf("%s patched to %s, want %s", shadow.Append(nil, patch), render(got), render(to))
		}
	})
}

// checkDelta: a device that takes its delta over has none left (D1 to D7).
func checkDelta(t fataler, s shadow.State) {
	t.Helper()
	delta := shadow.Delta(s)
	if delta == nil {
		return
	}
	after := shadow.Merge(s, shadow.NewObject(shadow.Member{Key: "reported", Value: delta}))
	if left := shadow.Delta(after); left != nil {
		t.Fatalf("delta %s of %s leaves %s", shadow.Append(nil, delta), render(s), shadow.Append(nil, left))
	}
}

func TestProperty_Delta(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkDelta(t, states.Draw(t, "state")) })
}

// checkReconcile: both sides that take the result over are done, a side that
// did nothing loses nothing, and everything that is lost has a conflict.
func checkReconcile(t fataler, base shadow.Document, local shadow.State, cloud shadow.Document) {
	t.Helper()
	merged, conflicts := shadow.Reconcile(base, local, cloud, deviceWins)
	again, more := shadow.Reconcile(cloud, merged, cloud, deviceWins)
	if !sameState(merged, again) || len(more) > 0 {
		t.Fatalf("reconciled to %s, again to %s with %v", render(merged), render(again), renderConflicts(more))
	}
	pushed := cloud
	if patch := shadow.Diff(cloud.State, merged); patch != nil {
		pushed = shadow.MergeMeta(cloud, patch, nil, 3000)
	}
	if !sameState(pushed.State, merged) {
		t.Fatalf("the patch makes %s of the cloud, want %s", render(pushed.State), render(merged))
	}
	if got, more := shadow.Reconcile(pushed, merged, pushed, deviceWins); !sameState(got, merged) || len(more) > 0 {
		t.Fatalf("after the push %s, want %s", render(got), render(merged))
	}
	if sameState(base.State, local) && (!sameState(merged, cloud.State) || len(conflicts) > 0) {
		t.Fatalf("with nothing changed here got %s with %v, want the cloud's %s", render(merged), renderConflicts(conflicts), render(cloud.State))
	}
	if got, more := shadow.Reconcile(cloud, local, cloud, deviceWins); !sameState(got, local) || len(more) > 0 {
		t.Fatalf("with nothing changed there got %s with %v, want %s", render(got), renderConflicts(more), render(local))
	}
	if again, _ := shadow.Reconcile(base, local, cloud, deviceWins); render(again) != render(merged) {
		t.Fatalf("the same input made %s and %s", render(merged), render(again))
	}
}

func TestProperty_Reconcile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := documents.Draw(t, "base")
		local := shadow.Merge(base.State, patches.Draw(t, "edits here"))
		cloud := shadow.MergeMeta(base, patches.Draw(t, "edits there"), nil, 2000)
		checkReconcile(t, base, local, cloud)
		checkReconcile(t, shadow.Document{}, local, cloud)
	})
}

// With the cloud as owner of both sections its edits always stand, and the
// other way round.
func TestProperty_ReconcileOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := documents.Draw(t, "base")
		cloudPatch, localPatch := patches.Draw(t, "edits there"), patches.Draw(t, "edits here")
		cloud := shadow.MergeMeta(base, cloudPatch, nil, 2000)
		local := shadow.Merge(base.State, localPatch)
		for _, side := range []shadow.Side{shadow.Cloud, shadow.Local} {
			merged, conflicts := shadow.Reconcile(base, local, cloud, shadow.Policy{Desired: side, Reported: side})
			for _, c := range conflicts {
				if c.Winner != side {
					t.Errorf("%s won %s", c.Winner, c.Path)
				}
			}
			if len(conflicts) > 0 {
				continue
			}
			// Without a conflict the other policy must come to the same.
			other, more := shadow.Reconcile(base, local, cloud, deviceWins)
			if len(more) > 0 || !sameState(other, merged) {
				t.Errorf("policy decided without a conflict: %s and %s", render(merged), render(other))
			}
		}
	})
}

// An own write that was applied is never taken for a foreign one.
func TestProperty_Recognise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := documents.Draw(t, "base")
		target := shadow.Merge(base.State, patches.Draw(t, "sent"))
		cloud := base
		if patch := shadow.Diff(base.State, target); patch != nil {
			cloud = shadow.MergeMeta(base, patch, nil, 2000)
		}
		moved := shadow.Recognise(base, target, cloud)
		if !sameState(moved.State, target) {
			t.Errorf("base moved to %s, want %s", render(moved.State), render(target))
		}
		newer := shadow.Merge(target, patches.Draw(t, "a newer edit"))
		if got, conflicts := shadow.Reconcile(moved, newer, cloud, deviceWins); !sameState(got, newer) || len(conflicts) > 0 {
			t.Errorf("the newer edit %s became %s with %v", render(newer), render(got), renderConflicts(conflicts))
		}
	})
}

func TestProperty_Encoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(4, true).Draw(t, "value")
		text := shadow.Append(nil, v)
		if !json.Valid(text) {
			t.Fatalf("not JSON: %s", text)
		}
		back, err := shadow.Parse(text)
		if err != nil || !shadow.Equal(v, back) {
			t.Fatalf("%s came back as %s, %v", text, shadow.Append(nil, back), err)
		}
		if again := shadow.Append(nil, back); !bytes.Equal(again, text) {
			t.Errorf("%s became %s", text, again)
		}
		d := documents.Draw(t, "document")
		stored, err := shadow.DecodeDocument(shadow.AppendDocument(nil, &d))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := shadow.AppendGet(nil, stored, 1, nil), shadow.AppendGet(nil, &d, 1, nil); !bytes.Equal(got, want) {
			t.Errorf("stored %s, read %s", want, got)
		}
	})
}

// D6: numbers are equal when their decimal values are; math/big says so too.
func TestProperty_Numbers(t *testing.T) {
	numbers := rapid.StringMatching(`-?(0|[1-9][0-9]{0,4})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers.Draw(t, "a"), numbers.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got, want := shadow.Equal(shadow.Number(a), shadow.Number(b)), x.Cmp(y) == 0; got != want {
			t.Errorf("%s and %s: equal is %v", a, b, got)
		}
	})
}

func TestProperty_Topics(t *testing.T) {
	suffixes := []string{"get", "update", "delete", "get/accepted", "get/rejected", "update/accepted", "update/rejected",
		"update/delta", "update/documents", "delete/accepted", "delete/rejected"}
	rapid.Check(t, func(t *rapid.T) {
		id := shadow.ID{Thing: rapid.StringMatching(`[a-zA-Z0-9:_-]{1,128}`).Draw(t, "thing")}
		if rapid.Bool().Draw(t, "named") {
			id.Name = rapid.StringMatching(`[$a-zA-Z0-9:_-]{1,64}`).Draw(t, "name")
		}
		suffix := rapid.SampledFrom(suffixes).Draw(t, "suffix")
		got, gotSuffix, ok := shadow.ParseTopic(id.Topic(suffix))
		if !ok || got != id || gotSuffix != suffix || id.Check() != nil {
			t.Errorf("%s: %v %q %v", id.Topic(suffix), got, gotSuffix, ok)
		}
	})
}
