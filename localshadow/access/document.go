package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Fault is one mistake in a policy document and where it stands.
type Fault struct {
	Line, Column int // from 1; columns count bytes
	Text         string
}

func (f Fault) Error() string { return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Text) }

// Faults are all mistakes of a document, in the order in which they were found.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// node is a JSON value with its place.
type node struct {
	at      int // byte offset
	value   any // string, json.Number, bool, nil; json.Delim('[') or ('{')
	items   []node
	members []member
}

type member struct {
	key   string
	at    int
	value node
}

func (n *node) get(key string) *node {
	for i := range n.members {
		if n.members[i].key == key {
			return &n.members[i].value
		}
	}
	return nil
}

func (n *node) is(delim json.Delim) bool { return n.value == delim }

// describe says what a value is, for a fault.
func (n *node) describe() string {
	switch v := n.value.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("%.60q", v)
	case json.Delim:
		if v == '{' {
			return "an object"
		}
		return "a list"
	default:
		return fmt.Sprint(v)
	}
}

// maxNesting is more than a policy has, and little enough for a stack.
const maxNesting = 16

// reader makes nodes of JSON text.
type reader struct {
	text   []byte
	dec    *json.Decoder
	faults Faults
}

// fault notes a mistake at a byte offset.
func (r *reader) fault(at int, format string, args ...any) {
	before := r.text[:min(at, len(r.text))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := at - (bytes.LastIndexByte(before, '\n') + 1) + 1
	r.faults = append(r.faults, Fault{line, column, fmt.Sprintf(format, args...)})
}

// read parses the whole text; nil when it is no JSON.
func (r *reader) read() *node {
	if at := invalid(r.text); at >= 0 {
		r.fault(at, "not UTF-8")
		return nil
	}
	r.dec = json.NewDecoder(bytes.NewReader(r.text))
	r.dec.UseNumber()
	n, err := r.next(0)
	if err == nil {
		end := r.skip(int(r.dec.InputOffset()))
		if _, more := r.dec.Token(); !errors.Is(more, io.EOF) {
			r.fault(end, "text after the document")
			return nil
		}
		return &n
	}
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.fault(len(r.text), "not JSON: it ends too early")
	case errors.As(err, &syntax):
		at := int(r.dec.InputOffset())
		for at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[at]) >= 0 {
			at++
		}
		r.fault(at, "not JSON: %v", syntax)
	default:
		r.fault(int(r.dec.InputOffset()), "%v", err)
	}
	return nil
}

// invalid is the offset of the first byte that is no UTF-8; -1: none.
func invalid(text []byte) int {
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRune(text[i:])
		if c == utf8.RuneError && n < 2 {
			return i
		}
		i += n
	}
	return -1
}

// skip goes over what stands between two tokens.
func (r *reader) skip(at int) int {
	for at < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[at]) >= 0 {
		at++
	}
	return at
}

func (r *reader) next(depth int) (node, error) {
	n := node{at: r.skip(int(r.dec.InputOffset()))}
	if depth > maxNesting {
		return n, errors.New("nested too deeply")
	}
	token, err := r.dec.Token()
	if err != nil {
		return n, err
	}
	n.value = token
	switch token {
	case json.Delim('['):
		for r.dec.More() {
			item, err := r.next(depth + 1)
			if err != nil {
				return n, err
			}
			n.items = append(n.items, item)
		}
		_, err = r.dec.Token()
	case json.Delim('{'):
		for r.dec.More() {
			at := r.skip(int(r.dec.InputOffset()))
			key, err := r.dec.Token()
			if err != nil {
				return n, err
			}
			m := member{key: key.(string), at: at} // the decoder admits nothing else
			if n.get(m.key) != nil {
				r.fault(at, "%s stands twice", m.key)
			}
			if m.value, err = r.next(depth + 1); err != nil {
				return n, err
			}
			n.members = append(n.members, m)
		}
		_, err = r.dec.Token()
	}
	return n, err
}
