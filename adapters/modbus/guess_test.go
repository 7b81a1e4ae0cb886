package modbus_test

import (
	"testing"

	"edgeshadow/adapters/modbus"
)

// TestL6_Guess: what a device holds beside the value that one expects, whatever
// its order, its scale and its counting of addresses.
func TestL6_Guess(t *testing.T) {
	for name, c := range map[string]struct {
		words    []uint16
		expected float64
		want     modbus.Guess
	}{
		"Scaled":      {[]uint16{0, 2301, 0}, 230.1, modbus.Guess{At: "holding:10", Type: "int16", Scale: "0.1", Value: "230.1"}},
		"OneOff":      {[]uint16{2301, 0, 0}, 230.1, modbus.Guess{At: "holding:9", Type: "int16", Scale: "0.1", Value: "230.1"}},
		"Float":       {[]uint16{0, 0x42F6, 0xE979, 0}, 123.456, modbus.Guess{At: "holding:10", Type: "float32", Value: "123.456"}},
		"FloatCDAB":   {[]uint16{0, 0xE979, 0x42F6, 0}, 123.456, modbus.Guess{At: "holding:10", Type: "float32", Order: "CDAB", Value: "123.456"}},
		"FloatDCBA":   {[]uint16{0, 0x79E9, 0xF642, 0}, 123.456, modbus.Guess{At: "holding:10", Type: "float32", Order: "DCBA", Value: "123.456"}},
		"LongCounter": {[]uint16{7, 0x0001, 0x86A0, 9}, 100000, modbus.Guess{At: "holding:10", Type: "int32", Value: "100000"}},
		"Negative":    {[]uint16{1, 0xFF9C, 1}, -10, modbus.Guess{At: "holding:10", Type: "int16", Scale: "0.1", Value: "-10"}},
		"SwappedByte": {[]uint16{1, 0x0A01, 1}, 266, modbus.Guess{At: "holding:10", Type: "int16", Order: "BADC", Value: "266"}},
	} {
		t.Run(name, func(t *testing.T) {
			found := modbus.MakeGuesses("holding", 9, c.words, c.expected)
			if len(found) == 0 || found[0] != c.want {
				t.Errorf("guesses %+v, want %+v first", found, c.want)
			}
		})
	}
	if found := modbus.MakeGuesses("input", 0, []uint16{1, 2, 3}, 987654); len(found) != 0 {
		t.Errorf("guesses of what is not there: %+v", found)
	}
}
