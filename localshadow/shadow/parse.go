package shadow

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the recursion of the parser: far beyond what a document may
// nest, far below what a stack holds.
const maxDepth = 64

var errDeep = errors.New("JSON nested too deeply")

// Parse reads one JSON value with nothing but white space after it. Of
// duplicate keys the last wins.
func Parse(data []byte) (any, error) {
	v, end, err := parseFirst(data)
	if err != nil {
		return nil, err
	}
	if i := skipSpace(data, end); i != len(data) {
		return nil, fmt.Errorf("JSON: unexpected text at byte %d", i)
	}
	return v, nil
}

// parseFirst reads the first JSON value of data and returns where it ends.
func parseFirst(data []byte) (any, int, error) {
	p := parser{data: data}
	p.i = skipSpace(data, 0)
	v, err := p.value(0)
	return v, p.i, err
}

type parser struct {
	data []byte
	i    int
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func (p *parser) fail() error {
	if p.i >= len(p.data) {
		return errors.New("JSON: unexpected end")
	}
	return fmt.Errorf("JSON: unexpected text at byte %d", p.i)
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	if p.i >= len(p.data) {
		return nil, p.fail()
	}
	switch p.data[p.i] {
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"':
		return p.string()
	case 't':
		return true, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return nil, p.word("null")
	default:
		end := scanNumber(p.data, p.i)
		if end < 0 {
			return nil, p.fail()
		}
		n := Number(p.data[p.i:end])
		p.i = end
		return n, nil
	}
}

func (p *parser) word(w string) error {
	if len(p.data)-p.i < len(w) || string(p.data[p.i:p.i+len(w)]) != w {
		return p.fail()
	}
	p.i += len(w)
	return nil
}

// next skips white space and reports the byte there, 0 at the end.
func (p *parser) next() byte {
	p.i = skipSpace(p.data, p.i)
	if p.i >= len(p.data) {
		return 0
	}
	return p.data[p.i]
}

func (p *parser) object(depth int) (any, error) {
	p.i++
	var b builder
	if p.next() == '}' {
		p.i++
		return b.object(), nil
	}
	for {
		if p.next() != '"' {
			return nil, p.fail()
		}
		key, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.next() != ':' {
			return nil, p.fail()
		}
		p.i++
		p.next()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		b.set(key, v)
		switch p.next() {
		case ',':
			p.i++
		case '}':
			p.i++
			return b.object(), nil
		default:
			return nil, p.fail()
		}
	}
}

func (p *parser) array(depth int) (any, error) {
	p.i++
	out := []any{}
	if p.next() == ']' {
		p.i++
		return out, nil
	}
	for {
		p.next()
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		switch p.next() {
		case ',':
			p.i++
		case ']':
			p.i++
			return out, nil
		default:
			return nil, p.fail()
		}
	}
}

func (p *parser) string() (string, error) {
	p.i++
	start := p.i
	for p.i < len(p.data) {
		switch c := p.data[p.i]; {
		case c == '"':
			s := string(p.data[start:p.i])
			p.i++
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", p.fail()
		default:
			p.i++
		}
	}
	return "", p.fail()
}

// escaped finishes a string in which a backslash was found.
func (p *parser) escaped(start int) (string, error) {
	out := append([]byte(nil), p.data[start:p.i]...)
	for p.i < len(p.data) {
		c := p.data[p.i]
		switch {
		case c == '"':
			p.i++
			return string(out), nil
		case c < 0x20:
			return "", p.fail()
		case c != '\\':
			out = append(out, c)
			p.i++
		default:
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return "", p.fail()
}

func (p *parser) escape() (rune, error) {
	if p.i+1 >= len(p.data) {
		p.i = len(p.data)
		return 0, p.fail()
	}
	c := p.data[p.i+1]
	switch c {
	case '"', '\\', '/':
		p.i += 2
		return rune(c), nil
	case 'b', 'f', 'n', 'r', 't':
		p.i += 2
		return map[byte]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}[c], nil
	case 'u':
		r, err := p.unit()
		if err != nil || !utf16.IsSurrogate(r) {
			return r, err
		}
		if p.i+1 < len(p.data) && p.data[p.i] == '\\' && p.data[p.i+1] == 'u' {
			at := p.i
			low, err := p.unit()
			if err != nil {
				return 0, err
			}
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, nil
			}
			p.i = at
		}
		return utf8.RuneError, nil
	default:
		return 0, p.fail()
	}
}

// unit reads \uXXXX.
func (p *parser) unit() (rune, error) {
	if p.i+6 > len(p.data) {
		p.i = len(p.data)
		return 0, p.fail()
	}
	n, err := strconv.ParseUint(string(p.data[p.i+2:p.i+6]), 16, 16)
	if err != nil {
		return 0, p.fail()
	}
	p.i += 6
	return rune(n), nil
}

// Append adds the minified JSON of v to dst. Only what JSON demands is escaped.
func Append(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case Number:
		return append(dst, v...)
	case string:
		return appendString(dst, v)
	case Timestamp:
		dst = append(dst, `{"timestamp":`...)
		dst = strconv.AppendInt(dst, int64(v), 10)
		return append(dst, '}')
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = Append(dst, e)
		}
		return append(dst, ']')
	case *Object:
		dst = append(dst, '{')
		first := true
		for k, e := range v.All() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendString(dst, k)
			dst = append(dst, ':')
			dst = Append(dst, e)
		}
		return append(dst, '}')
	default:
		panic(fmt.Sprintf("shadow: value of type %T", v))
	}
}

func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
