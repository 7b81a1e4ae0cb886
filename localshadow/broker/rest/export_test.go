package rest

// ParsePath is what a path asks for.
func ParsePath(path string) (methods int, name string, ok bool) {
	r, ok := parsePath(path)
	return len(r.methods), r.name, ok
}
