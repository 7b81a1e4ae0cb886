package adapters

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

const (
	// maxDigits of a Decimal: its coefficient fits an int64.
	maxDigits = 18
	// maxExponent bounds what a stranger's number may cost: a float64 ends at
	// 1e308, and its smallest digit is at 1e-324.
	maxExponent = 400
	// maxNumber bounds the text of a stranger's number.
	maxNumber = 128
)

var (
	errNotNumber = errors.New("want a number")
	errDigits    = errors.New("a number of more than 18 digits")
)

// Decimal is a number of the configuration as it was written: 0.1 is a tenth
// and not the float64 beside it.
type Decimal struct {
	coef int64
	exp  int // the value is coef × 10^exp
}

// ParseDecimal reads 5, -0.25, 1e-3.
func ParseDecimal(text string) (Decimal, error) {
	var d Decimal
	err := d.UnmarshalText([]byte(text))
	return d, err
}

// UnmarshalText reads 5, -0.25, 1e-3.
func (d *Decimal) UnmarshalText(text []byte) error {
	s := string(text)
	if len(s) > maxNumber || !isNumber(s) {
		return errNotNumber
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	exp := 0
	if exponent != "" {
		exp, _ = strconv.Atoi(exponent) // its digits were checked; out of range is huge
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(whole+fraction, "0")
	exp += len(whole) - len(digits)
	if exp < -maxExponent || exp > maxExponent {
		return errNotNumber
	}
	sign := strings.TrimLeft(digits, "+-")
	if sign = strings.TrimLeft(sign, "0"); len(sign) > maxDigits {
		return errDigits
	}
	if sign == "" {
		*d = Decimal{}
		return nil
	}
	coef, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return errNotNumber
	}
	*d = Decimal{coef, exp}
	return nil
}

// isNumber says whether s is a decimal number as JSON and YAML write it.
func isNumber(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && !strings.ContainsRune("+-.eE", r) {
			return false
		}
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// String is the shortest text of d.
func (d Decimal) String() string { return string(d.number()) }

func (d Decimal) number() json.Number {
	return numberText(d.coef < 0, strings.TrimPrefix(strconv.FormatInt(d.coef, 10), "-"), d.exp)
}

// Float is the float64 nearest to d.
func (d Decimal) Float() float64 {
	f, _ := d.rat().Float64()
	return f
}

// rat is d exactly.
func (d Decimal) rat() *big.Rat {
	r := new(big.Rat).SetInt64(d.coef)
	tens := new(big.Rat).SetInt(power(max(d.exp, -d.exp)))
	if d.exp < 0 {
		return r.Quo(r, tens)
	}
	return r.Mul(r, tens)
}

// timesInt is raw × d, exactly.
func (d Decimal) timesInt(negative bool, raw uint64) json.Number {
	coef := uint64(max(d.coef, -d.coef))
	negative = negative != (d.coef < 0)
	if raw < math.MaxUint32 && coef < math.MaxUint32 {
		return numberText(negative, strconv.FormatUint(raw*coef, 10), d.exp)
	}
	product := new(big.Int).Mul(new(big.Int).SetUint64(raw), new(big.Int).SetUint64(coef))
	return numberText(negative, product.String(), d.exp)
}

// timesIntPlus is ±raw × d + offset, exactly.
func (d Decimal) timesIntPlus(negative bool, raw uint64, offset Decimal) json.Number {
	sum := new(big.Int).Mul(new(big.Int).SetUint64(raw), big.NewInt(d.coef))
	if negative {
		sum.Neg(sum)
	}
	add, exp := big.NewInt(offset.coef), min(d.exp, offset.exp)
	sum.Mul(sum, power(d.exp-exp)).Add(sum, add.Mul(add, power(offset.exp-exp)))
	return numberText(sum.Sign() < 0, sum.Abs(sum).String(), exp)
}

// power is 10^n.
func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// numberText is digits × 10^exp as the shortest clean JSON number: 21.4 and
// 1e-9, never 21.40 and never 21.400000000000002.
func numberText(negative bool, digits string, exp int) json.Number {
	digits = strings.TrimLeft(digits, "0")
	short := strings.TrimRight(digits, "0")
	exp += len(digits) - len(short)
	if short == "" {
		return "0"
	}
	point := len(short) + exp // where the point stands in the digits
	var text string
	switch {
	case point > 21 || point < -6: // as JavaScript has it
		text = short[:1]
		if len(short) > 1 {
			text += "." + short[1:]
		}
		text += "e" + strconv.Itoa(point-1)
	case exp >= 0:
		text = short + strings.Repeat("0", exp)
	case point <= 0:
		text = "0." + strings.Repeat("0", -point) + short
	default:
		text = short[:point] + "." + short[point:]
	}
	if negative {
		text = "-" + text
	}
	return json.Number(text)
}
