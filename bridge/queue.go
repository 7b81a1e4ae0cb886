package bridge

import "edgeshadow/localshadow/shadow"

// class is the queue that a shadow waits in.
type class uint8

const (
	idle    class = iota
	verify        // compare a clean shadow with the cloud
	changed       // something to push
	command       // something to learn: a gap, a lost answer, a shadow never seen
)

// weights share the rate out when every queue has shadows waiting: none of
// them waits for ever.
var weights = [command + 1]int{verify: 1, changed: 4, command: 4}

// queues are first in, first out; a shadow stands in one of them, at most.
type queues struct {
	lines [command + 1][]shadow.ID
	left  [command + 1]int // of the weights in this round
}

func (q *queues) push(c class, id shadow.ID) { q.lines[c] = append(q.lines[c], id) }

// pop takes the next shadow, a comparison only when they are wanted.
func (q *queues) pop(verifying bool) (shadow.ID, class, bool) {
	for range 2 {
		for c := command; c > idle; c-- {
			if len(q.lines[c]) == 0 || q.left[c] == 0 || c == verify && !verifying {
				continue
			}
			q.left[c]--
			id := q.lines[c][0]
			if q.lines[c] = q.lines[c][1:]; len(q.lines[c]) == 0 {
				q.lines[c] = nil
			}
			return id, c, true
		}
		q.left = weights
	}
	return shadow.ID{}, idle, false
}

func (q *queues) empty() bool {
	return len(q.lines[verify])+len(q.lines[changed])+len(q.lines[command]) == 0
}
