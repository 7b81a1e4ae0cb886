package modbus_test

import (
	"testing"
	"time"

	gomodbus "github.com/goburrow/modbus"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/test/modbustest"
)

// BenchmarkCycle reads 1,000 registers in 20 blocks over TCP: a loop of the
// bare library, and the bus over the same requests, decoding included.
func BenchmarkCycle(b *testing.B) {
	server := modbustest.New()
	if err := server.Listen("127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	server.SetHolding(1, 0, make([]uint16, 20*70)...)
	things := adapters.Things{"d": blocks("plc", time.Second, 20)}

	b.Run("bare", func(b *testing.B) {
		handler := gomodbus.NewTCPClientHandler(server.Addr())
		handler.SlaveId = 1
		defer handler.Close()
		c := gomodbus.NewClient(handler)
		for b.Loop() {
			for block := range 20 {
				if _, err := c.ReadHoldingRegisters(uint16(70*block), 50); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("bus", func(b *testing.B) {
		bus := modbus.New("plc", tcp(server)["plc"], things, nil)
		defer bus.Close()
		n := 0
		for b.Loop() {
			n = 0
			bus.Cycle(b.Context(), func(r ...adapters.Reading) { n += len(r) })
		}
		if n != 1000 {
			b.Fatal(n, "readings in a cycle")
		}
	})
}
