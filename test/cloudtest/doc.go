// Package cloudtest is a stand-in for the shadow service of AWS IoT Core, with
// knobs that make it, and the link to it, behave badly. It is written on plain
// maps, from the documented behaviour, and shares no code with the gateway's own
// shadow service, so that a fault of that shows.
//
// A Cloud holds the shadows. A Link is one client's connection to it: it is what
// the reconciler publishes on, and it calls the reconciler's Up, Down and
// Message, one at a time, as the real connection does.
package cloudtest
