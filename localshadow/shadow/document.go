package shadow

// State is the two sections of a shadow. A nil section is absent (M5).
type State struct{ Desired, Reported *Object }

// Timestamp is a leaf of metadata: seconds since the epoch, {"timestamp":n} on
// the wire. It is a type of its own so that a user's key "timestamp" is never
// taken for one (M11).
type Timestamp int64

// Document is one shadow: what is stored of it. The delta is always computed.
type Document struct {
	State    State
	Metadata State // the shape of State, with Timestamp leaves (T1)
	Version  int64
}

// Limits bound what an update may make of a document.
type Limits struct {
	Size  int // bytes of minified desired plus reported (L1)
	Depth int // key levels below a section (L2)
}

// DefaultLimits are those of the service: 8 KB and 6 levels.
func DefaultLimits() Limits { return Limits{Size: 8192, Depth: 6} }

// object is the state as an object that has the sections that are present.
func (s State) object() *Object {
	var b builder
	if s.Desired.Len() > 0 {
		b.set("desired", s.Desired)
	}
	if s.Reported.Len() > 0 {
		b.set("reported", s.Reported)
	}
	return b.object()
}

// Size is what L1 counts: the minified sections, braces included; metadata,
// wrapper and absent sections do not count.
func Size(s State) int {
	n := 0
	for _, section := range []*Object{s.Desired, s.Reported} {
		if section.Len() > 0 {
			n += len(Append(nil, section))
		}
	}
	return n
}

// depth is what L2 counts: the section is level 1, each non-empty container
// inside adds one.
func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case *Object:
		if v.Len() == 0 {
			return 0
		}
		for _, e := range v.All() {
			deepest = max(deepest, depth(e))
		}
	case []any:
		if len(v) == 0 {
			return 0
		}
		for _, e := range v {
			deepest = max(deepest, depth(e))
		}
	default:
		return 0
	}
	return deepest + 1
}

// Apply makes the next document of an update (steps 7 to 10 of SHADOW 3). Prev
// is nil when there is none, and follows the version that the new document
// comes after: prev's, a tombstone's, or 0. Now is in seconds since the epoch.
// The error is always an *Error. An update that leaves a document over the
// size limit, but no larger than it was, passes: deletions always help (L1).
func Apply(prev *Document, follows int64, u Update, now int64, lim Limits) (*Document, error) {
	if u.Version != nil && *u.Version != follows { // V3, V8
		return nil, ErrVersionConflict
	}
	var d Document
	if prev != nil {
		d = *prev
	}
	next := MergeMeta(d, u.State, nil, now)
	if size := Size(next.State); size > lim.Size && size > Size(d.State) {
		return nil, tooLarge(size, lim.Size)
	}
	next.Version = follows + 1 // V1, V2
	return &next, nil
}
