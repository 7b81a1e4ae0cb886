package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/goburrow/modbus"

	"edgeshadow/adapters"
)

// Exception codes that mean something to us (V1.1b3, 7).
const (
	illegalFunction = 1
	illegalAddress  = 2
	illegalValue    = 3
	gatewayPath     = 10
	gatewayTarget   = 11
	coilOn          = 0xFF00
)

// exceptionNames are those of the specification.
var exceptionNames = map[byte]string{
	1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "server device failure",
	5: "acknowledge", 6: "server device busy", 8: "memory parity error",
	10: "gateway path unavailable", 11: "gateway target device failed to respond",
}

func exceptionText(code byte) string {
	if name := exceptionNames[code]; name != "" {
		return fmt.Sprintf("exception %d (%s)", code, name)
	}
	return fmt.Sprintf("exception %d", code)
}

// transport lets goburrow's client send through a function.
type transport func(request []byte) ([]byte, error)

func (t transport) Send(request []byte) ([]byte, error) { return t(request) }

// client speaks to one unit: goburrow's packager and client over our transport.
type client struct {
	modbus.Client
	// multiple says that the unit knows functions 15 and 16 only.
	multiple bool
}

// newClient is a client whose frames are those of a line, or of TCP.
func newClient(unit byte, serial bool, send transport) *client {
	if serial {
		packager := modbus.NewRTUClientHandler("")
		packager.SlaveId = unit
		return &client{Client: modbus.NewClient2(packager, send)}
	}
	packager := modbus.NewTCPClientHandler("")
	packager.SlaveId = unit
	return &client{Client: modbus.NewClient2(packager, send)}
}

// read reads what a request asks for into words, one for each register or bit.
func (c *client) read(r request, words []uint16) ([]uint16, error) {
	var data []byte
	var err error
	count := uint16(r.count)
	switch r.table {
	case coil:
		data, err = c.ReadCoils(r.addr, count)
	case discrete:
		data, err = c.ReadDiscreteInputs(r.addr, count)
	case input:
		data, err = c.ReadInputRegisters(r.addr, count)
	case holding:
		data, err = c.ReadHoldingRegisters(r.addr, count)
	}
	if err != nil {
		return nil, err
	}
	for i := range r.count {
		if r.table.bits() {
			words = append(words, uint16(data[i/8]>>(i%8))&1)
		} else {
			words = append(words, binary.BigEndian.Uint16(data[2*i:]))
		}
	}
	return words, nil
}

// write makes the unit hold words at the place of p. A unit that does not know
// how to write one is written to as if it were many, from then on.
func (c *client) write(p *point, words []uint16) error {
	if !c.multiple && len(words) == 1 {
		err := c.writeOne(p, words[0])
		if code, ok := exceptionCode(err); !ok || code != illegalFunction {
			return err
		}
	}
	err := c.writeMany(p, words)
	if len(words) == 1 && err == nil {
		c.multiple = true
	}
	return err
}

func (c *client) writeOne(p *point, word uint16) error {
	var err error
	if p.table == coil {
		_, err = c.WriteSingleCoil(p.addr, word&1*coilOn)
	} else {
		_, err = c.WriteSingleRegister(p.addr, word)
	}
	return err
}

func (c *client) writeMany(p *point, words []uint16) error {
	var err error
	if p.table == coil {
		data := make([]byte, (len(words)+7)/8)
		for i, w := range words {
			data[i/8] |= byte(w&1) << (i % 8)
		}
		_, err = c.WriteMultipleCoils(p.addr, uint16(len(words)), data)
	} else {
		var data []byte
		for _, w := range words {
			data = binary.BigEndian.AppendUint16(data, w)
		}
		_, err = c.WriteMultipleRegisters(p.addr, uint16(len(words)), data)
	}
	return err
}

// exceptionCode is the exception that err is, if it is one. That its function
// code is right was checked with the frame.
func exceptionCode(err error) (byte, bool) {
	var e *modbus.ModbusError
	if errors.As(err, &e) {
		return e.ExceptionCode, true
	}
	return 0, false
}

// unreachable says whether an exception is a converter's word that it can't
// reach the unit.
func unreachable(code byte) bool { return code == gatewayPath || code == gatewayTarget }

// quality is that of a reading which ended with err.
func quality(err error) adapters.Quality {
	if code, ok := exceptionCode(err); ok {
		return adapters.Exception(code)
	}
	return adapters.Timeout
}
