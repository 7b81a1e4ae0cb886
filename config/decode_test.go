package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"edgeshadow/config"

	"github.com/google/go-cmp/cmp"
)

// kinds has a field of each kind that a package's Config may have.
type kinds struct {
	Text    string           `yaml:"text"`
	Word    order            `yaml:"word"`
	Flag    bool             `yaml:"flag"`
	Byte    uint8            `yaml:"byte"`
	Int     int16            `yaml:"int"`
	Float   float64          `yaml:"float"`
	Every   time.Duration    `yaml:"every"`
	Pointer *float64         `yaml:"pointer"`
	List    []string         `yaml:"list"`
	Named   map[string]inner `yaml:"named"`
	Either  either           `yaml:"either"`
	inlined `yaml:",inline"`
	Unread  string
}

type inner struct {
	A int `yaml:"a"`
}

type inlined struct {
	In string `yaml:"in"`
}

// order reads text, as a type of a package does.
type order string

func (o *order) UnmarshalText(data []byte) error {
	if *o = order(data); len(data) != 4 {
		return fmt.Errorf("an order has four letters, have %s", data)
	}
	return nil
}

// either is spelled as a word or as a mapping.
type either inner

func (e *either) UnmarshalYAML(unmarshal func(any) error) error {
	var word string
	if unmarshal(&word) != nil {
		return unmarshal((*inner)(e))
	}
	if word != "auto" {
		return errors.New("want auto or a mapping")
	}
	e.A = -1
	return nil
}

