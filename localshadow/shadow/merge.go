package shadow

// Merge applies a patch, shaped as Update.State, to s (M1 to M9).
func Merge(s State, patch any) State {
	return MergeMeta(Document{State: s}, patch, nil, 0).State
}

// MergeMeta applies a patch to a document and keeps the metadata in step: only
// leaves that the patch names get a new stamp (T2). Stamps come from meta, a
// value of the patch's shape with Timestamp leaves, where it has one, and are
// now elsewhere. The version stays.
func MergeMeta(d Document, patch, meta any, now int64) Document {
	if patch == nil { // M9
		d.State, d.Metadata = State{}, State{}
		return d
	}
	o := patch.(*Object)
	m := merger{now: Timestamp(now)}
	stamps, _ := meta.(*Object)
	d.State.Desired, d.Metadata.Desired = m.section(d.State.Desired, d.Metadata.Desired, o, stamps, "desired")
	d.State.Reported, d.Metadata.Reported = m.section(d.State.Reported, d.Metadata.Reported, o, stamps, "reported")
	return d
}

type merger struct{ now Timestamp }

func (m merger) section(old, oldMeta, patch, stamps *Object, name string) (*Object, *Object) {
	v, ok := patch.Get(name)
	if !ok {
		return old, oldMeta
	}
	section, ok := v.(*Object)
	if !ok { // null: M8
		return nil, nil
	}
	s, _ := stamps.Get(name)
	state, meta := m.object(old, oldMeta, section, s)
	if state.Len() == 0 { // M5
		return nil, nil
	}
	return state, meta
}

// object merges patch into old, member by member.
func (m merger) object(old, oldMeta, patch *Object, stamps any) (*Object, *Object) {
	if patch.Len() == 0 && old != nil { // {} onto an object changes nothing (M7)
		return old, oldMeta
	}
	state, meta := edit(old), edit(oldMeta)
	var removed map[string]bool
	stampObject, _ := stamps.(*Object)
	for key, v := range patch.All() {
		stamp, _ := stampObject.Get(key)
		switch v := v.(type) {
		case nil: // M2, M3, T3
			if state.find(key) >= 0 {
				if removed == nil {
					removed = map[string]bool{}
				}
				removed[key] = true
			}
		case *Object:
			var was, wasMeta *Object
			if i := state.find(key); i >= 0 {
				was, _ = state.members[i].Value.(*Object)
			}
			if i := meta.find(key); i >= 0 && was != nil {
				wasMeta, _ = meta.members[i].Value.(*Object)
			}
			next, nextMeta := m.object(was, wasMeta, v, stamp)
			if was == nil && next.Len() == 0 && v.Len() > 0 && !insertEmptied { // M3b
				if state.find(key) >= 0 { // but what was there is replaced
					state.set(key, next)
					meta.set(key, nextMeta)
				}
				continue
			}
			state.set(key, next)
			meta.set(key, nextMeta)
		default: // M4, M6
			state.set(key, v)
			meta.set(key, m.leaf(v, stamp))
		}
	}
	return state.without(removed), meta.without(removed)
}

// leaf is the metadata of an array or a scalar (T1).
func (m merger) leaf(v, stamp any) any {
	switch v := v.(type) {
	case []any:
		stamps, _ := stamp.([]any)
		out := make([]any, len(v))
		for i, e := range v {
			var s any
			if i < len(stamps) {
				s = stamps[i]
			}
			out[i] = m.leaf(e, s)
		}
		return out
	case *Object:
		stamps, _ := stamp.(*Object)
		var b builder
		for k, e := range v.All() {
			s, _ := stamps.Get(k)
			b.set(k, m.leaf(e, s))
		}
		return b.object()
	default:
		if t, ok := stamp.(Timestamp); ok {
			return t
		}
		return m.now
	}
}

// without finishes the builder, leaving out the removed keys.
func (b *builder) without(removed map[string]bool) *Object {
	if len(removed) > 0 {
		kept := b.members[:0]
		for _, mb := range b.members {
			if !removed[mb.Key] {
				kept = append(kept, mb)
			}
		}
		clear(b.members[len(kept):])
		b.members, b.index = kept, nil
	}
	return b.object()
}
