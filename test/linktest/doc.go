// Package linktest is a link with knobs on it: a TCP proxy that stands between
// a gateway and its cloud, and can be cut, refused, stalled, made to swallow
// what passes, and healed. It knows no protocol.
//
// One knob is turned at a time; each takes the place of the one before it. All
// of it may be used from many goroutines.
package linktest
