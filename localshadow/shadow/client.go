package shadow

import (
	"errors"
	"fmt"
	"strconv"
)

// Accepted is a message of another shadow service, as its client reads it.
type Accepted struct {
	State       any  // the patch of update/accepted, the sections of get/accepted
	HasState    bool // false for delete/accepted; with a nil State: cleared
	Metadata    any  // Timestamp leaves in the shape of State; nil when absent
	Version     int64
	Timestamp   int64 // seconds since the epoch, by the service's clock; 0 when absent
	ClientToken *string
}

// ParseAccepted reads update/accepted and delete/accepted. Unknown members are
// ignored; a version is demanded.
func ParseAccepted(payload []byte) (Accepted, error) {
	v, err := Parse(payload)
	if err != nil {
		return Accepted{}, err
	}
	o, ok := v.(*Object)
	if !ok {
		return Accepted{}, errors.New("message is not an object")
	}
	var a Accepted
	if a.Version, err = integer(o, "version"); err != nil {
		return Accepted{}, err
	}
	if _, present := o.Get("timestamp"); present {
		if a.Timestamp, err = integer(o, "timestamp"); err != nil {
			return Accepted{}, err
		}
	}
	a.ClientToken, _ = token(o)
	if a.State, a.HasState = o.Get("state"); !a.HasState {
		return a, nil
	}
	switch s := a.State.(type) {
	case nil:
	case *Object:
		for key, section := range s.All() {
			if _, ok := section.(*Object); !ok && section != nil {
				return Accepted{}, fmt.Errorf("state.%s is not an object", key)
			}
		}
	default:
		return Accepted{}, errors.New("state is not an object")
	}
	if meta, ok := o.Get("metadata"); ok {
		a.Metadata = stamps(meta, a.State)
	}
	return a, nil
}

// ParseGet reads get/accepted: the document, and the message around it.
func ParseGet(payload []byte) (Document, Accepted, error) {
	a, err := ParseAccepted(payload)
	if err != nil {
		return Document{}, a, err
	}
	state, ok := a.State.(*Object)
	if !ok {
		return Document{}, a, errors.New("message has no state")
	}
	var b builder
	for _, name := range []string{"desired", "reported"} {
		if section, ok := state.Get(name); ok {
			b.set(name, section)
		}
	}
	d := MergeMeta(Document{}, b.object(), a.Metadata, a.Timestamp)
	d.Version = a.Version
	return d, a, nil
}

// ParseRejected reads the body of a rejection and its client token.
func ParseRejected(payload []byte) (*Error, *string, error) {
	v, err := Parse(payload)
	if err != nil {
		return nil, nil, err
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, nil, errors.New("message is not an object")
	}
	code, err := integer(o, "code")
	if err != nil {
		return nil, nil, err
	}
	text, _ := o.Get("message")
	message, _ := text.(string)
	t, _ := token(o)
	return &Error{Code: int(code), Message: message}, t, nil
}

func integer(o *Object, key string) (int64, error) {
	v, _ := o.Get(key)
	n, _ := v.(Number)
	i, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is not an integer", key)
	}
	return i, nil
}

// stamps turns received metadata into Timestamp leaves where shape, the state
// that it describes, has leaves.
func stamps(meta, shape any) any {
	switch s := shape.(type) {
	case *Object:
		m, ok := meta.(*Object)
		if !ok {
			return nil
		}
		var b builder
		for key, v := range s.All() {
			if inner, ok := m.Get(key); ok {
				b.set(key, stamps(inner, v))
			}
		}
		return b.object()
	case []any:
		m, ok := meta.([]any)
		if !ok {
			return nil
		}
		out := make([]any, len(s))
		for i := range s {
			if i < len(m) {
				out[i] = stamps(m[i], s[i])
			}
		}
		return out
	default:
		m, _ := meta.(*Object)
		t, err := integer(m, "timestamp")
		if err != nil {
			return nil
		}
		return Timestamp(t)
	}
}
