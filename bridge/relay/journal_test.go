package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
)

const small = 1 << 20 // the least that a journal may have

func bounded(full relay.Full) relay.Classes {
	return relay.Classes{"telemetry": {Size: small, Full: full}}
}

// diskBytes is what a folder holds.
func diskBytes(tb testing.TB, dir string) (n int64) {
	tb.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return nil // it may be gone by now
	})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func segments(tb testing.TB, dir string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.log"))
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// L12: a full journal never exceeds its bound, whatever the policy; what is let go
// is counted, and what stays is the end, in order.
func TestJournal_Bound(t *testing.T) {
	for _, full := range []relay.Full{relay.Oldest, relay.Latest} {
		t.Run(string(full), func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, up, bounded(full), dir, "")
			const n = 300
			for i := range n {
				topic := fmt.Sprintf("line/%d/data", i) // none supersedes another
				s.put(t, topic, fmt.Sprintf("%d %s", i, pad(10_000)))
				if i%10 == 0 && diskBytes(t, dir) > small {
					t.Fatalf("%d bytes on disk after %d messages", diskBytes(t, dir), i)
				}
			}
			st := s.class(t, "telemetry")
			if st.Taken != n || st.Dropped == 0 || st.Pending+st.Dropped != n || st.Bytes > small {
				t.Errorf("%+v", st)
			}
			s.stop()
			c := mustCloud(t)
			mustOpen(t, up, bounded(full), dir, c.addr)
			got := c.await(t, "what is left", atLeast(int(st.Pending)))
			for i, m := range got {
				want := n - int(st.Pending) + i
				if m.Topic != fmt.Sprintf("site1/%d/data", want) {
					t.Fatalf("message %d of what is left is on %s, want number %d", i, m.Topic, want)
				}
			}
		})
	}
}

