package access

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// pattern is a value of a policy, compiled: text, wildcards and variables.
type pattern []step

type step struct {
	kind stepKind
	text string   // of a literal
	name variable // of a variable
}

type stepKind byte

const (
	literal stepKind = iota
	star             // any run of characters, "/" and nothing included
	single           // exactly one character
	variableStep
)

// compile reads a pattern. Without wild, "*" and "?" are text. The error says
// what is wrong at which byte.
func compile(text string, wild bool) (pattern, error) {
	var out pattern
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, step{kind: literal, text: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case wild && c == '*':
			flush()
			if n := len(out); n == 0 || out[n-1].kind != star {
				out = append(out, step{kind: star})
			}
		case wild && c == '?':
			flush()
			out = append(out, step{kind: single})
		case c == '$' && strings.HasPrefix(text[i:], "${"):
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("${ without }")
			}
			name := text[i+2 : i+end]
			i += end
			if name == "*" || name == "?" || name == "$" {
				lit.WriteString(name)
				continue
			}
			v, err := variableNamed(name)
			if err != nil {
				return nil, err
			}
			flush()
			out = append(out, step{kind: variableStep, name: v})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return out, nil
}

// everything is the pattern of "*".
var everything = pattern{{kind: star}}

// matches tells whether head+tail matches. They come in two pieces so that
// nothing is put together for a decision. A variable without a value matches
// nothing.
func (p pattern) matches(env *values, head, tail string) bool {
	size := len(head) + len(tail)
	at, next := 0, 0 // in the text, in p
	back, backAt := -1, 0
	for {
		switch {
		case next == len(p):
			if at == size {
				return true
			}
		case p[next].kind == star:
			if next++; next == len(p) {
				return true
			}
			back, backAt = next, at
			continue
		case p[next].kind == single:
			if n := runeAt(head, tail, at); n > 0 {
				at, next = at+n, next+1
				continue
			}
		default:
			text := p[next].text
			if p[next].kind == variableStep {
				v, ok := env.one(p[next].name)
				if !ok {
					return false
				}
				text = v
			}
			if begins(head, tail, at, text) {
				at, next = at+len(text), next+1
				continue
			}
		}
		// The last star takes one character more.
		if back < 0 || backAt >= size {
			return false
		}
		backAt += runeAt(head, tail, backAt)
		if p[back].kind == literal && backAt >= len(head) {
			// Or as much as stands before the text that must follow.
			skip := strings.Index(tail[backAt-len(head):], p[back].text)
			if skip < 0 {
				return false
			}
			backAt += skip
		}
		at, next = backAt, back
	}
}

// resolved tells whether each variable of the pattern has a value.
func (p pattern) resolved(env *values) bool {
	for _, s := range p {
		if s.kind == variableStep {
			if _, ok := env.one(s.name); !ok {
				return false
			}
		}
	}
	return true
}

func begins(head, tail string, at int, text string) bool {
	if at >= len(head) {
		return strings.HasPrefix(tail[at-len(head):], text)
	}
	rest := head[at:]
	if len(text) <= len(rest) {
		return rest[:len(text)] == text
	}
	return text[:len(rest)] == rest && strings.HasPrefix(tail, text[len(rest):])
}

// runeAt is the length of the character at a byte of head+tail; 0 at the end.
// Head ends with a whole character.
func runeAt(head, tail string, at int) int {
	rest := tail
	if at < len(head) {
		rest = head[at:]
	} else {
		rest = tail[at-len(head):]
	}
	if rest == "" {
		return 0
	}
	_, n := utf8.DecodeRuneInString(rest)
	return n
}

// arn is the pattern of an ARN's last part: account and region match anything,
// they say nothing on a gateway. Each of the first five parts is matched by
// itself, as IAM does. A nil pattern matches nothing: the ARN of another service.
func arn(text string) (pattern, error) {
	if text == "*" {
		return everything, nil
	}
	parts := strings.SplitN(text, ":", 6)
	if parts[0] != "arn" {
		return nil, fmt.Errorf(`%.80q is neither "*" nor an ARN, arn:aws:iot:<region>:<account>:<topic, client, …>/<name>`, text)
	}
	if len(parts) > 2 && !glob(parts[2], "iot") {
		return nil, nil
	}
	if len(parts) < 6 {
		if parts[len(parts)-1] == "*" {
			return everything, nil
		}
		return nil, fmt.Errorf("%.80q has %d of the six parts of an ARN, arn:aws:iot:<region>:<account>:<topic, client, …>/<name>", text, len(parts))
	}
	return compile(parts[5], true)
}

// glob matches "*" and "?" alone.
func glob(pat, text string) bool {
	var p pattern
	for i := range len(pat) {
		switch pat[i] {
		case '*':
			p = append(p, step{kind: star})
		case '?':
			p = append(p, step{kind: single})
		default:
			p = append(p, step{kind: literal, text: pat[i : i+1]})
		}
	}
	return p.matches(nil, "", text)
}
