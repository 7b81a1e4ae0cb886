package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// element is one of a list: its settings by their paths below it.
type element map[string]listed

// aligned is a setting of either side, at one path; was and is are empty where
// there is none.
type aligned struct {
	path    string
	was, is listed
}

// align pairs the settings of two configurations. Elements of lists are paired by
// what they say, for one that goes moves all that follow it.
func align(old, new map[string]listed) []aligned {
	was, oldLists := splitLists(old)
	is, newLists := splitLists(new)
	out := pair("", was, is)
	names := map[string]bool{}
	for name := range oldLists {
		names[name] = true
	}
	for name := range newLists {
		names[name] = true
	}
	for name := range names {
		a, b := oldLists[name], newLists[name]
		for _, at := range matches(a, b) {
			switch {
			case at[0] < 0:
				out = append(out, pair(fmt.Sprintf("%s[%d]", name, at[1]), nil, b[at[1]])...)
			case at[1] < 0:
				out = append(out, pair(fmt.Sprintf("%s[%d]", name, at[0]), a[at[0]], nil)...)
			default:
				out = append(out, pair(fmt.Sprintf("%s[%d]", name, at[1]), a[at[0]], b[at[1]])...)
			}
		}
	}
	slices.SortFunc(out, func(a, b aligned) int { return cmp.Compare(a.path, b.path) })
	return out
}

func pair(at string, was, is element) (out []aligned) {
	for path, a := range was {
		out = append(out, aligned{at + path, a, is[path]})
	}
	for path, b := range is {
		if _, both := was[path]; !both {
			out = append(out, aligned{at + path, listed{}, b})
		}
	}
	return out
}

// splitLists takes the elements of lists out of the settings, by the lists' paths.
func splitLists(all map[string]listed) (rest element, lists map[string][]element) {
	rest, lists = element{}, map[string][]element{}
	for path, l := range all {
		list, at, inside := strings.Cut(path, "[")
		n, below, closed := strings.Cut(at, "]")
		i, err := strconv.Atoi(n)
		if !inside || !closed || err != nil {
			rest[path] = l
			continue
		}
		for len(lists[list]) <= i {
			lists[list] = append(lists[list], element{})
		}
		lists[list][i][below] = l
	}
	return rest, lists
}

func (e element) equal(other element) bool {
	if len(e) != len(other) {
		return false
	}
	for path, l := range e {
		if o, there := other[path]; !there || o.Value != l.Value {
			return false
		}
	}
	return true
}

// matches pairs indices of two lists in their order, -1 for none: first the longest
// row of equal elements, then what lies between two of these one by one.
func matches(a, b []element) (out [][2]int) {
	// longest[i][j] is the length of that row in a[i:] and b[j:].
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if longest[i][j] = max(longest[i+1][j], longest[i][j+1]); a[i].equal(b[j]) {
				longest[i][j] = longest[i+1][j+1] + 1
			}
		}
	}
	i, j := 0, 0
	gap := func(toI, toJ int) {
		for ; i < toI || j < toJ; i, j = i+1, j+1 {
			at := [2]int{i, j}
			if i >= toI {
				at[0] = -1
			}
			if j >= toJ {
				at[1] = -1
			}
			out = append(out, at)
		}
		i, j = toI, toJ
	}
	for x, y := 0, 0; x < len(a) && y < len(b); {
		switch {
		case a[x].equal(b[y]):
			gap(x, y)
			x, y = x+1, y+1
			i, j = x, y
		case longest[x+1][y] >= longest[x][y+1]:
			x++
		default:
			y++
		}
	}
	gap(len(a), len(b))
	return out
}
