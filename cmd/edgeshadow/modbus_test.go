package main

import (
	"github.com/rogpeppe/go-internal/testscript"

	"edgeshadow/test/modbustest"
)

// plc serves Modbus TCP for the rest of a script: its address is in the
// variable. Unit 1 is a boiler, and unit 7 has one register.
func plc(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: plc NAME")
	}
	s := modbustest.New()
	s.SetInput(1, 0, 215)
	s.SetHolding(1, 9, 0, 0, 400)              // set-point 40.0 at holding:11
	s.SetHolding(1, 100, 0xE979, 0x42F6, 0xFF) // 123.456, low word first
	s.SetCoil(1, 2, false)
	s.SetHolding(7, 40, 1)
	ts.Check(s.Listen("127.0.0.1:0"))
	ts.Defer(func() { _ = s.Close() })
	ts.Setenv(args[0], s.Addr())
}
