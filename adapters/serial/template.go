package serial

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"edgeshadow/adapters"
)

// template is what is sent: bytes, a check, a value.
type template struct {
	parts []part
	start []byte // the marker that a check does not cover
	check Check
}

// part is one piece of a template: literal bytes when it is nothing else.
type part struct {
	literal []byte
	check   bool
	value   bool
	width   int // of a value, at least; 0 as it comes
	zeros   bool
	digits  int // behind the point; -1 as it comes
}

var (
	placeholder = regexp.MustCompile(`\{(?:value|check)[^{}]*\}`)
	valueFormat = regexp.MustCompile(`^\{value(?::(0?)(\d{0,2})(?:\.(\d))?)?\}$`)
)

// newTemplate reads a send of the configuration.
func newTemplate(send string, f Frame, c Check) (template, error) {
	t := template{check: c}
	if f.Length == nil && f.Fixed == 0 {
		t.start, _ = unescape(f.Start)
	}
	literal := func(s string) error {
		b, err := unescape(s)
		t.parts = append(t.parts, part{literal: b})
		return err
	}
	rest := send
	for rest != "" {
		at := placeholder.FindStringIndex(rest)
		if at == nil {
			break
		}
		name := rest[at[0]:at[1]]
		m := valueFormat.FindStringSubmatch(name)
		if m == nil && name != "{check}" {
			return t, fmt.Errorf("%s is no form of a value; write {value}, {value:.1}, {value:06.1} or {check}", name)
		}
		if err := literal(rest[:at[0]]); err != nil {
			return t, err
		}
		if m == nil {
			if c.size() == 0 {
				return t, errors.New("{check}, and there is no check")
			}
			t.parts = append(t.parts, part{check: true})
		} else {
			t.parts = append(t.parts, valuePart(m))
		}
		rest = rest[at[1]:]
	}
	return t, literal(rest)
}

func valuePart(m []string) part {
	p := part{value: true, zeros: m[1] != "", digits: -1}
	p.width, _ = strconv.Atoi(m[2])
	if m[3] != "" {
		p.digits, _ = strconv.Atoi(m[3])
	}
	return p
}

// values is how many values t takes.
func (t template) values() (n int) {
	for _, p := range t.parts {
		if p.value {
			n++
		}
	}
	return n
}

// render is what goes over the line.
func (t template) render(p adapters.Point, value any) ([]byte, error) {
	var out []byte
	for _, part := range t.parts {
		switch {
		case part.check:
			covered := bytes.TrimPrefix(out, t.start)
			if t.check.Type == "nmea" {
				covered = bytes.TrimSuffix(bytes.TrimLeft(out, "$!"), []byte("*"))
			}
			out = append(out, t.check.of(covered)...)
		case part.value:
			s, err := part.format(p, value)
			if err != nil {
				return nil, err
			}
			out = append(out, s...)
		default:
			out = append(out, part.literal...)
		}
	}
	return out, nil
}

// fit is what the point reads after value was sent: rounded to the digits that
// t sends.
func (t template) fit(p adapters.Point, value any) (any, error) {
	for _, part := range t.parts {
		if !part.value {
			continue
		}
		s, err := part.format(p, value)
		if err != nil {
			return nil, err
		}
		if numeral.MatchString(s) && p.Type != typeString {
			d, err := adapters.ParseDecimal(strings.TrimSpace(s))
			if err != nil {
				return nil, err
			}
			return p.Named(p.ScaleDecimal(d)), nil
		}
	}
	return value, nil
}

// maxDecimals is how many digits behind the point a number is sent with at most.
const maxDecimals = 9

// format is value as it is sent.
func (f part) format(p adapters.Point, value any) (string, error) {
	value, err := p.Unnamed(value)
	if err != nil {
		return "", err
	}
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v), nil
	case string:
		if v == "" || len(v) > maxText || strings.IndexFunc(v, func(r rune) bool { return r < ' ' || r == 0x7F }) >= 0 {
			return "", errors.New("want one line of text without control characters")
		}
		return v, nil
	case json.Number:
		r, err := p.Unscale(v)
		if err != nil {
			return "", err
		}
		return f.number(r)
	}
	return "", fmt.Errorf("want a number or text, have %s", adapters.Describe(value))
}

func (f part) number(r *big.Rat) (string, error) {
	digits := f.digits
	if digits < 0 {
		digits = maxDecimals
	}
	s := r.FloatString(digits)
	if f.digits < 0 {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	if len(s) > 40 {
		return "", fmt.Errorf("%.20s… is no number that a device holds", s)
	}
	if f.zeros {
		sign := ""
		if s[0] == '-' {
			sign, s = "-", s[1:]
		}
		return sign + strings.Repeat("0", max(0, f.width-len(sign)-len(s))) + s, nil
	}
	return strings.Repeat(" ", max(0, f.width-len(s))) + s, nil
}
