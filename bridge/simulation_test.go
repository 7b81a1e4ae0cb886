package bridge_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/cloudtest"
	"edgeshadow/test/shadowtest"
)

var (
	runs = flag.Int("simulations", 24, "seeded runs of the simulation")
	seed = flag.Uint64("seed", 0, "run the simulation with this seed only")
)

// TestSimulation edits, deletes, cuts, kills and spoils messages at random on
// both sides, then heals everything, and holds the invariants: both sides equal,
// no answered write lost but by a journalled decision, and nothing moves any more.
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		synctest.Test(t, func(t *testing.T) { simulate(t, *seed) })
		return
	}
	first := rand.Uint64N(1 << 40)
	for i := range *runs {
		seed := first + uint64(i)
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		}) {
			return
		}
	}
}

// world is one gateway and its cloud.
type world struct {
	t     *testing.T
	rnd   *rand.Rand
	path  string
	cloud *cloudtest.Cloud
	link  *cloudtest.Link

	store   *localshadow.Store
	service *localshadow.Service
	sync    *bridge.Reconciler
	stop    context.CancelFunc
	stopped chan struct{}

	version map[shadow.ID]int64 // the last local one seen, which only grows
}

func (w *world) start() {
	w.store = shadowtest.MustOpenStoreAt(w.t, w.path)
	w.service = shadowtest.NewService(w.t, w.store, nil)
	var err error
	cfg := bridge.Default()
	cfg.Shadows = append(cfg.Shadows, "n") // else one that was made unseen stays unseen
	if w.sync, err = bridge.Open(cfg, w.store, w.service, nil); err != nil {
		w.t.Fatal(err)
	}
	w.link = cloudtest.Dial(w.cloud, w.sync)
	w.sync.Connect(w.link)
	w.sync.Know("a", "b")
	w.service.Observe(w.sync)
	ctx, cancel := context.WithCancel(context.Background())
	w.stop, w.stopped = cancel, make(chan struct{})
	go func() {
		defer close(w.stopped)
		if err := w.sync.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
}

// restart is a stop at any moment: nothing that is only in memory survives.
func (w *world) restart() {
	w.link.Close()
	w.stop()
	<-w.stopped
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.start()
}

var ids = []shadow.ID{{Thing: "a"}, {Thing: "a", Name: "n"}, {Thing: "b"}}

func (w *world) id() shadow.ID { return ids[w.rnd.IntN(len(ids))] }

// patch is a random edit of one section.
func (w *world) patch(section string) map[string]any {
	leaf := func() any {
		switch w.rnd.IntN(6) {
		case 0:
			return nil
		case 1:
			return map[string]any{fmt.Sprint("k", w.rnd.IntN(2)): w.rnd.IntN(3)}
		case 2:
			return []any{w.rnd.IntN(2)}
		default:
			return w.rnd.IntN(4)
		}
	}
	edit := map[string]any{}
	for range 1 + w.rnd.IntN(2) {
		edit[fmt.Sprint("x", w.rnd.IntN(3))] = leaf()
	}
	if w.rnd.IntN(25) == 0 {
		return map[string]any{section: nil}
	}
	return map[string]any{section: edit}
}

func (w *world) section() string {
	if w.rnd.IntN(2) == 0 {
		return "desired"
	}
	return "reported"
}

func (w *world) localUpdate(id shadow.ID, state map[string]any) {
	payload, _ := json.Marshal(map[string]any{"state": state})
	body, err := w.service.Update(context.Background(), id, payload)
	if err != nil {
		w.t.Fatal(err)
	}
	var accepted struct{ Version int64 }
	_ = json.Unmarshal(body, &accepted)
	if accepted.Version <= w.version[id] {
		w.t.Errorf("%s: local version went from %d to %d", id, w.version[id], accepted.Version)
	}
	w.version[id] = accepted.Version
}

// spoil sets faults that each strike with some probability.
func (w *world) spoil() {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(w.rnd.Uint64(), 0))
	chance := func(n int) func(string) bool {
		return func(string) bool {
			mu.Lock()
			defer mu.Unlock()
			return rnd.IntN(n) == 0
		}
	}
	code := func(n int) func(string) int {
		return func(string) int {
			mu.Lock()
			defer mu.Unlock()
			if rnd.IntN(n) != 0 {
				return 0
			}
			return []int{409, 429, 500, 503}[rnd.IntN(4)]
		}
	}
	var k cloudtest.Knobs
	for range 2 {
		switch w.rnd.IntN(7) {
		case 0:
			k.DropRequest = chance(4)
		case 1:
			k.LoseAnswer = chance(4)
		case 2:
			k.Duplicate = chance(3)
		case 3:
			k.Reorder = chance(3)
		case 4:
			k.CutAfter = chance(5)
		case 5:
			k.Reject = code(4)
		case 6:
			bad := code(6)
			k.RejectBadly = func(topic string) int {
				if c := bad(topic); c >= 500 {
					return c
				}
				return 0
			}
		}
	}
	w.link.Turn(k)
}

