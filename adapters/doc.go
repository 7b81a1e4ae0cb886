// Package adapters turns wired devices into things. It is the SOUTH of the
// gateway and knows no cloud, no broker and no store.
//
// A Thing of the configuration has Points; a Driver, one for each bus, reads
// them and emits Readings; the Supervisor runs the drivers, drops what lies
// within the deadband, groups what belongs to one shadow and hands it to the
// Sink. On the way down, Actuate takes the desired state of a thing, and the
// Supervisor has its driver write what differs from what the device holds and
// read it back: reported follows the device's word, never ours.
//
// A failed read is never a value: the last good one stays, and what is wrong is
// told in the named shadow "connectivity" of the thing:
//
//	{"online": true, "since": 1764000000, "last_seen": 1764000600,
//	 "quality": {"setpoint": "clamped"}, "refused": {"mode": "exception 3 (illegal data value)"},
//	 "counters": {"readings": 86400, "failed": 3, "writes": 2, "refused": 1, "outages": 1}}
//
// since and last_seen are Unix seconds of the gateway's clock, to inform;
// nothing is decided by them. quality names the points that are not good,
// refused the desired values that the device or its configuration refuses.
//
// Each thing has two goroutines, one that reports and one that writes, each bus
// has one. Emit and Actuate only store and nudge; they never block on a sink or
// a device. Nothing is kept over a power cut: after it the points are read and
// reported anew, and the gateway calls Actuate with what is still desired.
package adapters
