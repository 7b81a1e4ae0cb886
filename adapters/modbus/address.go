package modbus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"edgeshadow/adapters"
)

// table is one of the four address spaces of a unit.
type table uint8

const (
	coil table = iota
	discrete
	input
	holding
)

var tableNames = [...]string{"coil", "discrete", "input", "holding"}

func (t table) String() string { return tableNames[t] }

// bits says whether the table holds bits and not registers.
func (t table) bits() bool { return t == coil || t == discrete }

func (t table) writable() bool { return t == coil || t == holding }

// documentTables are the tables by the digit in front of a document's number.
var documentTables = map[byte]table{'0': coil, '1': discrete, '3': input, '4': holding}

// parseAddress reads holding:11 and 40012.
func parseAddress(a adapters.Address) (table, uint16, error) {
	text := string(a)
	if text == "" {
		return 0, 0, fmt.Errorf("is missing; write the table and the address, zero-based: holding:11")
	}
	name, number, ok := strings.Cut(text, ":")
	if !ok {
		return parseDocument(text)
	}
	t, known := tableOf(name)
	if !known {
		return 0, 0, noTable(name)
	}
	addr, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is no address: %s:0 to %s:65535", text, name, name)
	}
	return t, uint16(addr), nil
}

func tableOf(name string) (table, bool) {
	i := slices.Index(tableNames[:], name)
	return table(max(i, 0)), i >= 0
}

func noTable(name string) error {
	return fmt.Errorf("no table %q; the tables are %s", name, strings.Join(tableNames[:], " "))
}

// parseDocument reads a number as documents print it, 40012 or 400012.
func parseDocument(text string) (table, uint16, error) {
	number, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is no address; write the table and the address, zero-based: holding:11", text)
	}
	t, ok := documentTables[text[0]]
	first := 1
	for range len(text) - 1 {
		first *= 10
	}
	addr := int(number) - int(text[0]-'0')*first - 1
	if (len(text) != 5 && len(text) != 6) || !ok || addr < 0 || addr > 0xFFFF {
		return 0, 0, fmt.Errorf("%s is no number of a document (40001, 400001); a zero-based address is written with its table: holding:%d", text, number)
	}
	return t, uint16(addr), nil
}