// Of states the last one of each topic stays, however many come.
func TestJournal_Latest(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, up, bounded(relay.Latest), dir, "")
	const topics, rounds = 7, 60
	s.put(t, "line/quiet/data", "once")
	for i := range rounds {
		for n := range topics {
			s.put(t, fmt.Sprintf("line/%d/data", n), fmt.Sprintf("%d %s", i, pad(6000)))
		}
	}
	if st := s.class(t, "telemetry"); st.Dropped != 0 || st.Superseded == 0 || st.Bytes > small {
		t.Errorf("%+v", st)
	}
	s.stop()
	c := mustCloud(t)
	again := mustOpen(t, up, bounded(relay.Latest), dir, c.addr)
	await(t, "an empty journal", func() bool { return again.class(t, "telemetry").Pending == 0 })
	got := map[string]string{}
	for _, m := range c.received() {
		number, _, _ := strings.Cut(string(m.Payload), " ")
		got[m.Topic] += number + " "
	}
	want := map[string]string{"site1/quiet/data": "once "}
	for n := range topics {
		want[fmt.Sprintf("site1/%d/data", n)] = fmt.Sprintf("%d ", rounds-1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of events none is let go: when there is no room, new ones are not
// acknowledged, until there is.
func TestJournal_Refuse(t *testing.T) {
	c := mustCloud(t)
	link := mustLink(t, c.addr)
	link.Refuse()
	s := mustOpen(t, up, bounded(relay.Refuse), t.TempDir(), link.Addr())
	taken := 0
	for s.class(t, "telemetry").Refused == 0 {
		before := s.class(t, "telemetry")
		acked := make(chan struct{})
		s.Take(t.Context(), relay.Message{Topic: "line/1/data", Payload: []byte(pad(20_000))}, func() { close(acked) })
		await(t, "an outcome", func() bool {
			after := s.class(t, "telemetry")
			return after.Taken+after.Refused > before.Taken+before.Refused
		})
		if s.class(t, "telemetry").Refused == 0 {
			<-acked
			taken++
		} else {
			select {
			case <-acked:
				t.Error("a message without room was acknowledged")
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	link.Heal()
	c.await(t, "all that was taken", atLeast(taken))
	await(t, "an empty journal", func() bool { return s.class(t, "telemetry").Pending == 0 })
	s.put(t, "line/1/data", "there is room")
	if st := s.class(t, "telemetry"); st.Dropped != 0 || st.Taken != int64(taken)+1 {
		t.Errorf("%d were taken: %+v", taken, st)
	}
}

// What is too old is not sent. The age is the time that the journal was open:
// a clock that jumps, and a time without power, change nothing.
func TestJournal_Age(t *testing.T) {
	dir := t.TempDir()
	classes := relay.Classes{"telemetry": {Size: small, Age: 2 * time.Hour}}
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, up, classes, dir, "")
		s.put(t, "line/1/data", "old")
		time.Sleep(90 * time.Minute)
		s.put(t, "line/1/data", "young")
		s.stop()
	})
	synctest.Test(t, func(t *testing.T) { // its clock begins anew, in the past
		s := mustOpen(t, up, classes, dir, "")
		time.Sleep(40 * time.Minute)
		if got := s.class(t, "telemetry"); got.Clock < 130*time.Minute || got.Clock > 131*time.Minute {
			t.Errorf("the journal's clock shows %v", got.Clock)
		}
		s.stop()
	})
	c := mustCloud(t)
	s := mustOpen(t, up, classes, dir, c.addr)
	got := lines(c.await(t, "what is young", atLeast(1)))
	if diff := cmp.Diff([]string{"site1/1/data young"}, got); diff != "" {
		t.Error(diff)
	}
	if st := s.class(t, "telemetry"); st.Expired != 1 {
		t.Errorf("%+v", st)
	}
}

// Whole segments that are too old are let go, with no uplink too.
func TestJournal_ExpireOffline(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, up, relay.Classes{"telemetry": {Size: small, Age: time.Hour}}, dir, "")
		for range 300 {
			s.put(t, "line/1/data", pad(1000))
		}
		before := s.class(t, "telemetry")
		time.Sleep(2 * time.Hour)
		after := s.class(t, "telemetry")
		if after.Expired == 0 || after.Bytes >= before.Bytes/2 || after.Pending+after.Expired != 300 {
			t.Errorf("before %+v, after %+v", before, after)
		}
	})
}

