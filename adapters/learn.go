package adapters

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxLearned is how many points a device may make: what it sends is a
	// stranger's, and a shadow holds 8 KB.
	maxLearned = 64
	// maxPath bounds the name of a learned point, and of each of its levels.
	maxPath = 128
	// maxText bounds the text of a value, in bytes.
	maxText = 1024
)

// learn makes a point of a reading of one that is not configured. It is nil
// when the thing does not learn, or not this. t.mu is held.
func (t *thing) learn(r Reading) *point {
	if !t.cfg.Learns || !r.Quality.HasValue() || t.learned >= maxLearned || !t.mayLearn(r.Path) {
		return nil
	}
	t.learned++
	p := t.newPoint(r.Path, Point{})
	t.points[r.Path] = p
	return p
}

// mayLearn says whether path names a place in a shadow that no other point is
// above or below of.
func (t *thing) mayLearn(path string) bool {
	levels := strings.Split(path, ".")
	if len(path) > maxPath || len(levels) > maxLevels || slices.Contains(levels, "") || !printable(path) {
		return false
	}
	for other := range t.points {
		if strings.HasPrefix(other, path+".") || strings.HasPrefix(path, other+".") {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F }) < 0
}

// bounded is a reading that a shadow can hold: a value that it can't has
// quality bad.
func bounded(r Reading) Reading {
	if !r.Quality.HasValue() {
		r.Value = nil
		return r
	}
	ok := false
	switch v := r.Value.(type) {
	case bool:
		ok = true
	case string:
		ok = len(v) <= maxText && utf8.ValidString(v)
	case json.Number:
		_, err := rational(v)
		ok = err == nil && json.Valid([]byte(v))
	}
	if !ok {
		r.Value, r.Quality = nil, Bad
	}
	return r
}
