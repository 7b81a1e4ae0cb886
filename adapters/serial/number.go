package serial

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"

	"edgeshadow/adapters"
)

// maxText bounds the text of a value, in bytes: it is for a shadow of 8 KB.
const maxText = 256

// numeral is a number as devices write it: with a plus sign, leading zeros, and
// blanks around it or behind its sign.
var numeral = regexp.MustCompile(`^([+-]?)\s*(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$`)

// text is a frame as text: what is no UTF-8 is taken for Latin-1, so that a
// regular expression finds each byte.
func text(frame []byte) string {
	if utf8.Valid(frame) {
		return string(frame)
	}
	runes := make([]rune, len(frame))
	for i, b := range frame {
		runes[i] = rune(b)
	}
	return string(runes)
}

// valueOf is what a device wrote, as a value of the point: a number when it is
// one, times the point's scale. Text that is empty, or more than a shadow should
// hold, has quality bad.
func valueOf(p adapters.Point, s string) (any, adapters.Quality) {
	s = strings.TrimSpace(s)
	if p.Type != typeString {
		if m := numeral.FindStringSubmatch(s); m != nil {
			// More digits than a Decimal has are no measurement but a name.
			if d, err := adapters.ParseDecimal(m[1] + m[2] + m[3]); err == nil {
				return p.Named(p.ScaleDecimal(d)), adapters.Good
			}
		}
	}
	if s == "" || len(s) > maxText {
		return nil, adapters.Bad
	}
	return s, adapters.Good
}

// valueOfJSON is a JSON value as a value of the point. Objects, lists and null
// are none.
func valueOfJSON(p adapters.Point, v any) (any, adapters.Quality) {
	switch v := v.(type) {
	case bool:
		return v, adapters.Good
	case json.Number:
		if d, err := adapters.ParseDecimal(string(v)); err == nil {
			return p.Named(p.ScaleDecimal(d)), adapters.Good
		}
	case string:
		if p.Type != typeString && len(v) > 0 && len(v) <= maxText {
			return v, adapters.Good
		}
		return valueOf(p, v)
	}
	return nil, adapters.Bad
}

// typeString is the type of a point that is text though it looks like a number.
const typeString = "string"
