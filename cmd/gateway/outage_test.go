package gateway_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/linktest"
)

var cuts = flag.Int("cuts", 20, "how often TestGateway_CutAtRandom cuts the uplink")

// leaf is a value that a side writes: 1, 2, 3 … with the side's name in front,
// so that each write is told from every other.
type leaf struct {
	id            shadow.ID
	section, name string
	// last is what each side was answered for last; seen what each side held at
	// some time. By side: "here" is the gateway, "there" its cloud.
	last map[string]string
	seen map[string]map[string]bool
}

func (l *leaf) path() string { return l.section + "." + l.name }

// sides are the two gateways and what they hold.
type sides struct {
	api map[string]*console.Client

	mu     sync.Mutex
	leaves []*leaf
}

// TestGateway_CutAtRandom cuts the uplink in every way that a link fails, while
// both sides are written to, also the same values. In the end both sides are
// equal, and each write that was answered either stands, or was seen by the side
// that overwrote it, or is in the journal of decisions.
func TestGateway_CutAtRandom(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))

	dir := t.TempDir()
	there := MustRun(t, dir, MustLoad(t, dir, `broker: {listeners: [{address: "127.0.0.1:0"}]}`))
	cable := linktest.New(there.Addrs()[0].String())
	if err := cable.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cable.Close() })
	dir = t.TempDir()
	here := MustRun(t, dir, MustLoad(t, dir, fmt.Sprintf("broker: {listeners: [{address: '127.0.0.1:0'}]}\ncloud: {endpoint: 'mqtt://%s'}", cable.Addr())))
	s := &sides{api: map[string]*console.Client{"here": here.Client, "there": there.Client}}

	ids := []shadow.ID{{Thing: "lamp"}, {Thing: "lamp", Name: "light"}, {Thing: "pump"}}
	for _, id := range ids {
		for _, section := range []string{"desired", "reported"} {
			for _, name := range []string{"a", "b"} {
				s.leaves = append(s.leaves, &leaf{
					id: id, section: section, name: name, last: map[string]string{},
					seen: map[string]map[string]bool{"here": {}, "there": {}},
				})
			}
		}
	}
	watching, stop := context.WithCancel(t.Context())
	var watches sync.WaitGroup
	for side, api := range s.api {
		for _, id := range ids {
			watches.Go(func() { s.watch(watching, t, side, api, id) })
		}
	}

	writes := 0
	write := func(n int) {
		for range n {
			writes++
			side := [...]string{"here", "there"}[random.IntN(2)]
			s.write(t, side, s.leaves[random.IntN(len(s.leaves))], fmt.Sprintf(`"%s-%d"`, side, writes))
		}
	}
	faults := []func(){cable.Cut, cable.Refuse, cable.Stall, cable.Blackhole, cable.Mute}
	for range *cuts {
		write(random.IntN(20))
		faults[random.IntN(len(faults))]()
		write(random.IntN(20))
		cable.Heal()
		if random.IntN(3) > 0 { // else it is cut again while it comes back
			await(t, "the uplink is up", func() bool { return here.up(t) })
		}
	}
	write(10)
	await(t, "both sides are equal", func() bool { return s.equal(t, here, there, ids) })
	stop()
	watches.Wait()

	decisions, err := here.Client.Decisions(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	lost := map[string]bool{}
	for _, d := range decisions {
		lost[d.Lost] = true
	}
	for _, l := range s.leaves {
		final := s.value(t, here, l)
		for side, value := range l.last {
			other := map[string]string{"here": "there", "there": "here"}[side]
			if value != final && !l.seen[other][value] && !lost[value] {
				t.Errorf("%s %s: %s wrote %s, which is %s now: nobody saw it, and no decision tells", l.id, l.path(), side, value, final)
			}
		}
	}
	t.Logf("%d cuts, %d writes, %d decisions", *cuts, writes, len(decisions))
}

func (r running) up(tb testing.TB) bool {
	s, err := r.Client.Status(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return s.Uplink.State == upstream.Up
}

func (s *sides) write(tb testing.TB, side string, l *leaf, value string) {
	tb.Helper()
	if _, err := s.api[side].Update(tb.Context(), l.id, fmt.Appendf(nil, `{"state":{"%s":{"%s":%s}}}`, l.section, l.name, value)); err != nil {
		tb.Fatalf("%s %s %s: %v", side, l.id, l.path(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.last[side] = value
}

// watch notes what a side holds.
func (s *sides) watch(ctx context.Context, tb testing.TB, side string, api *console.Client, id shadow.ID) {
	err := api.Watch(ctx, id, func(w console.Watched) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, l := range s.leaves {
			if section, ok := w.State.Get(l.section); ok && l.id == id {
				if v, ok := section.(*shadow.Object).Get(l.name); ok {
					l.seen[side][string(shadow.Append(nil, v))] = true
				}
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		tb.Errorf("watch %s: %v", id, err)
	}
}

// equal compares the states, and lets nothing be under way.
func (s *sides) equal(tb testing.TB, here, there running, ids []shadow.ID) bool {
	tb.Helper()
	for _, id := range ids {
		a, err := here.Service().Document(id)
		b, err2 := there.Service().Document(id)
		if err := cmp.Or(err, err2); err != nil {
			tb.Fatal(err)
		}
		if a == nil || b == nil || shadow.Diff(a.State, b.State) != nil || !here.Sync().Synced(id) {
			return false
		}
	}
	return true
}

// value is what a leaf is in the end.
func (s *sides) value(tb testing.TB, r running, l *leaf) string {
	tb.Helper()
	d, err := r.Service().Document(l.id)
	if err != nil {
		tb.Fatal(err)
	}
	section := d.State.Desired
	if strings.HasPrefix(l.section, "r") {
		section = d.State.Reported
	}
	v, _ := section.Get(l.name)
	return string(shadow.Append(nil, v))
}
