package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxFile  = 1 << 20 // bytes; a hundred things fill 100 KiB
	maxDepth = 64      // of nesting; the parser recurses, a configuration is 8 deep
	maxNodes = 100_000 // after aliases are followed: ten aliases of ten aliases … are a bomb
)

// parse reads one file. It returns nil and has reported why when the file is
// not YAML; an empty file is an empty mapping.
func parse(file string, data []byte, r *report) *node {
	top := place{file, 1, 1}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if len(data) > maxFile {
		r.add(top, "", fmt.Sprintf("%d bytes; a configuration file may hold %d", len(data), maxFile), "split it into files of conf.d")
		return nil
	}
	if at, ok := encoded(file, data); !ok {
		r.add(at, "", "not UTF-8", "save the file as UTF-8")
		return nil
	}
	doc, err := parseYAML(string(data))
	if err != nil {
		at := top
		var located yaml.Error
		if errors.As(err, &located) {
			at = placeOf(file, located.GetToken())
			err = errors.New(located.GetMessage())
		}
		r.add(at, "", "not YAML: "+err.Error(), "")
		return nil
	}
	c := converter{file: file, anchors: map[string]*node{}, report: r}
	return c.document(doc, top)
}

// parseYAML is the parser of the library behind the bounds that it lacks.
func parseYAML(text string) (f *ast.File, err error) {
	// A panic of the parser is a file that can't be read, not a dead daemon.
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	tokens := lexer.Tokenize(text)
	if deep := tooDeep(tokens); deep != nil {
		return nil, &yaml.SyntaxError{Message: fmt.Sprintf("nested deeper than %d", maxDepth), Token: deep}
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// tooDeep is the token at which brackets, or indicators on one line, nest
// beyond maxDepth. Indentation needs no bound: its depth costs a square of bytes.
func tooDeep(tokens token.Tokens) *token.Token {
	flow, line, inLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, inLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			inLine++
		}
		if flow > maxDepth || flow == 0 && inLine > maxDepth {
			return t
		}
	}
	return nil
}

// encoded says whether data is UTF-8, and if not where it first is not.
func encoded(file string, data []byte) (place, bool) {
	at := place{file, 1, 1}
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			return at, false
		}
		at.column++
		if r == '\n' {
			at.line, at.column = at.line+1, 1
		}
		data = data[n:]
	}
	return at, true
}

func placeOf(file string, t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{file, 1, 1}
	}
	return place{file, max(1, t.Position.Line), max(1, t.Position.Column)}
}

// plainNumber is what YAML 1.2 takes for a number. The library takes 1e3 for
// text.
var plainNumber = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// scalar is the node of a scalar, or nil when n is none.
func scalar(at place, n ast.Node) *node {
	switch n := n.(type) {
	case *ast.NullNode:
		return &node{place: at, kind: null}
	case *ast.BoolNode:
		return &node{place: at, kind: boolean, text: n.Token.Value}
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return &node{place: at, kind: number, text: n.GetToken().Value}
	case *ast.StringNode:
		if n.Token.Type == token.StringType && plainNumber.MatchString(n.Value) {
			return &node{place: at, kind: number, text: n.Value}
		}
		return &node{place: at, kind: text, text: n.Value}
	case *ast.LiteralNode:
		return &node{place: at, kind: text, text: n.Value.Value}
	}
	return nil
}
