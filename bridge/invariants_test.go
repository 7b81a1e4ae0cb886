package bridge_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/localshadow/shadow"
)

// bases holds I5: a base is a document that the cloud really had at that number.
func (w *world) bases() {
	for _, id := range ids {
		state, number, exists := w.sync.Base(id)
		if exists && !w.cloud.Was(id.Thing, id.Name, number, plain(state)) {
			w.t.Errorf("I5 %s: the cloud never had %v at %d", id, plain(state), number)
		}
	}
}

// settled holds the invariants at the end.
func (w *world) settled() {
	var status []bridge.ShadowStatus
	for range 30 {
		time.Sleep(time.Minute)
		synctest.Wait()
		var err error
		if status, err = w.sync.Unsynced(); err != nil {
			w.t.Fatal(err)
		}
		if len(status) == 0 {
			break
		}
	}
	for _, s := range status {
		w.t.Errorf("I1 %s~%s is %s after half an hour: %s", s.Thing, s.Shadow, s.State, s.LastError)
	}
	w.equal()
	w.history.check()
	before := w.link.Requests("update") + w.link.Requests("delete")
	gets := w.link.Requests("get")
	time.Sleep(15 * time.Minute)
	synctest.Wait()
	if after := w.link.Requests("update") + w.link.Requests("delete"); after != before {
		w.t.Errorf("I8, I9: %d writes in quiet", after-before)
	}
	if after := w.link.Requests("get"); after > gets+1 { // a comparison may be due
		w.t.Errorf("I8: %d gets in quiet", after-gets)
	}
	w.equal()
}

// equal holds I1, I6 and I10.
func (w *world) equal() {
	for _, id := range ids {
		there, version := w.cloud.State(id.Thing, id.Name)
		d, err := w.service.Document(id)
		if err != nil {
			w.t.Fatal(err)
		}
		var here map[string]any
		if d != nil {
			here = plain(d.State)
		}
		_, number, exists := w.sync.Base(id)
		if exists != (there != nil) || !reflect.DeepEqual(here, there) && len(here)+len(there) > 0 || (here == nil) != (there == nil) {
			w.t.Errorf("I1 %s: here %v, there %v at %d, known at %d (%v), up %v", id, here, there, version, number, exists, w.link.Up())
		}
		if exists && number != version {
			w.t.Errorf("I6 %s: known at %d, the cloud is at %d", id, number, version)
		}
		w.heard.check(id, d)
	}
}

// subscriber is a local client that hears everything.
type subscriber struct {
	t       *testing.T
	mu      sync.Mutex
	version map[string]int64 // by topic
	delta   map[shadow.ID]string
	last    map[shadow.ID]string // the state in the last update/documents
}

func newSubscriber(t *testing.T) *subscriber {
	return &subscriber{t: t, version: map[string]int64{}, delta: map[shadow.ID]string{}, last: map[shadow.ID]string{}}
}

