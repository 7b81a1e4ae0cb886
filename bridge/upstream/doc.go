// Package upstream is the connection to AWS IoT Core or to another edgeshadow:
// one MQTT connection that is made, watched, and made again. It wraps paho, the
// client library that runs against AWS IoT, and uses one paho client for each
// epoch, the life of one connection: paho's own reconnecting reports messages
// as done that no broker acknowledged.
//
// The order within an epoch: connect, SUBSCRIBE to every filter and check each
// SUBACK, Handler.Up, then messages in the order of their arrival (those that a
// kept session replayed before the SUBACK included), then Handler.Down.
package upstream
