package linktest

import (
	"fmt"
	"time"
)

// mode is what the link does.
type mode int

const (
	through mode = iota
	cut
	refused
	stalled
	blackhole
	muted
)

// Cut resets all connections, and those to come as soon as they are made, until
// Heal.
func (p *Proxy) Cut() {
	p.turn(cut)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetAll()
}

// Refuse resets all connections and listens no more, until Heal: connecting
// fails. The port is free meanwhile; Heal takes the same again.
func (p *Proxy) Refuse() {
	p.turn(refused)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetAll()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// Stall lets nothing through, in either direction, and closes nothing: a link
// that is half open. Nothing is lost: after Heal the connections go on, unless
// somebody gave up.
func (p *Proxy) Stall() { p.turn(stalled) }

// Blackhole takes what either side sends and throws it away: writes succeed,
// nothing arrives. Heal resets the connections that lived through it.
func (p *Proxy) Blackhole() { p.turn(blackhole) }

// Mute throws away only what the target answers: requests have their effect, of
// which nobody hears. Heal resets the connections that lived through it.
func (p *Proxy) Mute() { p.turn(muted) }

// Heal ends whatever was turned.
func (p *Proxy) Heal() {
	p.turn(through)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lossy {
		p.lossy = false
		p.resetAll()
	}
	if p.listener != nil || p.address == "" || p.closed {
		return
	}
	// The kernel may need a moment to let go of the port.
	for deadline := time.Now().Add(5 * time.Second); ; {
		err := p.listen(p.address)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			panic(fmt.Sprintf("linktest: listen on %s again: %v", p.address, err))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (p *Proxy) turn(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	p.lossy = p.lossy || m == blackhole || m == muted
	p.turned.Broadcast()
}

// lets says whether bytes in hand may pass, once they neither must wait nor not.
func (p *Proxy) lets(down bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.mode == stalled && !p.closed {
		p.turned.Wait()
	}
	return p.mode != blackhole && !(p.mode == muted && down)
}
