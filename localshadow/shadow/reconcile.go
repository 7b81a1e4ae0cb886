package shadow

import "strings"

// Side is one of the two places that hold a shadow.
type Side int

const (
	Cloud Side = iota + 1
	Local
)

func (s Side) String() string {
	switch s {
	case Cloud:
		return "cloud"
	case Local:
		return "local"
	default:
		return "none"
	}
}

// Policy says who wins a leaf that both sides changed. Newest, when set, is
// asked first; it returns 0 when the times decide nothing.
type Policy struct {
	Desired, Reported Side
	Newest            func(section string, path []string) Side
}

// Conflict is one value that both sides changed. Path is for people, for
// example "desired.speed". KeptAbsent and LostAbsent tell a removal from null.
type Conflict struct {
	Path                   string
	Winner                 Side
	Kept, Lost             any
	KeptAbsent, LostAbsent bool
}

// Reconcile merges three ways, leaf by leaf; arrays are leaves. Base is the
// cloud document last agreed, its Metadata the cloud's stamps of then; cloud is
// the document there now. A missing base is an empty one. A leaf of the cloud
// has changed when its value or its stamp differs from base's, so that a value
// set back is still a change. Result and conflicts are in a deterministic order.
func Reconcile(base Document, local State, cloud Document, p Policy) (State, []Conflict) {
	desired := merge3{policy: p, winner: p.Desired, path: []string{"desired"}}
	reported := merge3{policy: p, winner: p.Reported, path: []string{"reported"}}
	out := State{
		Desired: section(desired.objects(
			side{base.State.Desired, base.Metadata.Desired}, side{local.Desired, nil}, side{cloud.State.Desired, cloud.Metadata.Desired})),
		Reported: section(reported.objects(
			side{base.State.Reported, base.Metadata.Reported}, side{local.Reported, nil}, side{cloud.State.Reported, cloud.Metadata.Reported})),
	}
	return out, append(desired.conflicts, reported.conflicts...)
}

func section(o *Object) *Object {
	if o.Len() == 0 { // M5
		return nil
	}
	return o
}

// side is an object with its metadata as one side has it.
type side struct{ state, meta *Object }

// at is one member of a side.
func (s side) at(key string) member {
	v, ok := s.state.Get(key)
	m, _ := s.meta.Get(key)
	return member{value: v, meta: m, ok: ok}
}

type member struct {
	value, meta any
	ok          bool
}

func (m member) object() (side, bool) {
	o, ok := m.value.(*Object)
	meta, _ := m.meta.(*Object)
	return side{o, meta}, ok
}

func (m member) equal(n member) bool {
	return m.ok == n.ok && (!m.ok || Equal(m.value, n.value))
}

// unchanged is equal in value and in stamps.
func (m member) unchanged(n member) bool {
	return m.equal(n) && Equal(m.meta, n.meta)
}

// merge3 is the merge of one section.
type merge3 struct {
	policy    Policy
	winner    Side
	path      []string
	conflicts []Conflict
}

func (m *merge3) objects(base, local, cloud side) *Object {
	var b builder
	for key := range local.state.All() {
		m.member(&b, key, base.at(key), local.at(key), cloud.at(key))
	}
	for key := range cloud.state.All() {
		if _, done := local.state.Get(key); !done {
			m.member(&b, key, base.at(key), local.at(key), cloud.at(key))
		}
	}
	return b.object()
}

func (m *merge3) member(b *builder, key string, base, local, cloud member) {
	take := func(from member) {
		if from.ok {
			b.set(key, from.value)
		}
	}
	switch {
	case local.equal(cloud), cloud.unchanged(base):
		take(local)
		return
	case local.equal(base):
		take(cloud)
		return
	}
	m.path = append(m.path, key)
	defer func() { m.path = m.path[:len(m.path)-1] }()

	baseObject, baseIs := base.object()
	localObject, localIs := local.object()
	cloudObject, cloudIs := cloud.object()
	switch {
	case localIs && cloudIs:
		b.set(key, m.objects(baseObject, localObject, cloudObject))
	case baseIs && (localIs && !cloud.ok || cloudIs && !local.ok):
		if merged := m.objects(baseObject, localObject, cloudObject); merged.Len() > 0 {
			b.set(key, merged)
		}
	default:
		take(m.decide(local, cloud))
	}
}

