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

// plc is a simulated boiler controller: a Modbus TCP server whose water warms
// towards its set-point while the burner is on.
type plc struct {
	server *modbustest.Server

	mu     sync.Mutex
	water  float64 // °C
	target float64 // °C
}

// startPLC serves on a free loopback port.
func startPLC(wrote func(celsius float64)) (*plc, error) {
	p := &plc{server: modbustest.New(), water: 18, target: 40}
	p.server.OnWrite = func(r modbustest.Request) {
		if r.Table != modbustest.Holding || r.Addr != holdingTarget || len(r.Values) == 0 {
			return
		}
		celsius := float64(int16(r.Values[0])) / 10
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
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.server.Close()
		case <-tick.C:
			p.step()
		}
	}
}

// step is a fifth of a second of a very strong burner.
func (p *plc) step() {
	const rise = 0.7
	p.mu.Lock()
	p.water = min(p.water+rise, max(p.water, p.target))
	p.mu.Unlock()
	p.show()
}

// show puts the state of the boiler into its registers.
func (p *plc) show() {
	p.mu.Lock()
	water, burning := p.water, p.water < p.target
	p.mu.Unlock()
	p.server.SetInput(unit, inputWater, uint16(int16(math.Round(water*10))))
	p.server.SetDiscrete(unit, discreteBurn, burning)
}
