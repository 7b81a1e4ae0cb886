package shadow_test

import (
	"fmt"
	"strings"
	"testing"

	"edgeshadow/localshadow/shadow"
)

// section is an object of so many members in groups of eight, each with a value
// that n makes.
func section(members, n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range members {
		switch {
		case i == 0:
			fmt.Fprintf(&b, `"group_%d":{`, i)
		case i%8 == 0:
			fmt.Fprintf(&b, `},"group_%d":{`, i)
		default:
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"point_%02d":%d.5`, i, n+i)
	}
	b.WriteString(`}}`)
	return b.String()
}

// The sizes are those of one sensor and of a document near the limit.
var sizes = []int{4, 64, 256}

func BenchmarkMerge(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := shadow.MergeMeta(shadow.Document{}, object(b, `{"reported":`+section(n, 1)+`}`), nil, 1)
			patch := object(b, `{"reported":{"group_0":{"point_01":7}}}`)
			for b.Loop() {
				shadow.MergeMeta(d, patch, nil, 2)
			}
		})
	}
}

func BenchmarkDelta(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := state(b, `{"desired":`+section(n, 1)+`,"reported":`+section(n, 1)+`}`)
			s = shadow.Merge(s, object(b, `{"reported":{"group_0":{"point_01":7}}}`))
			for b.Loop() {
				shadow.Delta(s)
			}
		})
	}
}

// BenchmarkReconcile merges an edit of each side, as after an outage.
func BenchmarkReconcile(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			base := stamped(b, `{"desired":`+section(n, 1)+`,"reported":`+section(n, 1)+`}`, 1)
			local := shadow.Merge(base.State, object(b, `{"reported":{"group_0":{"point_01":7}}}`))
			cloud := shadow.MergeMeta(base, object(b, `{"desired":{"group_0":{"point_02":8}}}`), nil, 2)
			for b.Loop() {
				shadow.Reconcile(base, local, cloud, deviceWins)
			}
		})
	}
}

func BenchmarkParseUpdate(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			payload := []byte(`{"state":{"reported":` + section(n, 1) + `}}`)
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				if _, err := shadow.ParseUpdate(payload, shadow.DefaultLimits()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
