package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var durationType = reflect.TypeFor[time.Duration]()

// scalar decodes text, numbers, durations and true or false.
func (d *decoder) scalar(n *node, at place, w where, v reflect.Value) {
	t, hint, err := v.Type(), "", error(nil)
	switch {
	case t == durationType:
		hint, err = setDuration(n, v)
	case v.Kind() == reflect.String:
		if err = wanted(text, n); err != nil && (n.kind == number || n.kind == boolean) {
			hint = fmt.Sprintf("in quotes it is text: %q", n.text)
		}
		value := n.text
		if err == nil && references[w.shape] {
			value, hint, err = reference(w.shape, n.text, n.file)
		}
		if err == nil {
			v.SetString(value)
		}
	case v.Kind() == reflect.Bool:
		if err = wanted(boolean, n); err == nil {
			v.SetBool(n.text[0]|0x20 == 't')
		}
	case v.CanInt(), v.CanUint():
		hint, err = setInteger(n, v)
	case v.CanFloat():
		hint, err = setFloat(n, v)
	default:
		err = fmt.Errorf("a %s can't be read from a file", t)
	}
	if err != nil {
		d.lost(at, w.path, err.Error(), hint)
	}
}

func wanted(k kind, n *node) error {
	if n.kind != k {
		return fmt.Errorf("want %s, have %s", k, n)
	}
	return nil
}

// setDuration reads 30ms, 10m, 1h30m. Only zero needs no unit.
func setDuration(n *node, v reflect.Value) (hint string, err error) {
	if n.kind == number && n.text != "0" {
		return "did you mean " + n.text + "s?", fmt.Errorf("%s has no unit", n.text)
	}
	if n.kind != number && n.kind != text {
		return "", fmt.Errorf("want a duration, have %s", n)
	}
	length, err := time.ParseDuration(n.text)
	if err != nil {
		return "units are ms, s, m and h: 30ms, 10s, 1h30m", fmt.Errorf("want a duration, have %s", n)
	}
	v.SetInt(int64(length))
	return "", nil
}

// setInteger reads 10 and 0x1F. YAML 1.1 takes 010 for 8 and YAML 1.2 for 10.
func setInteger(n *node, v reflect.Value) (hint string, err error) {
	if n.kind != number {
		return "", fmt.Errorf("want a whole number, have %s", n)
	}
	digits := strings.TrimLeft(n.text, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return "did you mean " + strings.TrimLeft(digits, "0") + "?", fmt.Errorf("a leading zero: %s", n)
	}
	if v.CanUint() {
		u, err := strconv.ParseUint(strings.TrimPrefix(n.text, "+"), 0, v.Type().Bits())
		if err != nil {
			return "", notInteger(n, err, 0, math.MaxUint64>>(64-v.Type().Bits()))
		}
		v.SetUint(u)
		return "", nil
	}
	i, err := strconv.ParseInt(n.text, 0, v.Type().Bits())
	if err != nil {
		most := int64(math.MaxInt64) >> (64 - v.Type().Bits())
		return "", notInteger(n, err, -most-1, uint64(most))
	}
	v.SetInt(i)
	return "", nil
}

func notInteger(n *node, err error, least int64, most uint64) error {
	if errors.Is(err, strconv.ErrRange) || n.text[0] == '-' && least == 0 {
		return fmt.Errorf("%s is out of range: %d to %d", n, least, most)
	}
	return fmt.Errorf("want a whole number, have %s", n)
}

func setFloat(n *node, v reflect.Value) (hint string, err error) {
	if n.kind != number {
		return "", fmt.Errorf("want a number, have %s", n)
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), v.Type().Bits())
	if i, intErr := strconv.ParseInt(n.text, 0, 64); err != nil && intErr == nil {
		f, err = float64(i), nil
	}
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", fmt.Errorf("want a number, have %s", n)
	}
	v.SetFloat(f)
	return "", nil
}
