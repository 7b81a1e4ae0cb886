package config

import (
	"iter"
	"slices"
)

// didYouMean is the hint for a word that is not among those known: the nearest
// of them, or "" when none is near enough to be what was meant.
func didYouMean(word string, known iter.Seq[string]) string {
	if near := nearest(word, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// nearest is the known word that word was most likely meant to be, or "". One
// slip in three characters passes for a slip; more is another word.
func nearest(word string, known iter.Seq[string]) string {
	best, within := "", len([]rune(word))/3+1
	for _, k := range slices.Sorted(known) {
		if d := distance(word, k); d < within || d == within && best == "" && d < len([]rune(k)) {
			best, within = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
