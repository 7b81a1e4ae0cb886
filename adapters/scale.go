package adapters

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// one is the scale of a point that has none.
var one = Decimal{1, 0}

// scale is the point's, 1 without one.
func (p Point) scale() Decimal {
	if p.Scale == nil {
		return one
	}
	return *p.Scale
}

// ScaleInt is the value of a point whose device holds the integer raw.
func (p Point) ScaleInt(raw int64) json.Number {
	return p.linear(p.scale(), raw < 0, uint64(max(raw, -raw)))
}

// ScaleUint is ScaleInt of what may not fit an int64.
func (p Point) ScaleUint(raw uint64) json.Number { return p.linear(p.scale(), false, raw) }

// linear is ±raw × scale + the point's offset.
func (p Point) linear(scale Decimal, negative bool, raw uint64) json.Number {
	if p.Offset == nil || p.Offset.coef == 0 {
		return scale.timesInt(negative, raw)
	}
	return scale.timesIntPlus(negative, raw, *p.Offset)
}

// ScaleFloat is the value of a point whose device holds a float of 32 or 64
// bits: the shortest decimal that is that float, times the scale. ok is false
// for what is no number (NaN, ±Inf).
func (p Point) ScaleFloat(raw float64, bits int) (v json.Number, ok bool) {
	if math.IsNaN(raw) || math.IsInf(raw, 0) {
		return "", false
	}
	text := strconv.FormatFloat(math.Abs(raw), 'e', -1, bits)
	mantissa, exponent, _ := strings.Cut(text, "e")
	exp, _ := strconv.Atoi(exponent) // FormatFloat wrote it
	whole, fraction, _ := strings.Cut(mantissa, ".")
	coef, _ := strconv.ParseUint(whole+fraction, 10, 64) // at most 17 digits
	s := p.scale()
	s.exp += exp - len(fraction)
	return p.linear(s, math.Signbit(raw), coef), true
}

// UnscaleInt is the integer that the device has to hold for value: the inverse
// of ScaleInt, rounded to the nearest, halves away from zero.
func (p Point) UnscaleInt(value any) (*big.Int, error) {
	r, err := p.unscale(value)
	if err != nil {
		return nil, err
	}
	// ⌊(2|n| + d) / 2d⌋ with the sign of n
	n, d := new(big.Int).Abs(r.Num()), r.Denom()
	n.Lsh(n, 1).Add(n, d).Quo(n, new(big.Int).Lsh(d, 1))
	if r.Sign() < 0 {
		n.Neg(n)
	}
	return n, nil
}

// UnscaleFloat is the float that the device has to hold for value: the inverse
// of ScaleFloat. It may be infinite: then value is out of range.
func (p Point) UnscaleFloat(value any, bits int) (float64, error) {
	r, err := p.unscale(value)
	if err != nil {
		return 0, err
	}
	if bits == 32 {
		f, _ := r.Float32()
		return float64(f), nil
	}
	f, _ := r.Float64()
	return f, nil
}

func (p Point) unscale(value any) (*big.Rat, error) {
	r, err := rational(value)
	if err != nil {
		return nil, err
	}
	if p.Offset != nil {
		r.Sub(r, p.Offset.rat())
	}
	return r.Quo(r, p.scale().rat()), nil
}

// rational is a stranger's number, exactly.
func rational(value any) (*big.Rat, error) {
	n, ok := value.(json.Number)
	if !ok {
		return nil, fmt.Errorf("%w, have %s", errNotNumber, Describe(value))
	}
	s := string(n)
	if len(s) > maxNumber || !isNumber(s) {
		return nil, fmt.Errorf("%w, have %.20q", errNotNumber, s)
	}
	if _, exponent, has := strings.Cut(strings.ToLower(s), "e"); has {
		if e, err := strconv.Atoi(exponent); err != nil || e < -maxExponent || e > maxExponent {
			return nil, fmt.Errorf("%s is no number that a device holds", s)
		}
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, fmt.Errorf("%w, have %.20q", errNotNumber, s)
	}
	return r, nil
}

// Clamp is value within min and max of the point, and whether it was outside.
// What is no number stays as it is.
func (p Point) Clamp(value any) (clamped any, was bool) {
	r, err := rational(value)
	if err != nil {
		return value, false
	}
	if p.Min != nil && r.Cmp(p.Min.rat()) < 0 {
		return p.Min.number(), true
	}
	if p.Max != nil && r.Cmp(p.Max.rat()) > 0 {
		return p.Max.number(), true
	}
	return value, false
}

// Describe names a value as it stands in "want …, have …".
func Describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case json.Number:
		return string(v)
	case string:
		if len(v) > 40 {
			return fmt.Sprintf("%.40q…", v)
		}
		return strconv.Quote(v)
	case bool:
		return strconv.FormatBool(v)
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	return fmt.Sprintf("a %T", value)
}

// ScaleDecimal is the value of a point whose device writes its numbers out.
func (p Point) ScaleDecimal(raw Decimal) json.Number {
	s := p.scale()
	s.exp += raw.exp
	return p.linear(s, raw.coef < 0, uint64(max(raw.coef, -raw.coef)))
}

// Unscale is what the device has to hold for value, exactly: the inverse of
// ScaleDecimal.
func (p Point) Unscale(value any) (*big.Rat, error) { return p.unscale(value) }
