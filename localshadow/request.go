package localshadow

import (
	"bytes"
	"errors"

	"edgeshadow/localshadow/shadow"
)

const (
	opGet    = "get"
	opUpdate = "update"
	opDelete = "delete"
)

// request is one request and, once it ran, what there is to tell.
type request struct {
	service *Service
	id      shadow.ID
	op      string
	update  shadow.Update
	token   *string
	refused error // before it had its turn

	prev, cur local
	now       int64
}

// request parses outside of the store's turn. What is refused here still waits
// for its turn: answers keep the order of requests.
func (s *Service) request(id shadow.ID, op string, payload []byte) *request {
	r := &request{service: s, id: id, op: op}
	switch op {
	case opUpdate:
		r.update, r.refused = shadow.ParseUpdate(payload, s.limits())
		r.token = r.update.ClientToken
	case opGet, opDelete:
		r.token = shadow.ParseToken(payload)
	default:
		r.refused = &shadow.Error{Code: 400, Message: "Unknown operation: " + op}
	}
	if err := id.Check(); err != nil {
		r.refused = asRefusal(err)
	}
	return r
}

func asRefusal(err error) error {
	var refused *shadow.Error
	if errors.As(err, &refused) {
		return refused
	}
	return &shadow.Error{Code: 400, Message: err.Error()}
}

// run is the operation: it decides, and writes what is decided.
func (r *request) run(tx *Tx) error {
	if r.refused != nil {
		return r.refused
	}
	var err error
	if r.prev, err = r.service.load(tx, r.id); err != nil {
		return err
	}
	r.now = r.service.now()
	switch r.op {
	case opUpdate:
		if r.prev.doc == nil && r.prev.version > 0 && r.update.Version != nil {
			return shadow.ErrVersionConflict // V8: a tombstone's number is no version that a client saw
		}
		doc, err := shadow.Apply(r.prev.doc, r.prev.version, r.update, r.now, r.service.limits())
		if err != nil {
			return err
		}
		r.cur = local{doc, doc.Version}
		return r.service.save(tx, r.id, r.cur)
	case opDelete:
		if r.prev.doc == nil {
			return shadow.NotFound(r.id) // X3
		}
		r.cur = local{version: r.prev.version + 1} // V7
		return r.service.save(tx, r.id, r.cur)
	default:
		if r.prev.doc == nil {
			return shadow.NotFound(r.id) // G5
		}
		return nil
	}
}

// load reads this side of a shadow, from the cache when it is there.
func (s *Service) load(tx *Tx, id shadow.ID) (local, error) {
	if l, ok := s.cache.get(id); ok {
		return l, nil
	}
	return readLocal(tx.Get, id)
}

// save writes this side of a shadow; the cache follows when the write stands.
func (s *Service) save(tx *Tx, id shadow.ID, l local) error {
	s.record = appendLocal(s.record[:0], l)
	size := len(s.record)
	if err := tx.Set(shadowKey(id, localSuffix), s.record); err != nil {
		return err
	}
	tx.applied(func() { s.cache.put(id, l, size) })
	return nil
}

// tell publishes what follows a committed request but its accepted message,
// which it returns, and tells the observers. Order: delta, documents, accepted
// (P4).
func (s *Service) tell(r *request) []byte {
	switch r.op {
	case opUpdate:
		s.tellUpdated(r.id, r.prev.doc, r.cur.doc, r.now, r.token)
		s.message = shadow.AppendAccepted(s.message[:0], r.update, r.cur.version, r.now)
	case opDelete:
		s.observed(Change{ID: r.id, Prev: r.prev.doc})
		s.message = shadow.AppendDeleted(s.message[:0], r.prev.version, r.now, r.token) // X2
	default:
		s.message = shadow.AppendGet(s.message[:0], r.prev.doc, r.now, r.token)
	}
	return bytes.Clone(s.message)
}

func (s *Service) tellUpdated(id shadow.ID, prev, cur *shadow.Document, now int64, token *string) {
	if s.wanted(id, "update/delta") {
		var differs bool
		if s.message, differs = shadow.AppendDelta(s.message[:0], cur, now, token); differs { // D8
			s.publish(id, "update/delta", bytes.Clone(s.message))
		}
	}
	if s.wanted(id, "update/documents") {
		s.message = shadow.AppendDocuments(s.message[:0], prev, cur, now, token) // P1
		s.publish(id, "update/documents", bytes.Clone(s.message))
	}
	if len(s.observers) > 0 {
		s.observed(Change{ID: id, Prev: prev, Doc: cur, Delta: shadow.Delta(cur.State)})
	}
}

func (s *Service) observed(c Change) {
	for _, o := range s.observers {
		o.Changed(c)
	}
}
