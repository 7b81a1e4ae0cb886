// Package upstream is the connection to AWS IoT Core or to another edgeshadow:
// one MQTT connection that is made, watched, and made again. It wraps paho, the
// client library that runs against AWS IoT.
//
// An epoch is the life of one connection. Each has a paho client of its own,
// because paho's own reconnecting reports messages as done that no broker
// acknowledged. The order within an epoch: connect, SUBSCRIBE to every filter
// and check each SUBACK, Handler.Up, messages, Handler.Down. What a kept session
// replays before the last SUBACK is handed over before Up, so that who asks
// something in Up knows the answers that were waiting; the rest of a replay
// follows, and everything comes in the order of its arrival. An epoch that does
// not get as far as Up has no Down.
//
// The link lives as long as the other side is heard: paho asks after KeepAlive
// without traffic, and the connection under it (link.go) ends when nothing came
// for one and a half of that, when a write takes too long, or when a PUBACK is
// missing. A power cut loses nothing of what was handed over: a message that was
// not acknowledged comes again, and a publish that did not return nil is its
// caller's to repeat.
//
// AWS IoT Core is met as it is (SHADOW 27): mutual TLS on 8883, on 443 with
// ALPN, or a WebSocket that is signed with AWS credentials; 8 filters in a
// SUBSCRIBE; a pace for what is sent; and a Pool of connections where one has
// not subscriptions enough. Prepare swaps settings and credentials in the
// session that there is, so that a reload loses no message.
package upstream
