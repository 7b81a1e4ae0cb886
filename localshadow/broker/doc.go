// Package broker is the device gateway: MQTT listeners, the reserved topics,
// and the shadow topics, which are answered in process. It wraps mochi-mqtt,
// the one embeddable broker in Go that speaks MQTT 3.1.1 and 5, and closes its
// gaps: a connection's writes never block the publisher (conn.go), a packet
// that crashes the parser costs only its own connection (listener.go), and a
// PUBACK for a shadow request is sent when the change is on disk (request.go).
//
// Messages on shadow topics are state, which the shadow service keeps; sessions
// and retained messages live in memory and end with the process.
package broker
