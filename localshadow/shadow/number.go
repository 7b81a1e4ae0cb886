package shadow

import "strings"

// decimal is a number as digits × 10^exp with neither leading nor trailing
// zeros in digits; zero has none. The exponent is kept as an int64 that
// saturates, so 1e999999999999 costs no more than its text.
type decimal struct {
	negative bool
	digits   string
	exp      int64
}

const expLimit = int64(1) << 40

func parseDecimal(n Number) decimal {
	s := string(n)
	var d decimal
	if strings.HasPrefix(s, "-") {
		d.negative, s = true, s[1:]
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		d.exp = parseExponent(s[i+1:])
		s = s[:i]
	}
	whole, frac, _ := strings.Cut(s, ".")
	d.exp -= int64(len(frac))
	digits := whole + frac
	trimmed := strings.TrimRight(digits, "0")
	d.exp += int64(len(digits) - len(trimmed))
	d.digits = strings.TrimLeft(trimmed, "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}

func parseExponent(s string) int64 {
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "+-")
	var e int64
	for _, c := range []byte(s) {
		if e < expLimit {
			e = e*10 + int64(c-'0')
		}
	}
	if negative {
		return -e
	}
	return e
}

// equalNumbers compares by decimal value: 1, 1.0 and 1e0 are equal, 2^53 and
// 2^53+1 are not (D6).
func equalNumbers(a, b Number) bool {
	return a == b || parseDecimal(a) == parseDecimal(b)
}

func validNumber(s string) bool {
	n := scanNumber([]byte(s), 0)
	return n == len(s) && n > 0
}

// scanNumber returns the end of the JSON number that starts at i, or -1.
func scanNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && b[i] >= '1' && b[i] <= '9':
		i = digits(b, i)
	default:
		return -1
	}
	if i < len(b) && b[i] == '.' {
		j := digits(b, i+1)
		if j == i+1 {
			return -1
		}
		i = j
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		j := digits(b, i)
		if j == i {
			return -1
		}
		i = j
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
