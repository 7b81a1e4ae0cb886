package localshadow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"edgeshadow/localshadow/shadow"
)

// Publisher is the local broker. Publish must not block on a slow client.
type Publisher interface {
	Publish(topic string, payload []byte)
}

// Audience is a Publisher that knows whether anybody would hear a message. One
// that nobody would hear is not made: the documents of an update are the longest
// of all messages, and mostly nobody wants them.
type Audience interface {
	Wanted(topic string) bool
}

// Change is one committed change of a local document.
type Change struct {
	ID shadow.ID
	// Prev and Doc are nil when there was, or is, no document.
	Prev, Doc *shadow.Document
	// Delta is what desired has and reported differs in; nil when nothing.
	Delta *shadow.Object
}

// Observer is told of every change, after its commit, in order. Changed must
// neither block nor wait for the service.
type Observer interface {
	Changed(Change)
}

// Service is the shadow service: what AWS IoT's device shadow service is to its
// clients, over a Store. Set the fields before the first request.
type Service struct {
	// Publisher receives the messages that follow a request; nil: nobody does.
	Publisher Publisher
	// Limits of documents; the zero value means shadow.DefaultLimits.
	Limits shadow.Limits
	// Now stamps documents and messages, and decides nothing; nil: time.Now.
	Now func() time.Time
	// Served is told how long each request took, from its arrival to its answer;
	// nil: nobody is.
	Served func(took time.Duration)

	store     *Store
	log       *slog.Logger
	observers []Observer
	cache     *cache
	// What is encoded is copied where it stays, at its length: growing a slice
	// per message costs more than encoding it. record belongs to the operations,
	// message to the store's callbacks.
	record, message []byte
}

// NewService makes the service of a store. A nil log discards.
func NewService(store *Store, log *slog.Logger) *Service {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: store, log: log, cache: newCache()}
}

// Observe adds an observer, before the first request.
func (s *Service) Observe(o Observer) { s.observers = append(s.observers, o) }

func (s *Service) limits() shadow.Limits {
	if s.Limits == (shadow.Limits{}) {
		return shadow.DefaultLimits()
	}
	return s.Limits
}

func (s *Service) now() int64 {
	if s.Now == nil {
		return time.Now().Unix()
	}
	return s.Now().Unix()
}

func (s *Service) publish(id shadow.ID, suffix string, payload []byte) {
	if s.Publisher != nil {
		s.Publisher.Publish(id.Topic(suffix), payload)
	}
}

// wanted tells whether somebody hears a message.
func (s *Service) wanted(id shadow.ID, suffix string) bool {
	if a, ok := s.Publisher.(Audience); ok {
		return a.Wanted(id.Topic(suffix))
	}
	return s.Publisher != nil
}

// Handle serves one request that came over MQTT; op is get, update or delete.
// It returns when the request has its place in the queue; for an idle caller,
// which has nothing else to do until the answer, mostly when all is told. After
// the fsync, in order of arrival, it calls acked (the PUBACK; nil: nobody waits)
// and publishes delta, documents and accepted, or rejected. What could not be
// stored is not acked, and is rejected as an internal failure. When ctx ends
// before there was a place in the queue, nothing happens at all.
func (s *Service) Handle(ctx context.Context, id shadow.ID, op string, payload []byte, idle bool, acked func()) {
	r, began := s.request(id, op, payload), time.Now()
	submit := s.store.Submit
	if idle {
		submit = s.store.Do
	}
	submit(ctx, r.run, func(err error) {
		var refused *shadow.Error
		switch {
		case err == nil || errors.As(err, &refused):
			if acked != nil {
				acked()
			}
		case ctx.Err() != nil || errors.Is(err, ErrClosed):
			return
		default:
			s.log.Warn("shadow request failed", "thing", id.Thing, "shadow", id.Name, "op", op, "err", err)
			refused = shadow.ErrInternal // the cause is in our log, not on the wire
		}
		if refused != nil {
			s.publish(id, op+"/rejected", shadow.AppendRejected(nil, refused, r.token))
		} else {
			s.publish(id, op+"/accepted", s.tell(r))
		}
		s.served(began)
	})
}

func (s *Service) served(began time.Time) {
	if s.Served != nil {
		s.Served(time.Since(began))
	}
}

// Update merges a request document and returns the accepted message. A refusal
// is a *shadow.Error. Subscribers see delta, documents and accepted (P5), but
// nothing of a refusal.
func (s *Service) Update(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error) {
	return s.do(ctx, id, opUpdate, payload)
}

// Get returns the document as the get/accepted message; nothing is published.
func (s *Service) Get(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error) {
	return s.do(ctx, id, opGet, payload)
}

// Delete removes the document and returns the accepted message, which
// subscribers see too.
func (s *Service) Delete(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error) {
	return s.do(ctx, id, opDelete, payload)
}

// do is Handle for callers that wait and are told of a refusal alone.
func (s *Service) do(ctx context.Context, id shadow.ID, op string, payload []byte) (body []byte, err error) {
	r, began := s.request(id, op, payload), time.Now()
	told := make(chan struct{})
	s.store.Do(ctx, r.run, func(outcome error) {
		defer close(told)
		defer s.served(began)
		if err = outcome; err != nil {
			return
		}
		body = s.tell(r)
		if op != opGet {
			s.publish(id, op+"/accepted", body)
		}
	})
	<-told
	return body, err
}

// Report merges what a device reports into state.reported.
func (s *Service) Report(ctx context.Context, id shadow.ID, reported *shadow.Object) error {
	state := shadow.NewObject(shadow.Member{Key: "reported", Value: reported})
	payload := shadow.Append(nil, shadow.NewObject(shadow.Member{Key: "state", Value: state}))
	if _, err := s.Update(ctx, id, payload); err != nil {
		return fmt.Errorf("report of %s: %w", id, err)
	}
	return nil
}

// RepublishDeltas publishes the delta of each shadow that has one. After an
// unclean stop it stands in for messages that were stored but not yet
// published: at least once, with the version that they had.
func (s *Service) RepublishDeltas(ctx context.Context) error {
	return s.each(func(id shadow.ID, l local) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if payload, ok := shadow.AppendDelta(nil, l.doc, s.now(), nil); ok { // not a callback: a slice of its own
			s.publish(id, "update/delta", payload)
		}
		return nil
	})
}
