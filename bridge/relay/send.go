package relay

import (
	"context"
	"sync"
	"time"
)

// maxInflight bounds what one class has under way. The connection holds all of
// them together below the 100 that AWS takes (SHADOW 27).
const maxInflight = 64

const (
	saveEvery   = 250 * time.Millisecond // what was sent is noted: after a kill so much comes twice
	expireEvery = 30 * time.Second       // old segments are let go
)

// send sends until ctx ends.
func (r *Relay) send(ctx context.Context, j *journal) {
	var wg sync.WaitGroup
	wg.Go(func() { r.keep(ctx, j) })
	defer wg.Wait()
	for {
		s, err := r.link.await(ctx)
		if err != nil {
			return
		}
		r.sendOn(ctx, s, j)
	}
}

// keep notes what was sent, and lets go what is too old. While nothing happens
// it sleeps.
func (r *Relay) keep(ctx context.Context, j *journal) {
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	save := time.NewTimer(saveEvery)
	save.Stop()
	defer save.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.sent:
			save.Reset(saveEvery)
			select {
			case <-save.C:
			case <-ctx.Done():
				return // Close saves
			}
			if err := j.save(false); err != nil {
				r.log.Debug("journal: what was sent is not noted", "class", j.name, "err", err)
			}
		case <-expire.C:
			j.expire()
		}
	}
}

// sendOn sends on one connection, until it is lost and the outcome of all that
// was sent is known: nothing is sent on the next one before that, or a topic
// would lose its order.
func (r *Relay) sendOn(ctx context.Context, s Session, j *journal) {
	j.rewind()
	window := make(chan struct{}, maxInflight)
	defer func() {
		for range maxInflight {
			window <- struct{}{}
		}
	}()
	for {
		select {
		case window <- struct{}{}:
		case <-s.Lost():
			return
		case <-ctx.Done():
			return
		}
		m, backlog := j.next()
		if m == nil {
			<-window
			select {
			case <-j.nudge:
				continue
			case <-s.Lost():
				return
			case <-ctx.Done():
				return
			}
		}
		if backlog && r.pace.Wait(ctx) != nil {
			j.finished(m, context.Canceled)
			<-window
			return
		}
		s.Send(ctx, m.topic, m.payload, m.qos, m.retain, func(err error) {
			j.finished(m, err)
			<-window
		})
	}
}

// link is the connection that there is.
type link struct {
	mu      sync.Mutex
	session Session       // nil: none
	changed chan struct{} // closed with the next change
}

func newLink() *link { return &link{changed: make(chan struct{})} }

func (l *link) set(s Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = s
	close(l.changed)
	l.changed = make(chan struct{})
}

// await waits for a connection that is not lost.
func (l *link) await(ctx context.Context) (Session, error) {
	for {
		l.mu.Lock()
		s, changed := l.session, l.changed
		l.mu.Unlock()
		if s != nil {
			select {
			case <-s.Lost():
			default:
				return s, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
