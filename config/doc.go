// Package config reads the configuration: the main file and conf.d/*.yaml
// beside it. It composes the Config that each package owns and knows none of
// their rules.
//
// A file becomes a tree of nodes with places (parse, convert), the trees become
// one (unite), the tree fills the structs (decode), and the packages validate
// what they got. Every mistake on the way is a Fault with its file, line and
// column; reading goes on after each, so that the operator sees all at once.
//
// Load keeps no state; it may run at any time, and from many goroutines.
package config