func simulate(t *testing.T, seed uint64) {
	w := &world{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), path: t.TempDir(),
		cloud: cloudtest.New(), version: map[shadow.ID]int64{},
	}
	w.start()
	w.link.Connect(false)
	for range 60 {
		w.act()
	}
	// Heal: the last session is a lost one, so that events which faults have
	// swallowed show (a kept one relies on the cloud's replay).
	w.link.Turn(cloudtest.Knobs{})
	w.link.Cut()
	w.link.Connect(false)
	time.Sleep(30 * time.Minute)
	synctest.Wait()
	w.settled()
	w.link.Close()
	w.stop()
	<-w.stopped
	if err := w.store.Close(); err != nil {
		t.Error(err)
	}
}

func (w *world) act() {
	switch w.rnd.IntN(24) {
	case 0, 1, 2, 3, 4:
		w.localUpdate(w.id(), w.patch(w.section()))
	case 5, 6, 7, 8, 9:
		id := w.id()
		w.cloud.Update(id.Thing, id.Name, w.patch(w.section()))
	case 10:
		id := w.id()
		_, _ = w.service.Delete(context.Background(), id, nil) // may not exist
	case 11:
		id := w.id()
		w.cloud.Delete(id.Thing, id.Name)
	case 12:
		w.link.Cut()
	case 13, 14:
		w.link.Connect(w.rnd.IntN(2) == 0)
	case 15:
		w.spoil()
	case 16:
		w.link.Turn(cloudtest.Knobs{})
	case 17:
		w.restart()
		w.link.Connect(w.rnd.IntN(2) == 0)
	case 18:
		id := w.id()
		w.cloud.Forget(id.Thing, id.Name)
	case 19, 20:
		time.Sleep(time.Duration(w.rnd.IntN(20)) * time.Second)
	default:
		time.Sleep(time.Duration(w.rnd.IntN(700)) * time.Millisecond)
	}
}

// settled holds the invariants at the end.
func (w *world) settled() {
	status, err := w.sync.Status()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range ids {
		there, number := w.cloud.State(id.Thing, id.Name)
		d, err := w.service.Document(id)
		if err != nil {
			w.t.Fatal(err)
		}
		var here map[string]any
		if d != nil {
			here = plain(d.State)
		}
		if !reflect.DeepEqual(here, there) {
			w.t.Errorf("I1 %s: here %v, there %v at %d, up %v\nstatus %+v", id, here, there, number, w.link.Up(), status)
		}
	}
	for _, s := range status {
		if s.State != "clean" {
			w.t.Errorf("%s~%s is %s: %s", s.Thing, s.Shadow, s.State, s.LastError)
		}
		if there, number := w.cloud.State(s.Thing, s.Shadow); number != s.CloudVersion {
			w.t.Errorf("I6 %s~%s: known at %d, the cloud is at %d (%v)", s.Thing, s.Shadow, s.CloudVersion, number, there)
		}
	}
	before := w.link.Requests("")
	time.Sleep(time.Hour)
	if after := w.link.Requests(""); after != before {
		w.t.Errorf("I8: %d requests in an hour of quiet", after-before)
	}
}

// plain is a state as the cloud stand-in holds it.
func plain(s shadow.State) map[string]any {
	out := map[string]any{}
	for name, section := range map[string]*shadow.Object{"desired": s.Desired, "reported": s.Reported} {
		if section.Len() > 0 {
			var v any
			_ = json.Unmarshal(shadow.Append(nil, section), &v)
			out[name] = v
		}
	}
	return out
}
