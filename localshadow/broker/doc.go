// Package broker is the device gateway: listeners, the reserved topics,
// and the shadow topics, which are answered in process. It wraps mochi-mqtt,
// the one embeddable broker in Go that speaks MQTT 3.1.1 and 5, and closes its
// gaps from outside:
//
//   - a peer that stops reading never delays a publisher (conn.go);
//   - every protocol (MQTT over TCP, TLS, WebSocket or a Unix socket, and HTTP)
//     comes in through listeners of our own, with the same gate, bounds and
//     certificates, which a reload swaps (listener.go, web.go, reload.go);
//   - a packet that crashes the parser costs only its own connection, and
//     accepting outlives a lack of file descriptors (listener.go);
//   - the two directions of a connection have packet ids of their own
//     (packet.go), and QoS 2 from clients is kept apart (exchange.go);
//   - a session belongs to one principal, is taken over by one connection at a
//     time, and is re-sent in order (session.go);
//   - a PUBACK for a shadow request means that the change is on disk (request.go).
//
// Which reserved topic is whose stands in one table, topic.go.
//
// A power cut loses what is in memory: sessions, retained messages and messages
// on ordinary topics. What a shadow request was acknowledged for is in the store.
package broker