func TestDecode(t *testing.T) {
	half := 0.5
	for yaml, want := range map[string]kinds{
		"":                                    {},
		"text: \"7\"":                         {Text: "7"},
		"text: |\n  two\n  lines\n":           {Text: "two\nlines\n"},
		"text: 9600-7E1":                      {Text: "9600-7E1"},
		"\ufefftext: °C\r\nflag: true\r\n":    {Text: "°C", Flag: true},
		"flag: True":                          {Flag: true},
		"word: ABCD":                          {Word: "ABCD"},
		"word: 1234":                          {Word: "1234"},
		"byte: 0xff":                          {Byte: 255},
		"byte: 0":                             {},
		"int: -32768":                         {Int: -32768},
		"int: +7":                             {Int: 7},
		"float: 1e-3":                         {Float: 0.001},
		"float: .5":                           {Float: 0.5},
		"float: 0x10":                         {Float: 16},
		"float: -3":                           {Float: -3},
		"every: 1h30m":                        {Every: 90 * time.Minute},
		"every: 0":                            {},
		"every: 30ms":                         {Every: 30 * time.Millisecond},
		"pointer: 0.5":                        {Pointer: &half},
		"pointer: ~":                          {},
		"list: []":                            {List: []string{}},
		"list:":                               {},
		"list: [a, 'b']":                      {List: []string{"a", "b"}},
		"list:\n- a\n- b":                     {List: []string{"a", "b"}},
		"named: {7: {a: 1}, true: , x.y: {}}": {Named: map[string]inner{"7": {1}, "true": {}, "x.y": {}}},
		"named: {a: &x {a: 1}, b: *x}":        {Named: map[string]inner{"a": {1}, "b": {1}}},
		"named: {a: &x {a: 1}, b: {<<: *x}, c: {<<: *x, a: 2}, d: {<<: [{a: 3}, *x]}}": {Named: map[string]inner{
			"a": {1}, "b": {1}, "c": {2}, "d": {3}}},
		"? named\n: ? a\n  : a: 1\n": {Named: map[string]inner{"a": {1}}},
		"either: auto":               {Either: either{-1}},
		"either: {a: 5}":             {Either: either{5}},
		"in: x":                      {inlined: inlined{"x"}},
	} {
		var got kinds
		if err := config.Decode(yaml, &got); err != nil {
			t.Errorf("%q: %v", yaml, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(kinds{}, inlined{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", yaml, diff)
		}
	}
}

func TestDecode_Faults(t *testing.T) {
	for yaml, want := range map[string]string{
		"text: 7":                            `f:1:7: text: want text, have 7 (in quotes it is text: "7")`,
		"text: true":                         `f:1:7: text: want text, have true (in quotes it is text: "true")`,
		"text: ~":                            `f:1:1: text: want text, have nothing`,
		"word: abc":                          `f:1:7: word: an order has four letters, have abc`,
		"word: {}":                           `f:1:1: word: want text, have a mapping`,
		"flag: yes":                          `f:1:7: flag: want true or false, have "yes"`,
		"flag: 1":                            `f:1:7: flag: want true or false, have 1`,
		"byte: 256":                          `f:1:7: byte: 256 is out of range: 0 to 255`,
		"byte: -1":                           `f:1:7: byte: -1 is out of range: 0 to 255`,
		"byte: 1.5":                          `f:1:7: byte: want a whole number, have 1.5`,
		"byte: '1'":                          `f:1:7: byte: want a whole number, have "1"`,
		"byte: 010":                          `f:1:7: byte: a leading zero: 010 (did you mean 10?)`,
		"int: 32768":                         `f:1:6: int: 32768 is out of range: -32768 to 32767`,
		"int: -0x":                           `f:1:6: int: want a whole number, have "-0x"`,
		"float: .inf":                        `f:1:8: float: want a number, have .inf`,
		"float: .nan":                        `f:1:8: float: want a number, have .nan`,
		"float: 1e999":                       `f:1:8: float: want a number, have 1e999`,
		"float: 0,1":                         `f:1:8: float: want a number, have "0,1"`,
		"every: 5":                           `f:1:8: every: 5 has no unit (did you mean 5s?)`,
		"every: 0.5":                         `f:1:8: every: 0.5 has no unit (did you mean 0.5s?)`,
		"every: 5 sec":                       `f:1:8: every: want a duration, have "5 sec" (units are ms, s, m and h: 30ms, 10s, 1h30m)`,
		"every: [5s]":                        `f:1:1: every: want a duration, have a list`,
		"list: a":                            `f:1:7: list: want a list, have "a"`,
		"list: [a, 5, [b]]":                  "f:1:11: list[1]: want text, have 5 (in quotes it is text: \"5\")\nf:1:14: list[2]: want text, have a list",
		"named: []":                          `f:1:1: named: want a mapping, have a list`,
		"named: {° °: {b: 1}}":               `f:1:15: named.° °.b: unknown key (known here: a)`,
		"either: of":                         `f:1:9: either: want auto or a mapping`,
		"either: {b: 1, a: x}":               "f:1:10: either.b: unknown key (known here: a)\nf:1:19: either.a: want a whole number, have \"x\"",
		"unread: x":                          `f:1:1: unread: unknown key (known here: byte either every flag float in int list named pointer text word)`,
		"evrey: 5s":                          `f:1:1: evrey: unknown key (did you mean every?)`,
		"text:":                              `f:1:1: text: want text, have nothing`,
		"[a]: b":                             `f:1:4: not YAML: found an invalid key for this map`,
		"named: {x: &a {}}\n*a : {}":         `f:2:1: a key that is no text`,
		"!!str text: b":                      `f:1:1: a key that is no text`,
		"? [a]\n: b":                         `f:2:1: not YAML: found an invalid key for this map`,
		"text: a: b":                         `f:1:7: not YAML: mapping value is not allowed in this context`,
		"text: \"\xff\"":                     `f:1:8: not UTF-8 (save the file as UTF-8)`,
		"text: &a [*a]":                      "f:1:1: text: want text, have a list\nf:1:11: text[0]: no anchor &a before this",
		strings.Repeat("[", 99):              `f:1:65: not YAML: nested deeper than 64`,
		strings.Repeat("- ", 99):             `f:1:129: not YAML: nested deeper than 64`,
		"# " + strings.Repeat("long", 1<<18): `f:1:1: 1048578 bytes; a configuration file may hold 1048576 (split it into files of conf.d)`,
	} {
		err := config.Decode(yaml, &kinds{})
		if err == nil {
			err = errors.New("no fault")
		}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", yaml, diff)
		}
	}
}

// Aliases of aliases stand for more than can be held; what is read is bounded,
// however small the file.
func TestDecode_AliasBomb(t *testing.T) {
	type tree map[string]tree
	var b strings.Builder
	b.WriteString("a0: &a0 {}\n")
	for i := range 30 {
		fmt.Fprintf(&b, "a%d: &a%d {l: *a%d, r: *a%d}\n", i+1, i+1, i, i)
	}
	err := config.Decode(b.String(), &tree{})
	if err == nil || !strings.Contains(err.Error(), "more than 100000 values") {
		t.Errorf("got %.200v", err)
	}
}
