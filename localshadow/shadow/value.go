package shadow

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strconv"
)

// Number is a JSON number in the text in which it was received.
type Number string

// indexAbove is the member count from which an Object carries an index: below
// it a linear look-up is quicker, above it hostile payloads would be quadratic.
const indexAbove = 16

// Object is an ordered JSON object. A nil *Object is an empty, absent one.
// Objects are immutable once built; operations share what did not change.
type Object struct {
	members []Member
	index   map[string]int // nil up to indexAbove members
}

// Member is one name and value of an Object.
type Member struct {
	Key   string
	Value any
}

// NewObject builds an object from members; of duplicate keys the last wins and
// keeps the place of the first.
func NewObject(members ...Member) *Object {
	b := builder{members: make([]Member, 0, len(members))}
	for _, m := range members {
		b.set(m.Key, m.Value)
	}
	return b.object()
}

// Len is the number of members.
func (o *Object) Len() int {
	if o == nil {
		return 0
	}
	return len(o.members)
}

// Get returns the value of key and whether it is present.
func (o *Object) Get(key string) (any, bool) {
	if o == nil {
		return nil, false
	}
	if i := o.find(key); i >= 0 {
		return o.members[i].Value, true
	}
	return nil, false
}

func (o *Object) find(key string) int {
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range o.members {
		if o.members[i].Key == key {
			return i
		}
	}
	return -1
}

// All yields the members in order.
func (o *Object) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		if o == nil {
			return
		}
		for _, m := range o.members {
			if !yield(m.Key, m.Value) {
				return
			}
		}
	}
}

// With returns a copy in which key has value.
func (o *Object) With(key string, value any) *Object {
	b := edit(o)
	b.set(key, value)
	return b.object()
}

// builder collects members into a new Object.
type builder struct {
	members []Member
	index   map[string]int
}

func edit(o *Object) builder {
	if o == nil {
		return builder{}
	}
	return builder{members: slices.Clone(o.members)}
}

func (b *builder) find(key string) int {
	if len(b.members) <= indexAbove {
		for i := range b.members {
			if b.members[i].Key == key {
				return i
			}
		}
		return -1
	}
	if b.index == nil {
		b.index = make(map[string]int, 2*len(b.members))
		for i, m := range b.members {
			b.index[m.Key] = i
		}
	}
	if i, ok := b.index[key]; ok {
		return i
	}
	return -1
}

func (b *builder) set(key string, value any) {
	if i := b.find(key); i >= 0 {
		b.members[i].Value = value
		return
	}
	b.members = append(b.members, Member{key, value})
	if b.index != nil {
		b.index[key] = len(b.members) - 1
	}
}

// object finishes; the builder is not used again.
func (b *builder) object() *Object {
	o := &Object{members: b.members}
	if len(b.members) > indexAbove {
		b.find("")
		o.index = b.index
	}
	return o
}

// Equal compares two values: arrays as one value (D2), strings exactly (D5),
// numbers by their decimal value (D6), objects regardless of member order.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case Number:
		n, ok := b.(Number)
		return ok && equalNumbers(a, n)
	case *Object:
		o, ok := b.(*Object)
		if !ok || a.Len() != o.Len() {
			return false
		}
		for k, v := range a.All() {
			w, ok := o.Get(k)
			if !ok || !Equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		s, ok := b.([]any)
		return ok && slices.EqualFunc(a, s, Equal)
	default: // bool, string, Timestamp
		return a == b
	}
}

// Of converts Go values: nil, bool, integers, floats, strings, json.Number,
// maps with string keys (members in sorted order), slices, and values of this
// package. Other types, NaN and infinities are errors.
func Of(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, Number, *Object:
		return v, nil
	case json.Number:
		if !validNumber(string(v)) {
			return nil, fmt.Errorf("number %q: not JSON", string(v))
		}
		return Number(v), nil
	case int:
		return Number(strconv.Itoa(v)), nil
	case int64:
		return Number(strconv.FormatInt(v, 10)), nil
	case uint64:
		return Number(strconv.FormatUint(v, 10)), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("number %v: not JSON", v)
		}
		return Number(strconv.FormatFloat(v, 'g', -1, 64)), nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			e, err := Of(v[i])
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			out[i] = e
		}
		return out, nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		b := builder{members: make([]Member, 0, len(v))}
		for _, k := range keys {
			e, err := Of(v[k])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			b.set(k, e)
		}
		return b.object(), nil
	default:
		return nil, fmt.Errorf("value of type %T: not JSON", v)
	}
}

// MarshalJSON implements json.Marshaler.
func (o *Object) MarshalJSON() ([]byte, error) { return Append(nil, o), nil }

// UnmarshalJSON implements json.Unmarshaler, for a fresh Object only.
func (o *Object) UnmarshalJSON(data []byte) error {
	v, err := Parse(data)
	if err != nil {
		return err
	}
	parsed, ok := v.(*Object)
	if !ok {
		return fmt.Errorf("JSON: want an object")
	}
	*o = *parsed
	return nil
}

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(n), nil }
