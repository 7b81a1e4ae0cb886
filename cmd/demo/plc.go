package demo

import (
	"context"
	"math"
	"sync"
	"time"

	"edgeshadow/test/modbustest"
)

// The boiler's registers, unit 1, as the gateway's configuration names them.
const (
	unit          = 1
	inputWater    = 0  // water temperature, 0.1 °C
	discreteBurn  = 4  // burner on
	holdingTarget = 11 // set-point, 0.1 °C
)

// The boiler's physics. The water warms by the time that passed and not by steps
// that were taken, so that a busy machine stretches nothing. It is warming
// whenever the story cuts the uplink, and has passed what the application asks
// for then: the burner goes out at once, and the end comes to rest by itself.
const (
	rise    = 2.0 // °C per second: a very strong burner
	coldest = 18.0
	first   = 60.0                   // °C, the set-point at the start
	look    = 100 * time.Millisecond // between two looks at the water
)

// plc is a simulated boiler controller: a Modbus TCP server whose water warms
// towards its set-point while the burner is on.
type plc struct {
	server *modbustest.Server

	mu     sync.Mutex
	at     time.Time // of water
	water  float64   // °C
	target float64   // °C
}

// startPLC serves on a free loopback port.
func startPLC(wrote func(celsius float64)) (*plc, error) {
	p := &plc{server: modbustest.New(), at: time.Now(), water: coldest, target: first}
	p.server.OnWrite = func(r modbustest.Request) {
		if r.Table != modbustest.Holding || r.Addr != holdingTarget || len(r.Values) == 0 {
			return
		}
		celsius := float64(int16(r.Values[0])) / 10
		p.warm(time.Now())
		p.mu.Lock()
		p.target = celsius
		p.mu.Unlock()
		wrote(celsius)
	}
	p.server.SetHolding(unit, holdingTarget, uint16(math.Round(p.target*10)))
	p.show()
	return p, p.server.Listen("127.0.0.1:0")
}

// Run warms the water until ctx ends.
func (p *plc) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.server.Close()
		case now := <-tick.C:
			p.warm(now)
			p.show()
		}
	}
}

// warm brings the water to what it is now. It does not cool: nobody waits for that.
func (p *plc) warm(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gained := rise * max(0, now.Sub(p.at).Seconds())
	p.water, p.at = min(p.water+gained, max(p.water, p.target)), now
}

// show puts the state of the boiler into its registers.
func (p *plc) show() {
	p.mu.Lock()
	water, burning := p.water, p.water < p.target
	p.mu.Unlock()
	p.server.SetInput(unit, inputWater, uint16(int16(math.Round(water*10))))
	p.server.SetDiscrete(unit, discreteBurn, burning)
}
