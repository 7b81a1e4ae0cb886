package localshadow

import (
	"errors"
	"strings"

	"edgeshadow/localshadow/shadow"
)

// Document is the current document of a shadow; nil when there is none.
func (s *Service) Document(id shadow.ID) (*shadow.Document, error) {
	var l local
	err := s.store.View(func(r Reader) (err error) {
		l, err = readLocal(r.Get, id)
		return err
	})
	return l.doc, err
}

// Names lists the named shadows of a thing in order, without deleted ones, from
// the name after after on. A limit of 0 means all.
func (s *Service) Names(thing, after string, limit int) ([]string, error) {
	var names []string
	prefix := shadowKey(shadow.ID{Thing: thing}, "")
	start := prefix
	if after != "" {
		start = shadowKey(shadow.ID{Thing: thing, Name: after}, "0") // '0' follows '/'
	}
	err := s.store.view(func(r snapshot) error {
		return r.scan(prefix, start, func(key []byte, value func() ([]byte, error)) error {
			id, rest, ok := splitKey(key)
			if !ok || rest != localSuffix || id.Name == "" {
				return nil
			}
			record, err := value()
			if err != nil {
				return err
			}
			if live(record) {
				names = append(names, id.Name)
			}
			if limit > 0 && len(names) == limit {
				return errStop
			}
			return nil
		})
	})
	return names, err
}

// All visits every shadow that has a document, in order of thing and name.
func (s *Service) All(fn func(id shadow.ID) error) error {
	return s.locals(func(id shadow.ID, _, record []byte) error {
		if !live(record) {
			return nil
		}
		return fn(id)
	})
}

// each visits every document.
func (s *Service) each(fn func(id shadow.ID, l local) error) error {
	return s.locals(func(id shadow.ID, key, record []byte) error {
		if !live(record) {
			return nil
		}
		l, err := decodeLocal(key, record)
		if err != nil {
			return err
		}
		return fn(id, l)
	})
}

func (s *Service) locals(fn func(id shadow.ID, key, record []byte) error) error {
	return s.store.view(func(r snapshot) error {
		prefix := []byte(shadowPrefix)
		return r.scan(prefix, prefix, func(key []byte, value func() ([]byte, error)) error {
			if !strings.HasSuffix(string(key), localSuffix) {
				return nil
			}
			id, rest, ok := splitKey(key)
			if !ok || rest != localSuffix {
				return nil
			}
			record, err := value()
			if err != nil {
				return err
			}
			return fn(id, key, record)
		})
	})
}

// Record is the sync record of a shadow; nil when there is none.
func (s *Service) Record(id shadow.ID) (record []byte, err error) {
	err = s.store.View(func(r Reader) error {
		record, err = r.Get(shadowKey(id, syncSuffix))
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return record, err
}

// Records visits every shadow that has a document, a tombstone or a sync
// record. Record is nil when there is none; version is the document's, or the
// tombstone's, or 0; live says that there is a document. No document is decoded.
func (s *Service) Records(fn func(id shadow.ID, record []byte, version int64, live bool) error) error {
	type entry struct {
		id      shadow.ID
		record  []byte
		version int64
		live    bool
	}
	return s.store.view(func(r snapshot) error {
		var cur *entry // its keys follow each other
		prefix := []byte(shadowPrefix)
		err := r.scan(prefix, prefix, func(key []byte, value func() ([]byte, error)) error {
			id, rest, ok := splitKey(key)
			if !ok || rest != localSuffix && rest != syncSuffix {
				return nil
			}
			v, err := value()
			if err != nil {
				return err
			}
			if cur != nil && cur.id != id {
				if err := fn(cur.id, cur.record, cur.version, cur.live); err != nil {
					return err
				}
				cur = nil
			}
			if cur == nil {
				cur = &entry{id: id}
			}
			if rest == syncSuffix {
				cur.record = v
			} else {
				cur.live = live(v)
				if cur.version, err = localVersion(key, v); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || cur == nil {
			return err
		}
		return fn(cur.id, cur.record, cur.version, cur.live)
	})
}
