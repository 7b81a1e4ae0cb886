package relay_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"edgeshadow/bridge/relay"
)

func TestFilter_Match(t *testing.T) {
	for _, row := range []struct {
		filter, topic string
		want          []string // the first is that of "#"
	}{
		{"a/b", "a/b", []string{""}},
		{"a/b", "a", nil},
		{"a", "a/b", nil},
		{"a/b", "a/b/", nil},
		{"+", "a", []string{"", "a"}},
		{"+", "a/b", nil},
		{"a/+/c/+", "a/1/c/2", []string{"", "1", "2"}},
		{"a/+", "a/", []string{"", ""}},
		{"a/+", "a", nil},
		{"#", "a/b", []string{"a/b"}},
		{"a/#", "a/b/c", []string{"b/c"}},
		{"a/#", "a", []string{""}},
		{"a/+/#", "a", nil},
		{"a/+/#", "a/1", []string{"", "1"}},
		{"a/+/#", "a/1/x/y", []string{"x/y", "1"}},
		{"a/#", "ab", nil},
	} {
		got, err := relay.Matches(row.filter, row.topic)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s on %s (-want +got):\n%s", row.filter, row.topic, diff)
		}
	}
}

// Two filters that match one topic overlap; match never panics.
func TestProperty_Overlap(t *testing.T) {
	level := rapid.SampledFrom([]string{"a", "b", "", "+"})
	filters := rapid.Custom(func(t *rapid.T) string {
		levels := rapid.SliceOfN(level, 1, 4).Draw(t, "levels")
		if rapid.Bool().Draw(t, "rest") {
			levels = append(levels, "#")
		}
		return strings.Join(levels, "/")
	})
	rapid.Check(t, func(t *rapid.T) {
		f, g := filters.Draw(t, "f"), filters.Draw(t, "g")
		if f == "" || g == "" {
			return
		}
		topic := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", ""}), 1, 5).Draw(t, "topic"), "/")
		first, err := relay.Matches(f, topic)
		if err != nil {
			t.Fatal(err)
		}
		second, err := relay.Matches(g, topic)
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && second != nil && !relay.Overlap(f, g) {
			t.Errorf("%q and %q match %q and do not overlap", f, g, topic)
		}
		if relay.Overlap(f, g) != relay.Overlap(g, f) {
			t.Errorf("%q and %q overlap one way", f, g)
		}
	})
}

// What was sent is kept in few words, and says the same as a set.
func TestProperty_Progress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const head = 40
		var p relay.Progress
		set := map[uint64]bool{}
		for _, seq := range rapid.SliceOfN(rapid.Uint64Range(0, head-1), 0, 60).Draw(t, "sent") {
			p.Done(seq)
			set[seq] = true
		}
		low, gaps := uint64(0), 0
		for set[low] {
			low++
		}
		for seq := low; seq < head; seq++ {
			if p.Has(seq) != set[seq] {
				t.Errorf("%d: %v, want %v", seq, p.Has(seq), set[seq])
			}
			if set[seq] && !set[seq-1] {
				gaps++
			}
		}
		if p.Low() != low || p.Spans() != gaps || p.Pending(head) != int64(head-len(set)) {
			t.Errorf("low %d, %d spans, %d pending; want %d, %d, %d", p.Low(), p.Spans(), p.Pending(head), low, gaps, head-len(set))
		}
		dir, err := os.MkdirTemp("", "progress")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := p.Save(dir); err != nil {
			t.Fatal(err)
		}
		again := relay.LoadProgress(dir)
		for seq := range uint64(head) {
			if again.Has(seq) != p.Has(seq) {
				t.Errorf("%d after reading: %v", seq, again.Has(seq))
			}
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte("junk"))
	f.Fuzz(func(t *testing.T, data []byte) {
		relay.DecodeProgress(data).Done(7)
	})
}

// Of a segment that says anything the good beginning is read, which is no more
// than there is.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	r, err := relay.Open(up, nil, dir, relay.Origin{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	done := make(chan struct{}, 3)
	for _, p := range numbered(cap(done)) {
		r.Take(f.Context(), relay.Message{Topic: "line/1/data", Payload: []byte(p)}, func() { done <- struct{}{} })
		<-done
	}
	if err := r.Close(); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(segments(f, dir)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(slices.Concat(data, data))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.log")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		records, bytes, err := relay.ReadSegment(path, 0)
		if err != nil || bytes > int64(len(data)) || int64(records) > bytes {
			t.Errorf("%d records in %d of %d bytes, %v", records, bytes, len(data), err)
		}
	})
}

func FuzzRule(f *testing.F) {
	f.Add("local:line/+/data/#", "cloud:site/{1}/{#}", "line/7/data/x")
	f.Fuzz(func(t *testing.T, from, to, topic string) {
		cfg := relay.Config{"x": {From: from, To: to}}
		if len(cfg.Validate(nil)) > 0 {
			return
		}
		for _, side := range []string{"local:", "cloud:"} {
			matches, err := cfg.Test(nil, side+topic)
			if err != nil {
				return
			}
			for _, m := range matches {
				target, toCloud := strings.CutPrefix(m.Target, "cloud:")
				if toCloud && m.Error == "" && !strings.HasPrefix(target, "$aws/rules/") && (strings.Count(target, "/") > 7 || len(target) > 256 || strings.HasPrefix(target, "$")) {
					t.Errorf("%s from %s to %s: %s", topic, from, to, m.Target)
				}
			}
		}
	})
}
