// Package broker is the device gateway: listeners, the reserved topics, the
// shadow topics, which are answered in process, and ordinary MQTT 3.1.1 and 5.
//
// It wraps mochi-mqtt, of which it uses what a connection needs: the life of a
// client from CONNECT to its end, and reading packets. All that lasts longer or
// concerns several clients is its own, because mochi's hooks come too late to
// mend it: one space of packet ids for both directions, messages in random
// order after a reconnect, flow control that stalls, wills without properties,
// expiry by the wall clock, and a lock that one stalled client holds against
// all.
//
//	conn.go       a peer that stops reading never delays a publisher
//	listener.go   every protocol (MQTT over TCP, TLS, WebSocket or a Unix socket,
//	web.go        and HTTP) comes in with the same gate, bounds and certificates,
//	reload.go     which a reload swaps; a packet that crashes the parser costs only
//	              its own connection, and accepting outlives a lack of file
//	              descriptors
//	packet.go     what a client may send, and what mochi is let see of it
//	publish.go    a message to its subscribers; a PUBACK for a shadow request
//	              means that the change is on disk
//	filters.go    which subscriptions match a topic
//	session.go    what a client id has, with or without a connection
//	queue.go      messages of QoS 1 and 2 on their way to a client
//	keeper.go     what the store keeps of that
//	events.go     lifecycle events, which cost a look-up when nobody subscribes
//	post.go       messages that come over HTTP: the API is package rest
//
// Which reserved topic is whose stands in one table, topic.go.
//
// A PUBACK or PUBREC means that the message can't be lost any more: each session
// that lasts and is to get it has acknowledged it, or the store has it; so have
// SUBACK, UNSUBACK and CONNACK of such a session, and retained messages. Kill -9
// and a power cut lose what was not acknowledged, and what only sessions have
// that end with their connection. No clock is compared with that of another run:
// a session that is to expire counts anew after a restart, and a message has the
// rest of its time.
package broker
