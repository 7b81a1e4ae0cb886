package bridge_test

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/cloudtest"
	"edgeshadow/test/shadowtest"
)

type object = map[string]any

var lamp = shadow.ID{Thing: "lamp"}

// site is a gateway that knows one thing, and its cloud, in a bubble of time.
type site struct {
	t       *testing.T
	path    string
	cfg     bridge.Config
	cloud   *cloudtest.Cloud
	link    *cloudtest.Link
	store   *localshadow.Store
	service *localshadow.Service
	sync    *bridge.Reconciler
	heard   shadowtest.Recorder
	stop    context.CancelFunc
	stopped chan struct{}
	fsync   time.Duration // what a commit takes longer than the disk
}

// inSite runs a test in a bubble, with a site that is not connected yet.
func inSite(t *testing.T, cfg bridge.Config, fn func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, path: t.TempDir(), cfg: cfg, cloud: cloudtest.New()}
		s.start()
		defer func() { s.close() }()
		fn(t, s)
	})
}

func (s *site) start() {
	// No power is cut here: what kills does so to a process (TestCrash).
	s.store = shadowtest.MustOpenStoreWith(s.t, localshadow.Config{Path: s.path, Durability: localshadow.OneSecond})
	if s.fsync > 0 {
		s.store.Committed = func(time.Duration) { time.Sleep(s.fsync) }
	}
	s.service = shadowtest.NewService(s.t, s.store, &s.heard)
	var err error
	if s.sync, err = bridge.Open(s.cfg, s.store, s.service, nil); err != nil {
		s.t.Fatal(err)
	}
	s.link = cloudtest.Dial(s.cloud, s.sync)
	s.sync.Connect(s.link)
	s.sync.Know("lamp")
	s.service.Observe(s.sync)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.stopped = cancel, make(chan struct{})
	go func() {
		defer close(s.stopped)
		_ = s.sync.Run(ctx)
	}()
}

func (s *site) close() {
	s.stop()
	<-s.stopped
	s.link.Close()
	if err := s.store.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// restart loses all that is only in memory.
func (s *site) restart() {
	s.close()
	s.start()
}

// wait lets time pass.
func (s *site) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// write is a local client's update.
func (s *site) write(state object) {
	s.t.Helper()
	payload, _ := json.Marshal(object{"state": state})
	if _, err := s.service.Update(s.t.Context(), lamp, payload); err != nil {
		s.t.Fatal(err)
	}
}

// remove is a local client's delete.
func (s *site) remove() {
	s.t.Helper()
	if _, err := s.service.Delete(s.t.Context(), lamp, nil); err != nil {
		s.t.Fatal(err)
	}
}

// app is an application's update in the cloud.
func (s *site) app(state object) { s.cloud.Update("lamp", "", state) }

// here is the local document; nil for none.
func (s *site) here() object {
	s.t.Helper()
	d, err := s.service.Document(lamp)
	if err != nil {
		s.t.Fatal(err)
	}
	if d == nil {
		return nil
	}
	return plain(d.State)
}

func (s *site) there() object {
	state, _ := s.cloud.State("lamp", "")
	return state
}

// state is the word for the shadow's state.
func (s *site) state() string {
	s.t.Helper()
	status, err := s.sync.Status()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, st := range status {
		if st.Thing == "lamp" && st.Shadow == "" {
			return st.State
		}
	}
	return "absent"
}

// synced brings both sides to one document.
func (s *site) synced(state object) {
	s.t.Helper()
	s.app(state)
	s.link.Connect(false)
	s.wait(10 * time.Second)
	s.equal(state)
}

// heal ends all faults and waits until nothing is left to do.
func (s *site) heal() {
	s.t.Helper()
	s.link.Turn(cloudtest.Knobs{})
	s.link.Enforce(cloudtest.Quotas{})
	s.link.Connect(true)
	for range 120 {
		s.wait(15 * time.Second)
		left, err := s.sync.Unsynced()
		if err != nil {
			s.t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
	}
	s.t.Errorf("half an hour after the last fault the shadow is %s", s.state())
}

// equal holds both sides to a document.
func (s *site) equal(want object) {
	s.t.Helper()
	if got := s.here(); !reflect.DeepEqual(numbers(got), numbers(want)) {
		s.t.Errorf("here: got %v, want %v", got, want)
	}
	if got := s.there(); !reflect.DeepEqual(numbers(got), numbers(want)) {
		s.t.Errorf("there: got %v, want %v", got, want)
	}
}

// numbers is a document as JSON reads it; an empty one is nil's equal only when
// both are absent.
func numbers(o object) any {
	if o == nil {
		return nil
	}
	text, _ := json.Marshal(o)
	var out any
	_ = json.Unmarshal(text, &out)
	return out
}

// requests are the requests since the function was called, by kind.
func (s *site) requests() func() map[string]int {
	count := func() map[string]int {
		out := map[string]int{}
		for _, kind := range []string{"get", "update", "delete"} {
			out[kind] = s.link.Requests(kind)
		}
		return out
	}
	before := count()
	return func() map[string]int {
		after := count()
		for kind := range after {
			after[kind] -= before[kind]
		}
		maps.DeleteFunc(after, func(_ string, n int) bool { return n == 0 })
		return after
	}
}

// sent holds the requests since before to what was wanted.
func (s *site) sent(since func() map[string]int, want map[string]int) {
	s.t.Helper()
	if got := since(); !maps.Equal(got, want) {
		s.t.Errorf("got requests %v, want %v", got, want)
	}
}

// lost are the values that the journal says were lost, by their paths.
func (s *site) lost() map[string]string {
	s.t.Helper()
	decisions, err := s.sync.Decisions(&lamp)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range decisions {
		out[d.Path] = d.Lost
	}
	return out
}

func (s *site) expectLost(paths ...string) {
	s.t.Helper()
	got := slices.Sorted(maps.Keys(s.lost()))
	slices.Sort(paths)
	if !slices.Equal(got, paths) {
		s.t.Errorf("the journal names %q, want %q", got, paths)
	}
}
