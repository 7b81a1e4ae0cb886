package broker

import "sync/atomic"

// receipt is the acknowledgement of one message to its sender. It is given when
// all that hold it have released it. A nil one is for nobody.
type receipt struct {
	holders atomic.Int32
	lost    atomic.Bool // a part of it could not be stored
	done    func(ok bool)
}

// newReceipt is held by the caller.
func newReceipt(done func(ok bool)) *receipt {
	if done == nil {
		return nil
	}
	r := &receipt{done: done}
	r.holders.Store(1)
	return r
}

func (r *receipt) hold() *receipt {
	if r != nil {
		r.holders.Add(1)
	}
	return r
}

func (r *receipt) release(ok bool) {
	if r == nil {
		return
	}
	if !ok {
		r.lost.Store(true)
	}
	if r.holders.Add(-1) == 0 {
		r.done(!r.lost.Load())
	}
}
