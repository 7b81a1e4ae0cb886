package console

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// Watched is one line of a watch: the document as it is first, then as it
// becomes with each change. A deleted shadow has no version.
type Watched struct {
	Time    time.Time      `json:"time"`
	Thing   string         `json:"thing"`
	Shadow  string         `json:"shadow,omitempty"`
	Version int64          `json:"version,omitempty"`
	Deleted bool           `json:"deleted,omitempty"`
	State   *shadow.Object `json:"state,omitempty"`
	Delta   *shadow.Object `json:"delta,omitempty"`
}

// waitingLines are kept for a watcher that reads slowly; beyond, its watch ends.
const waitingLines = 256

// watchers are the watches that are open.
type watchers struct {
	mu   sync.Mutex
	open map[chan Watched]shadow.ID
}

// Changed tells the watchers; it is the shadow service's observer.
func (s *Server) Changed(c localshadow.Change) {
	s.watchers.mu.Lock()
	defer s.watchers.mu.Unlock()
	for lines, id := range s.watchers.open {
		if id != c.ID {
			continue
		}
		select {
		case lines <- watched(c.ID, c.Doc):
		default:
			delete(s.watchers.open, lines)
			close(lines)
		}
	}
}

func watched(id shadow.ID, d *shadow.Document) Watched {
	w := Watched{Time: time.Now().UTC(), Thing: id.Thing, Shadow: id.Name}
	if d == nil {
		w.Deleted = true
		return w
	}
	w.Version = d.Version
	w.State = shadow.NewObject()
	if d.State.Desired.Len() > 0 {
		w.State = w.State.With("desired", d.State.Desired)
	}
	if d.State.Reported.Len() > 0 {
		w.State = w.State.With("reported", d.State.Reported)
	}
	w.Delta = shadow.Delta(d.State)
	return w
}

// watch streams one shadow, a JSON object per line.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	id, err := identify(r)
	if err != nil {
		refuse(w, err)
		return
	}
	lines := make(chan Watched, waitingLines)
	s.watchers.mu.Lock()
	if s.watchers.open == nil {
		s.watchers.open = map[chan Watched]shadow.ID{}
	}
	s.watchers.open[lines] = id
	s.watchers.mu.Unlock()
	defer func() {
		s.watchers.mu.Lock()
		delete(s.watchers.open, lines)
		s.watchers.mu.Unlock()
	}()

	d, err := s.gateway.Shadows().Document(id)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	var last int64
	if d != nil {
		last = d.Version
		_ = out.Encode(watched(id, d))
	}
	_ = flush.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case line, ok := <-lines:
			if !ok {
				return
			}
			if !line.Deleted && line.Version <= last { // it is the first line's
				continue
			}
			last = line.Version
			if out.Encode(line) != nil || flush.Flush() != nil {
				return
			}
		}
	}
}
