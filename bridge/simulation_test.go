package bridge_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
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
	runs  = flag.Int("simulations", 25, "seeded runs of the simulation")
	steps = flag.Int("steps", 80, "steps of each run")
	seed  = flag.Uint64("seed", 0, "run the simulation with this seed only")
)

// TestSimulation edits, deletes, cuts, kills, turns clocks and spoils messages
// at random on both sides, then heals everything, and holds the invariants.
// -simulations and -steps make it long: 12500 runs are a million steps.
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
	seed  uint64
	rnd   *rand.Rand
	path  string
	cloud *cloudtest.Cloud
	link  *cloudtest.Link

	store   *localshadow.Store
	service *localshadow.Service
	sync    *bridge.Reconciler
	stop    context.CancelFunc
	stopped chan struct{}

	tame    bool // leaves keep their kind and values are unique, so that each can be followed
	value   int
	history history
	version map[shadow.ID]int64 // the last local one seen, which only grows
	heard   *subscriber
	clock   sync.Mutex
	struck  map[string]int // knobs asked, by topic
}

func (w *world) start() {
	w.store = shadowtest.MustOpenStoreWith(w.t, localshadow.Config{Path: w.path, Durability: localshadow.OneSecond}) // a copy of the files has it all
	w.service = shadowtest.NewService(w.t, w.store, w.heard)
	clock := rand.New(rand.NewPCG(w.seed, 3))
	w.service.Now = func() time.Time { // I15: nobody may rely on it
		w.clock.Lock()
		defer w.clock.Unlock()
		return time.Unix(clock.Int64N(1<<32), 0)
	}
	cfg := bridge.Default()
	cfg.Shadows = append(cfg.Shadows, "n") // else one that was made unseen stays unseen
	var err error
	if w.sync, err = bridge.Open(cfg, w.store, w.service, nil); err != nil {
		w.t.Fatal(err)
	}
	w.sync.Seed(w.seed)
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
	if w.store.Unclean() {
		if err := w.service.RepublishDeltas(ctx); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) close() {
	w.stop()
	<-w.stopped
	w.link.Close()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// restart is a stop in order.
func (w *world) restart() {
	w.close()
	w.start()
}

// crash is a power cut: what is on the disk at this moment is all that the next
// start finds.
func (w *world) crash() {
	after := filepath.Join(w.t.TempDir(), "after")
	if err := copyTree(after, w.path); err != nil {
		w.t.Fatal(err)
	}
	w.close()
	w.path = after
	w.start()
}

func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

var ids = []shadow.ID{{Thing: "a"}, {Thing: "a", Name: "n"}, {Thing: "b"}}

func (w *world) id() shadow.ID { return ids[w.rnd.IntN(len(ids))] }

// patch is a random edit of one section.
func (w *world) patch(section string) map[string]any {
	if w.rnd.IntN(25) == 0 {
		return map[string]any{section: nil}
	}
	edit := map[string]any{}
	for range 1 + w.rnd.IntN(2) {
		key := w.rnd.IntN(3)
		if w.tame {
			edit[fmt.Sprint("x", key)] = w.tameLeaf(key)
		} else {
			edit[fmt.Sprint("x", key)] = w.leaf()
		}
	}
	return map[string]any{section: edit}
}

func (w *world) leaf() any {
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

// tameLeaf is a number that no other edit sets; x2 is an object of two.
func (w *world) tameLeaf(key int) any {
	if w.rnd.IntN(6) == 0 {
		return nil
	}
	w.value++
	if key == 2 {
		return map[string]any{fmt.Sprint("k", w.rnd.IntN(2)): float64(w.value)}
	}
	return float64(w.value)
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
		w.t.Errorf("I6 %s: local version went from %d to %d", id, w.version[id], accepted.Version)
	}
	w.version[id] = accepted.Version
}

// spoil sets faults that each strike with some probability. Whether a message
// is struck depends on the seed, its topic and how many it had before, so that
// the order of different shadows changes nothing.
func (w *world) spoil() {
	round := w.rnd.Uint64()
	draw := func(kind, topic string, n int) bool {
		key := fmt.Sprint(kind, round, topic)
		w.struck[key]++
		h := fnv.New64a()
		fmt.Fprint(h, key, w.struck[key])
		return h.Sum64()%uint64(n) == 0
	}
	chance := func(kind string, n int) func(string) bool {
		return func(topic string) bool { return draw(kind, topic, n) }
	}
	codes := []int{409, 429, 500, 503}
	code := codes[w.rnd.IntN(len(codes))]
	var k cloudtest.Knobs
	for range 2 {
		switch w.rnd.IntN(9) {
		case 0:
			k.DropRequest = chance("drop", 4)
		case 1:
			k.LoseAnswer = chance("lose", 4)
		case 2:
			k.Duplicate = chance("dup", 3)
		case 3:
			k.Reorder = chance("reorder", 3)
		case 4:
			k.CutAfter = chance("after", 5)
		case 5:
			k.CutBefore = chance("before", 5)
		case 6:
			k.Reject = cloudtest.Code(code, chance("reject", 4))
		case 7:
			k.RejectBadly = cloudtest.Code(max(code, 500), chance("badly", 6))
		case 8:
			slow := chance("slow", 3)
			k.Delay = func(topic string) time.Duration {
				if slow(topic) {
					return 1500 * time.Millisecond
				}
				return 0
			}
		}
	}
	w.link.Turn(k)
}

func simulate(t *testing.T, seed uint64) {
	w := &world{
		t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 1)), path: t.TempDir(), tame: seed%2 == 0,
		cloud: cloudtest.New(), version: map[shadow.ID]int64{}, heard: newSubscriber(t), struck: map[string]int{},
	}
	w.history.begin(w)
	w.start()
	w.link.Connect(false)
	for range *steps {
		w.act()
		synctest.Wait()
		w.bases()
	}
	// Heal: the last session is a lost one, so that events which faults have
	// swallowed show (a kept one relies on the cloud's replay).
	w.link.Turn(cloudtest.Knobs{})
	w.link.KillSession()
	w.link.Connect(false)
	w.settled()
	w.close()
}