// A power cut may tear the end, anywhere in it: what is before it is sent, and
// new messages follow.
func TestJournal_TornTail(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, up, nil, dir, "")
	s.put(t, "line/1/data", numbered(20)...)
	s.stop()
	files := segments(t, dir)
	if len(files) != 1 {
		t.Fatalf("segments %v", files)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	one := len(whole) / 20 // payloads of one and two digits
	for _, cut := range []int{0, 1, 7, 8, 30, len(whole) / 2, len(whole) - 1, len(whole)} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "telemetry", filepath.Base(files[0]))
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			torn := append(slices.Clone(whole[:cut]), make([]byte, 512)...) // and a page of zeros, as ext4 leaves
			if err := os.WriteFile(path, torn, 0o600); err != nil {
				t.Fatal(err)
			}
			c := mustCloud(t)
			s := mustOpen(t, up, nil, dir, c.addr)
			s.put(t, "line/1/data", "new")
			got := firsts(c.await(t, "the new one", func(got []upstream.Message) bool {
				return len(got) > 0 && string(got[len(got)-1].Payload) == "new"
			}), "site1/1/data")
			if n := len(got) - 1; n < cut/(one+1)-1 || n > cut/(one-1)+1 {
				t.Errorf("%d of 20 records stayed of %d of %d bytes", n, cut, len(whole))
			}
			if diff := cmp.Diff(append(numbered(len(got)-1), "new"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Damage in the middle costs what is behind it in its segment, and is told.
func TestJournal_Damage(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, up, bounded(relay.Oldest), dir, "")
	const n = 400
	for i := range n {
		s.put(t, "line/1/data", fmt.Sprintf("%d %s", i, pad(1000)))
	}
	s.stop()
	files := segments(t, dir)
	if len(files) < 3 {
		t.Fatalf("segments %v", files)
	}
	data, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(files[1], data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "telemetry", "state"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := mustCloud(t)
	again := mustOpen(t, up, bounded(relay.Oldest), dir, c.addr)
	await(t, "an empty journal", func() bool { return again.class(t, "telemetry").Pending == 0 })
	st := again.class(t, "telemetry")
	got := c.received()
	if st.Damaged == 0 || int64(len(got))+st.Damaged != n {
		t.Errorf("%d came of %d: %+v", len(got), n, st)
	}
	if last := string(got[len(got)-1].Payload); !strings.HasPrefix(last, fmt.Sprint(n-1)) {
		t.Errorf("the last is %.8s", last)
	}
}

// What the disk does not take is not acknowledged, and the journal goes on when
// the disk does.
func TestJournal_DiskFails(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, up, nil, dir, "")
	folder := filepath.Join(dir, "telemetry")
	aside := folder + ".aside"
	if err := os.Rename(folder, aside); err != nil { // no segment can be made there
		t.Fatal(err)
	}
	s.Take(t.Context(), relay.Message{Topic: "line/1/data", Payload: []byte("lost")}, func() { t.Error("acknowledged") })
	await(t, "a failure", func() bool { return s.class(t, "telemetry").Failed == 1 })
	if err := os.Rename(aside, folder); err != nil {
		t.Fatal(err)
	}
	s.put(t, "line/1/data", "kept")
	s.stop()
	c := mustCloud(t)
	mustOpen(t, up, nil, dir, c.addr)
	if diff := cmp.Diff([]string{"site1/1/data kept"}, lines(c.await(t, "one", atLeast(1)))); diff != "" {
		t.Error(diff)
	}
}

// While the disk is almost full nothing is taken, and nothing is let go.
func TestJournal_DiskFull(t *testing.T) {
	r, err := relay.Open(up, nil, t.TempDir(), relay.Origin{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	var full atomic.Bool
	r.Room = func() error {
		if full.Load() {
			return errors.New("disk almost full")
		}
		return nil
	}
	s := &site{Relay: r}
	s.put(t, "line/1/data", "before")
	full.Store(true)
	s.Take(t.Context(), relay.Message{Topic: "line/1/data", Payload: []byte("while")}, func() { t.Error("acknowledged") })
	await(t, "a refusal", func() bool { return s.class(t, "telemetry").Refused == 1 })
	full.Store(false)
	s.put(t, "line/1/data", "after")
	if st := s.class(t, "telemetry"); st.Pending != 2 {
		t.Errorf("%+v", st)
	}
}

// A message that the cloud would not take is not kept for ever.
func TestJournal_TooLarge(t *testing.T) {
	s := mustOpen(t, relay.Config{"sealed": {From: "local:s", To: "cloud:s", Envelope: true}}, nil, t.TempDir(), "")
	s.put(t, "s", pad(128<<10))
	if st := s.class(t, "telemetry"); st.TooLarge != 1 || st.Pending != 0 {
		t.Errorf("%+v", st)
	}
}

// A message is kept whose context has ended, as that of the last wills of a
// broker that stops; a closed journal acknowledges nothing.
func TestJournal_Closed(t *testing.T) {
	s := mustOpen(t, up, nil, t.TempDir(), "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		acked := make(chan struct{})
		s.Take(ctx, relay.Message{Topic: "line/1/data"}, func() { close(acked) })
		<-acked
	}
	s.stop()
	for _, ctx := range []context.Context{t.Context(), ctx} {
		if !s.Take(ctx, relay.Message{Topic: "line/1/data"}, func() { t.Error("acknowledged") }) {
			t.Error("a rule's message was not taken")
		}
	}
}
