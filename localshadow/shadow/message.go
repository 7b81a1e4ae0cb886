package shadow

import "strconv"

// The messages of A4, minified, in the member order seen on the wire: some
// clients match strings.

func appendInt(dst []byte, member string, n int64) []byte {
	dst = append(dst, member...)
	return strconv.AppendInt(dst, n, 10)
}

func appendToken(dst []byte, token *string) []byte {
	if token == nil { // never invented (C2)
		return dst
	}
	dst = append(dst, `,"clientToken":`...)
	return appendString(dst, *token)
}

// AppendAccepted adds update/accepted: the request's own state and the stamps
// that it set, not the merged document (A1 to A3).
func AppendAccepted(dst []byte, u Update, version, now int64) []byte {
	dst = append(dst, `{"state":`...)
	dst = Append(dst, u.State)
	dst = append(dst, `,"metadata":`...)
	dst = Append(dst, echoMeta(u.State, Timestamp(now)))
	dst = appendInt(dst, `,"version":`, version)
	dst = appendInt(dst, `,"timestamp":`, now)
	dst = appendToken(dst, u.ClientToken)
	return append(dst, '}')
}

// echoMeta has the shape of v with a stamp at each leaf, nulls included (A2).
func echoMeta(v any, now Timestamp) any {
	switch v := v.(type) {
	case *Object:
		b := builder{members: make([]Member, 0, v.Len())}
		for k, e := range v.All() {
			b.set(k, echoMeta(e, now))
		}
		return b.object()
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = echoMeta(e, now)
		}
		return out
	default:
		return now
	}
}

// AppendDelta adds update/delta and reports true when desired and reported
// differ; else dst is returned as it was (D8).
func AppendDelta(dst []byte, d *Document, now int64, token *string) ([]byte, bool) {
	state := Delta(d.State)
	if state == nil {
		return dst, false
	}
	dst = appendInt(dst, `{"version":`, d.Version)
	dst = appendInt(dst, `,"timestamp":`, now)
	dst = append(dst, `,"state":`...)
	dst = Append(dst, state)
	dst = append(dst, `,"metadata":`...)
	dst = Append(dst, restrict(d.Metadata.Desired, state))
	dst = appendToken(dst, token)
	return append(dst, '}'), true
}

// AppendDocuments adds update/documents: the snapshots before and after. A nil
// prev is null (P1 to P3).
func AppendDocuments(dst []byte, prev, cur *Document, now int64, token *string) []byte {
	dst = append(dst, `{"previous":`...)
	dst = appendSnapshot(dst, prev)
	dst = append(dst, `,"current":`...)
	dst = appendSnapshot(dst, cur)
	dst = appendInt(dst, `,"timestamp":`, now)
	dst = appendToken(dst, token)
	return append(dst, '}')
}

func appendSnapshot(dst []byte, d *Document) []byte {
	if d == nil {
		return append(dst, "null"...)
	}
	dst = append(dst, `{"state":`...)
	dst = Append(dst, d.State.object())
	dst = append(dst, `,"metadata":`...)
	dst = Append(dst, d.Metadata.object())
	dst = appendInt(dst, `,"version":`, d.Version)
	return append(dst, '}')
}

// AppendGet adds get/accepted: the whole document, with a delta when there is
// one and without metadata for it (G1 to G3).
func AppendGet(dst []byte, d *Document, now int64, token *string) []byte {
	state := d.State.object()
	if delta := Delta(d.State); delta != nil {
		state = state.With("delta", delta)
	}
	dst = append(dst, `{"state":`...)
	dst = Append(dst, state)
	dst = append(dst, `,"metadata":`...)
	dst = Append(dst, d.Metadata.object())
	dst = appendInt(dst, `,"version":`, d.Version)
	dst = appendInt(dst, `,"timestamp":`, now)
	dst = appendToken(dst, token)
	return append(dst, '}')
}

// AppendDeleted adds delete/accepted; version is the last live one (X2).
func AppendDeleted(dst []byte, version, now int64, token *string) []byte {
	dst = appendInt(dst, `{"version":`, version)
	dst = appendInt(dst, `,"timestamp":`, now)
	dst = appendToken(dst, token)
	return append(dst, '}')
}

// AppendRejected adds the body of any rejection: code and message, never a
// timestamp (E3).
func AppendRejected(dst []byte, e *Error, token *string) []byte {
	dst = appendInt(dst, `{"code":`, int64(e.Code))
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.Message)
	dst = appendToken(dst, token)
	return append(dst, '}')
}
