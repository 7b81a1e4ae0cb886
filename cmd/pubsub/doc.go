// Package pubsub is the MQTT client of the commands pub, sub and pubsub: one
// connection to any broker, that ends with an error where it ends. The uplink's
// (bridge/upstream) is made to come back by itself and to hide all that; here
// the acknowledgement, the message and the loss are what one wants to see.
package pubsub
