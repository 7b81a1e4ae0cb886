// Package registry is what the gateway knows of things beside their shadows: a
// type, attributes, a version (SHADOW 22). Those of the configuration are shown
// with the others and changed only there. A shadow needs no entry, and outlives
// one (R9). A type may be described, and deprecated; a thing may also have one
// that nobody described.
//
// Entries are records of the store below r/: what is answered is on disk. What
// expires does so by the age of the store, the time that it was open, and never
// by the clock.
package registry
