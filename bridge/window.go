package bridge

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// maxAhead are requests that wait for their fsync, or whose intent is durable
// while they wait for a place among those without an answer. As many are made
// ready as answers come during a commit, so that the link does not idle
// meanwhile where answers are quick, and hardly any where they are slow.
const maxAhead = 120

// window is what keeps the number of requests without an answer within bounds.
// It gives a place away as soon as an answer arrives; the turn that takes the
// answer in comes later.
type window struct {
	log    *slog.Logger
	tokens []byte // prefix of our client tokens

	mu       sync.Mutex
	expected map[string]bool // by token; the intent is on its way to the disk
	line     []outgoing      // ready
	busy     map[string]bool // by token; without an answer
	ended    int             // requests that were answered, or given up
	wait     sync.WaitGroup
}

// outgoing is a request that may leave.
type outgoing struct {
	ctx     context.Context
	cloud   Cloud
	token   string
	topic   string
	payload []byte
}

// expect announces a request: put lets it leave unless clear or end forget it.
func (w *window) expect(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected[token] = true
}

// put is a request whose intent is durable.
func (w *window) put(o outgoing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.expected[o.token] {
		return
	}
	delete(w.expected, o.token)
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

// heard gives the place of a request away when this is its answer. It looks for
// the token alone: what reads the message does so in its turn.
func (w *window) heard(payload []byte) {
	at := bytes.Index(payload, w.tokens)
	if at < 0 {
		return
	}
	token, _, _ := bytes.Cut(payload[at:], []byte{'"'})
	w.end(string(token))
}

// count is how many requests ended.
func (w *window) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// end is a request that is answered, or given up.
func (w *window) end(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.expected, token)
	if w.busy[token] {
		delete(w.busy, token)
		w.ended++
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
	unsent := w.expected
	for _, o := range w.line {
		unsent[o.token] = true
	}
	w.expected, w.line, w.busy = map[string]bool{}, nil, map[string]bool{}
	return unsent
}
