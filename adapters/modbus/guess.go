package modbus

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"edgeshadow/adapters"
	wire "edgeshadow/adapters/binary"
)

// Guess is one way to read what a device holds.
type Guess struct {
	At    string `json:"at"`
	Type  string `json:"type"`
	Order string `json:"order,omitempty"`
	Scale string `json:"scale,omitempty"`
	Value string `json:"value"`
	// Off is how far the value lies from the expected one, as a part of it.
	Off float64 `json:"off"`
}

// guessScales are those that documents give, the likeliest first.
var guessScales = []string{"1", "0.1", "0.01", "0.001", "10", "100"}

// guessNear is how far off a guess may be: the value moves while one looks.
const guessNear = 0.05

// MakeGuesses are the ways to read one of words, registers of a table from an
// address on, that come near the value that somebody expects: every type,
// order, scale and address. The nearest is first, and of those that are as near
// the simplest.
func MakeGuesses(table string, from uint16, words []uint16, expected float64) []Guess {
	var found []Guess
	seen := map[string]bool{} // by place, type, order and value
	for _, kind := range []string{"int16", "uint16", "int32", "uint32", "float32", "int64", "uint64", "float64"} {
		for _, o := range []string{"ABCD", "CDAB", "BADC", "DCBA"} {
			for i := range words {
				for _, scale := range guessScales {
					g, ok := guess(fmt.Sprintf("%s:%d", table, int(from)+i), kind, o, scale, words[i:], expected)
					key := fmt.Sprint(g.At, g.Value, wire.Formats[kind].Size, o == "BADC" || o == "DCBA")
					if ok && !seen[key] {
						seen[key] = true
						found = append(found, g)
					}
				}
			}
		}
	}
	// Types, orders and scales were tried from the simplest on, and the sort is stable.
	slices.SortStableFunc(found, func(a, b Guess) int { return cmp.Compare(a.Off, b.Off) })
	return found
}

func guess(at, kind, order, scale string, words []uint16, expected float64) (g Guess, near bool) {
	d, _ := adapters.ParseDecimal(scale) // one of guessScales
	p, err := ParsePlace(adapters.Point{At: adapters.Address(at), Type: kind, Order: order, Scale: &d})
	if err != nil || p.Words() > len(words) || p.Words() == 1 && (order == "CDAB" || order == "DCBA") {
		return g, false
	}
	v, quality := p.Decode(words[:p.Words()])
	text := adapters.Describe(v)
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !quality.HasValue() {
		return g, false
	}
	g = Guess{At: at, Type: kind, Value: text, Off: math.Abs(value-expected) / max(math.Abs(expected), 1e-9)}
	if order != "ABCD" {
		g.Order = order
	}
	if scale != "1" {
		g.Scale = scale
	}
	return g, g.Off <= guessNear
}