// decide lets the policy choose, and records what was lost.
func (m *merge3) decide(local, cloud member) member {
	winner := m.winner
	if m.policy.Newest != nil {
		if s := m.policy.Newest(m.path[0], m.path[1:]); s != 0 {
			winner = s
		}
	}
	kept, lost := cloud, local
	if winner == Local {
		kept, lost = local, cloud
	}
	m.conflicts = append(m.conflicts, Conflict{
		Path: strings.Join(m.path, "."), Winner: winner,
		Kept: kept.value, KeptAbsent: !kept.ok,
		Lost: lost.value, LostAbsent: !lost.ok,
	})
	return kept
}

// Recognise moves base to target in each leaf where the cloud holds the target,
// so that an own write whose answer was lost is not taken for a foreign one.
func Recognise(base Document, target State, cloud Document) Document {
	out := base
	out.State.Desired, out.Metadata.Desired = recognise(
		side{base.State.Desired, base.Metadata.Desired}, target.Desired, side{cloud.State.Desired, cloud.Metadata.Desired})
	out.State.Reported, out.Metadata.Reported = recognise(
		side{base.State.Reported, base.Metadata.Reported}, target.Reported, side{cloud.State.Reported, cloud.Metadata.Reported})
	if out.State.Desired.Len() == 0 {
		out.State.Desired, out.Metadata.Desired = nil, nil
	}
	if out.State.Reported.Len() == 0 {
		out.State.Reported, out.Metadata.Reported = nil, nil
	}
	return out
}

func recognise(base side, target *Object, cloud side) (*Object, *Object) {
	var state, meta builder
	keep := func(key string, m member) {
		if m.ok {
			state.set(key, m.value)
			meta.set(key, m.meta)
		}
	}
	visit := func(key string) {
		t := side{target, nil}.at(key)
		b, c := base.at(key), cloud.at(key)
		baseObject, _ := b.object()
		targetObject, targetIs := t.object()
		cloudObject, cloudIs := c.object()
		switch {
		case t.equal(c):
			keep(key, c)
		case targetIs && cloudIs:
			s, m := recognise(baseObject, targetObject.state, cloudObject)
			if b.ok && baseObject.state == nil && s.Len() == 0 { // no leaf is ours: base stays what it was
				keep(key, b)
				return
			}
			keep(key, member{s, m, true})
		default:
			keep(key, b)
		}
	}
	for key := range base.state.All() {
		visit(key)
	}
	for key := range target.All() {
		if _, done := base.state.Get(key); !done {
			visit(key)
		}
	}
	return state.object(), meta.object()
}

// CloudDeleted decides what stays of a shadow that the cloud deleted: nothing,
// unless the device changed reported since base, which then stays whole, without
// desired: deleting a shadow in the cloud is how commands are cancelled.
func CloudDeleted(base Document, local State) (stays State, keep bool, conflicts []Conflict) {
	lost := lostLeaves("desired", base.State.Desired, local.Desired, Cloud)
	if local.Reported.Len() > 0 && !Equal(local.Reported, nonNil(base.State.Reported)) {
		kept := Conflict{Path: "reported", Winner: Local, Kept: local.Reported, LostAbsent: true}
		return State{Reported: local.Reported}, true, append(lost, kept)
	}
	return State{}, false, lost
}

// LocalDeleted decides what stays of a shadow that was deleted locally: nothing,
// unless the cloud changed desired since base, which then stays whole: a
// command that nobody executed must not vanish.
func LocalDeleted(base Document, cloud Document) (stays State, keep bool, conflicts []Conflict) {
	was := member{nonNil(base.State.Desired), nonNil(base.Metadata.Desired), true}
	is := member{nonNil(cloud.State.Desired), nonNil(cloud.Metadata.Desired), true}
	if cloud.State.Desired.Len() == 0 || is.unchanged(was) {
		return State{}, false, nil
	}
	kept := Conflict{Path: "desired", Winner: Cloud, Kept: cloud.State.Desired, LostAbsent: true}
	return State{Desired: cloud.State.Desired}, true, []Conflict{kept}
}

func nonNil(o *Object) *Object {
	if o == nil {
		return &Object{}
	}
	return o
}

// lostLeaves is a conflict for each top-level member of a section that was
// edited since base and is gone now.
func lostLeaves(name string, base, edited *Object, winner Side) []Conflict {
	var out []Conflict
	for key, v := range edited.All() {
		if was, ok := base.Get(key); !ok || !Equal(was, v) {
			out = append(out, Conflict{Path: name + "." + key, Winner: winner, KeptAbsent: true, Lost: v})
		}
	}
	return out
}
