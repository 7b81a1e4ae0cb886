package adapters

import (
	"bytes"
	"math/big"
)

// Deadband is the change of a value that is worth a report: 0.2 of its unit, or
// 2% of what was reported last.
type Deadband struct {
	Decimal
	Relative bool // the Decimal is in percent
}

// UnmarshalText reads 0.2 and 2%.
func (d *Deadband) UnmarshalText(text []byte) error {
	number, relative := bytes.CutSuffix(text, []byte("%"))
	d.Relative = relative
	return d.Decimal.UnmarshalText(bytes.TrimSpace(number))
}

// String is 0.2 or 2%.
func (d Deadband) String() string {
	if d.Relative {
		return d.Decimal.String() + "%"
	}
	return d.Decimal.String()
}

// exceeded says whether the step from was to is is as large as the deadband. A
// deadband is for numbers: any other change is.
func (d Deadband) exceeded(was, is any) bool {
	to, err := rational(is)
	from, err2 := rational(was)
	if err != nil || err2 != nil {
		return true
	}
	least := d.rat()
	if d.Relative {
		least.Mul(least, new(big.Rat).Abs(from)).Quo(least, big.NewRat(100, 1))
	}
	return to.Sub(to, from).Abs(to).Cmp(least) >= 0
}
