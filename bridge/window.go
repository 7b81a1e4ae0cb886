package bridge

import (
	"bytes"
	"context"
	"log/slog"
	"sync"

	"edgeshadow/localshadow/shadow"
)

// maxAhead are requests whose intent is durable while they wait for a place
// among those without an answer. As many are made ready as answers came in a
// turn, so that the link does not idle during an fsync where answers are quick,
// and hardly any where they are slow.
const maxAhead = 56

// window is what keeps the number of requests without an answer within bounds.
// It gives a place away as soon as an answer arrives; the turn that takes the
// answer in may still wait for its fsync.
type window struct {
	log    *slog.Logger
	tokens []byte // prefix of our client tokens

	mu   sync.Mutex
	busy map[string]bool // by token; without an answer
	line []outgoing      // ready
	wait sync.WaitGroup
}

// outgoing is a request that may leave.
type outgoing struct {
	ctx     context.Context
	cloud   Cloud
	token   string
	topic   string
	payload []byte
}

func (w *window) put(o outgoing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = append(w.line, o)
	w.pump()
}

// pump lets requests leave. The lock is held.
func (w *window) pump() {
	for len(w.line) > 0 && len(w.busy) < maxOutstanding {
		o := w.line[0]
		w.line = w.line[1:]
		w.busy[o.token] = true
		w.wait.Go(func() {
			if err := o.cloud.Publish(o.ctx, o.topic, o.payload); err != nil {
				w.log.Debug("publish", "topic", o.topic, "err", err) // the loss of the link, or the missing answer, is acted upon
			}
		})
	}
}

// heard gives the place of a request away when this is its answer.
func (w *window) heard(payload []byte) {
	if !bytes.Contains(payload, w.tokens) {
		return
	}
	if t := shadow.ParseToken(payload); t != nil {
		w.end(*t)
	}
}

// end is a request that is answered, or given up.
func (w *window) end(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[token] {
		delete(w.busy, token)
		w.pump()
		return
	}
	for i, o := range w.line {
		if o.token == token {
			w.line = append(w.line[:i:i], w.line[i+1:]...)
			return
		}
	}
}

// clear forgets all, and returns the tokens of those that never left.
func (w *window) clear() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	unsent := map[string]bool{}
	for _, o := range w.line {
		unsent[o.token] = true
	}
	w.line, w.busy = nil, map[string]bool{}
	return unsent
}