func (w *world) act() {
	act := w.rnd.IntN(26)
	if *seed != 0 {
		w.t.Logf("%s act %d, cloud %v", time.Now().Format("04:05.000"), act, w.cloud.Dump())
	}
	switch act {
	case 0, 1, 2, 3, 4:
		id, patch := w.id(), w.patch(w.section())
		w.history.local(id, patch)
		w.localUpdate(id, patch)
	case 5, 6, 7, 8, 9:
		id, patch := w.id(), w.patch(w.section())
		w.history.cloudEdit(id, patch)
		w.cloud.Update(id.Thing, id.Name, patch)
	case 10:
		id := w.id()
		if d, err := w.service.Document(id); err != nil || d == nil {
			break
		}
		w.history.local(id, nil)
		if _, err := w.service.Delete(context.Background(), id, nil); err != nil {
			w.t.Fatal(err)
		}
	case 11:
		id := w.id()
		w.history.cloudEdit(id, nil)
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
		// Off for two days: the cloud's counters start over, and no session is kept.
		id := w.id()
		w.link.KillSession()
		w.close()
		w.cloud.Forget(id.Thing, id.Name)
		w.start()
	case 19, 20:
		time.Sleep(time.Duration(w.rnd.IntN(20)) * time.Second)
	case 21:
		w.crash()
		w.link.Connect(w.rnd.IntN(2) == 0)
	default:
		time.Sleep(time.Duration(w.rnd.IntN(700)) * time.Millisecond)
	}
}

// plain is a state as the cloud stand-in holds it; nil for none.
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

func pathOf(parts ...string) string { return strings.Join(parts, ".") }
