package shadow

import (
	"strconv"
	"unicode/utf8"
)

const maxToken = 64 // bytes (C1)

// Update is a request document. State is nil for null, or an *Object whose
// members are desired and reported, each nil (null) or *Object: a patch in
// which null removes (M2, M8, M9).
type Update struct {
	State       any
	ClientToken *string
	Version     *int64 // nil: unconditional (V4)
}

// ParseUpdate checks an update request (steps 1 to 6 of SHADOW 3). The error is
// always an *Error; the Update beside it carries the client token if that was
// usable (C2).
func ParseUpdate(payload []byte, lim Limits) (Update, error) {
	if !utf8.Valid(payload) {
		return Update{}, ErrEncoding
	}
	v, end, err := parseFirst(payload)
	if err == errDeep {
		return Update{}, tooDeep(lim.Depth)
	}
	if err != nil || (!ignoreTrailing && skipSpace(payload, end) != len(payload)) {
		return Update{}, ErrInvalidJSON
	}
	request, ok := v.(*Object)
	if !ok {
		return Update{}, ErrMissingState // the answer to a bare number, seen on the service
	}
	var u Update
	if u.ClientToken, ok = token(request); !ok {
		return u, ErrInvalidToken
	}
	if u.State, ok = request.Get("state"); !ok { // Q1
		return u, ErrMissingState
	}
	if err := checkState(u.State, lim); err != nil {
		return u, err
	}
	if v, ok := request.Get("version"); ok { // V5
		n, ok := v.(Number)
		if !ok {
			return u, ErrInvalidVersion
		}
		version, err := strconv.ParseInt(string(n), 10, 64)
		if err != nil || version < 0 {
			return u, ErrInvalidVersion
		}
		u.Version = &version
	}
	return u, nil
}

// checkState holds Q1, Q2, L2 and M10.
func checkState(v any, lim Limits) error {
	if v == nil {
		return nil
	}
	state, ok := v.(*Object)
	if !ok {
		return ErrStateObject
	}
	for key, section := range state.All() {
		var notObject *Error
		switch key {
		case "desired":
			notObject = ErrDesiredObject
		case "reported":
			notObject = ErrReportedObject
		default:
			return invalidNode(key)
		}
		if _, ok := section.(*Object); !ok && section != nil {
			return notObject
		}
	}
	for _, section := range state.All() {
		if depth(section) > lim.Depth {
			return tooDeep(lim.Depth)
		}
	}
	for _, section := range state.All() {
		if nullInArray(section, false) {
			return ErrInvalidJSON
		}
	}
	return nil
}

func nullInArray(v any, inside bool) bool {
	switch v := v.(type) {
	case nil:
		return inside
	case []any:
		for _, e := range v {
			if nullInArray(e, true) {
				return true
			}
		}
	case *Object:
		for _, e := range v.All() {
			if nullInArray(e, inside) {
				return true
			}
		}
	}
	return false
}

// token reads the member clientToken; ok is false when it is there and unusable (C1).
func token(o *Object) (*string, bool) {
	v, present := o.Get("clientToken")
	if !present {
		return nil, true
	}
	s, ok := v.(string)
	if !ok || len(s) > maxToken {
		return nil, false
	}
	return &s, true
}

// ParseToken reads the client token of a get or delete payload. Anything else
// in the payload, JSON or not, is ignored (G4, X2, V6).
func ParseToken(payload []byte) *string {
	if len(payload) == 0 || !utf8.Valid(payload) {
		return nil
	}
	v, _, err := parseFirst(payload)
	o, ok := v.(*Object)
	if err != nil || !ok {
		return nil
	}
	t, _ := token(o)
	return t
}