func (s *subscriber) Publish(topic string, payload []byte) {
	var m struct {
		Version int64           `json:"version"`
		State   json.RawMessage `json:"state"`
		Current struct {
			Version int64           `json:"version"`
			State   json.RawMessage `json:"state"`
		} `json:"current"`
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		s.t.Errorf("%s: %v", topic, err)
	}
	id, suffix, _ := shadow.ParseTopic(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	version := m.Version
	switch suffix {
	case "update/delta":
		s.delta[id] = string(m.State)
	case "update/documents":
		version = m.Current.Version
		s.last[id] = string(m.Current.State)
	case "delete/accepted":
		delete(s.delta, id)
		delete(s.last, id)
		return
	}
	if version < s.version[topic] {
		s.t.Errorf("I10 %s: version went from %d to %d", topic, s.version[topic], version)
	}
	s.version[topic] = version
}

// check holds I10: who heard everything knows the document and its delta.
func (s *subscriber) check(id shadow.ID, d *shadow.Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d == nil {
		return
	}
	if delta := shadow.Delta(d.State); delta.Len() > 0 && s.delta[id] != string(shadow.Append(nil, delta)) {
		s.t.Errorf("I10 %s: the delta is %s, the last one heard %s", id, shadow.Append(nil, delta), s.delta[id])
	}
}

// history follows each leaf's last write on either side, to hold I3 and I4: a
// value that is not there in the end was overwritten by somebody who had seen
// it, or stands in the journal.
type history struct {
	w     *world
	here  map[string]float64 // the value that a local client wrote last, while nobody who saw it overwrote it
	there map[string]float64
}

func (h *history) begin(w *world) {
	h.w, h.here, h.there = w, map[string]float64{}, map[string]float64{}
}

// local is an edit of a local client, before it is made; nil is a delete.
func (h *history) local(id shadow.ID, patch map[string]any) {
	if !h.w.tame {
		return
	}
	d, err := h.w.service.Document(id)
	if err != nil {
		h.w.t.Fatal(err)
	}
	var seen map[string]any
	if d != nil {
		seen = plain(d.State)
	}
	h.edit(id, patch, h.here, h.there, seen)
}

// cloudEdit is the same for an application.
func (h *history) cloudEdit(id shadow.ID, patch map[string]any) {
	if !h.w.tame {
		return
	}
	seen, _ := h.w.cloud.State(id.Thing, id.Name)
	if patch != nil || seen != nil {
		h.edit(id, patch, h.there, h.here, seen)
	}
}

func (h *history) edit(id shadow.ID, patch map[string]any, mine, other map[string]float64, seen map[string]any) {
	for _, section := range []string{"desired", "reported"} {
		edit, touched := patch[section]
		if patch != nil && !touched {
			continue
		}
		members, _ := edit.(map[string]any)
		for _, leaf := range []string{"x0", "x1", "x2.k0", "x2.k1"} {
			value, written := at(members, leaf)
			if patch != nil && members != nil && !written {
				continue
			}
			path := id.String() + " " + pathOf(section, leaf)
			delete(mine, path)
			was, _ := at(sectionOf(seen, section), leaf)
			if v, there := other[path]; there && was == v {
				delete(other, path) // overwritten by who had seen it
			}
			if number, ok := value.(float64); ok {
				mine[path] = number
			}
		}
	}
}

func sectionOf(state map[string]any, name string) map[string]any {
	s, _ := state[name].(map[string]any)
	return s
}

// at reads a leaf of a section; written tells that an edit has it, or removes
// what it is in.
func at(section map[string]any, leaf string) (value any, written bool) {
	key, inner, nested := strings.Cut(leaf, ".")
	v, ok := section[key]
	if !nested || !ok {
		return v, ok
	}
	o, isObject := v.(map[string]any)
	if !isObject {
		return nil, true
	}
	v, ok = o[inner]
	return v, ok
}

func (h *history) check() {
	for invariant, writes := range map[string]map[string]float64{"I3 written here": h.here, "I4 written there": h.there} {
		for path, value := range writes {
			name, leaf, _ := strings.Cut(path, " ")
			for _, id := range ids {
				if id.String() == name {
					h.kept(invariant, id, leaf, value)
				}
			}
		}
	}
}

func (h *history) kept(invariant string, id shadow.ID, path string, value float64) {
	d, err := h.w.service.Document(id)
	if err != nil {
		h.w.t.Fatal(err)
	}
	section, leaf, _ := strings.Cut(path, ".")
	if d != nil {
		if v, _ := at(sectionOf(plain(d.State), section), leaf); v == value {
			return
		}
	}
	decisions, err := h.w.sync.Decisions(&id)
	if err != nil {
		h.w.t.Fatal(err)
	}
	for _, x := range decisions {
		if x.Path == "" || (path == x.Path || strings.HasPrefix(path, x.Path+".")) && strings.Contains(x.Lost, fmt.Sprint(value)) {
			return
		}
	}
	final := map[string]any(nil)
	if d != nil {
		final = plain(d.State)
	}
	h.w.t.Errorf("%s and lost without a word: %s %s = %v; at the end %v, journal %+v", invariant, id, path, value, final, decisions)
}
