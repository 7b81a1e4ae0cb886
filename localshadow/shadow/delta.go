package shadow

// Delta is what desired has and reported lacks or has otherwise (D1 to D7), nil
// when there is nothing.
func Delta(s State) *Object {
	d, _ := delta(s.Desired, s.Reported)
	return d
}

func delta(desired, reported *Object) (*Object, bool) {
	var b builder
	for key, want := range desired.All() {
		have, ok := reported.Get(key)
		if !ok { // D3 included: {} is wanted where nothing is
			b.set(key, want)
			continue
		}
		w, isObject := want.(*Object)
		h, isObjectToo := have.(*Object)
		if isObject && isObjectToo {
			if inner, any := delta(w, h); any {
				b.set(key, inner)
			}
		} else if !Equal(want, have) {
			b.set(key, want)
		}
	}
	if len(b.members) == 0 {
		return nil, false
	}
	return b.object(), true
}

// restrict is the part of meta at the paths of shape (T5).
func restrict(meta, shape *Object) *Object {
	var b builder
	for key, v := range shape.All() {
		m, ok := meta.Get(key)
		if !ok {
			continue
		}
		inner, isObject := v.(*Object)
		innerMeta, isObjectToo := m.(*Object)
		if isObject && isObjectToo {
			b.set(key, restrict(innerMeta, inner))
		} else {
			b.set(key, m)
		}
	}
	return b.object()
}

// Diff is the patch that turns from into to, with null for each removal; nil
// when they are equal. Merge(from, Diff(from, to)) equals to.
func Diff(from, to State) *Object {
	var b builder
	for _, s := range []struct {
		name     string
		from, to *Object
	}{{"desired", from.Desired, to.Desired}, {"reported", from.Reported, to.Reported}} {
		switch {
		case s.to.Len() == 0 && s.from.Len() > 0:
			b.set(s.name, nil)
		case s.to.Len() > 0:
			if d := diff(s.from, s.to); d != nil {
				b.set(s.name, d)
			}
		}
	}
	if len(b.members) == 0 {
		return nil
	}
	return b.object()
}

// diff is the patch between two objects, nil when they are equal.
func diff(from, to *Object) *Object {
	var b builder
	for key := range from.All() {
		if _, ok := to.Get(key); !ok {
			b.set(key, nil)
		}
	}
	for key, w := range to.All() {
		v, ok := from.Get(key)
		if !ok {
			b.set(key, w)
			continue
		}
		inner, isObject := v.(*Object)
		innerTo, isObjectToo := w.(*Object)
		switch {
		case isObject && isObjectToo:
			if d := diff(inner, innerTo); d != nil {
				b.set(key, d)
			}
		case !Equal(v, w):
			b.set(key, w)
		}
	}
	if len(b.members) == 0 {
		return nil
	}
	return b.object()
}
