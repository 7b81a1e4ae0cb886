package localshadow

import (
	"context"
	"errors"

	"edgeshadow/localshadow/shadow"
)

// SyncTx is one step of the reconciler for one shadow: what it writes becomes
// durable together or not at all.
type SyncTx struct {
	service *Service
	tx      *Tx
	id      shadow.ID
	before  local
	now     local
	time    int64
}

// Sync runs fn as one operation of the store and returns after the fsync that
// holds it. When fn changed the local document, delta, documents and accepted (or
// the accepted message of a delete) are published, and the observers told, before
// Sync returns. fn runs like the fn of Store.Update.
func (s *Service) Sync(ctx context.Context, id shadow.ID, fn func(tx *SyncTx) error) error {
	told := make(chan error, 1)
	s.SubmitSync(ctx, id, fn, func(err error) { told <- err })
	return <-told
}

// SubmitSync is Sync without the wait: done is called in its place, as by
// Store.Submit. Steps that are submitted together share an fsync.
func (s *Service) SubmitSync(ctx context.Context, id shadow.ID, fn func(tx *SyncTx) error, done func(error)) {
	if err := id.Check(); err != nil {
		done(err)
		return
	}
	var st *SyncTx
	s.store.Submit(ctx, func(tx *Tx) error {
		before, err := s.load(tx, id)
		if err != nil {
			return err
		}
		st = &SyncTx{service: s, tx: tx, id: id, before: before, now: before, time: s.now()}
		return fn(st)
	}, func(err error) {
		if err == nil {
			st.tell()
		}
		done(err)
	})
}

// patch is what happened to the local document, as an update request. Its
// acceptance is published like any other, so that a gateway below this one
// hears of the change.
func (t *SyncTx) patch() shadow.Update {
	var before shadow.State
	if t.before.doc != nil {
		before = t.before.doc.State
	}
	patch := shadow.Diff(before, t.now.doc.State)
	if patch == nil {
		patch = shadow.NewObject()
	}
	return shadow.Update{State: patch}
}

func (t *SyncTx) tell() {
	switch {
	case t.now == t.before:
	case t.now.doc != nil:
		t.service.tellUpdated(t.id, t.before.doc, t.now.doc, t.time, nil)
		t.service.publish(t.id, "update/accepted", shadow.AppendAccepted(nil, t.patch(), t.now.version, t.time))
	case t.before.doc != nil:
		t.service.publish(t.id, "delete/accepted", shadow.AppendDeleted(nil, t.before.version, t.time, nil))
		t.service.observed(Change{ID: t.id, Prev: t.before.doc})
	}
}

// Local is the local document, nil when there is none, and its version; of a
// deleted shadow the tombstone's, of one that never was 0.
func (t *SyncTx) Local() (doc *shadow.Document, version int64, err error) {
	return t.now.doc, t.now.version, nil
}

// SetLocal makes state the local one, in the next version, with fresh metadata
// for the leaves that changed. A state equal to the document's changes nothing.
// No limit of size applies: a merge may exceed it, and the caller holds the rest.
func (t *SyncTx) SetLocal(state shadow.State) error {
	var doc shadow.Document
	if t.now.doc != nil {
		doc = *t.now.doc
	}
	patch := shadow.Diff(doc.State, state)
	switch {
	case patch != nil:
		doc = shadow.MergeMeta(doc, patch, nil, t.time)
	case t.now.doc != nil:
		return nil
	}
	doc.Version = t.before.version + 1 // a step is one change, however often it is set
	return t.save(local{&doc, doc.Version})
}

// DeleteLocal leaves a tombstone with the next version; without a document it
// changes nothing.
func (t *SyncTx) DeleteLocal() error {
	if t.now.doc == nil {
		return nil
	}
	return t.save(local{version: t.before.version + 1})
}

func (t *SyncTx) save(l local) error {
	if err := t.service.save(t.tx, t.id, l); err != nil {
		return err
	}
	t.now = l
	return nil
}

// Record is the sync record; nil when there is none.
func (t *SyncTx) Record() ([]byte, error) {
	record, err := t.tx.Get(shadowKey(t.id, syncSuffix))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return record, err
}

// SetRecord replaces the sync record; nil removes it.
func (t *SyncTx) SetRecord(record []byte) error {
	key := shadowKey(t.id, syncSuffix)
	if record == nil {
		t.tx.Delete(key)
		return nil
	}
	return t.tx.Set(key, record)
}
