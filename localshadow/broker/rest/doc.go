// Package rest is the HTTP side of the device gateway: the data plane of AWS
// IoT as SHADOW 13, 14 and 19 have it. It answers shadow requests, lists named
// shadows, publishes messages, reads retained ones and disconnects clients. The
// service is the one that answers over MQTT, so what changes here shows there.
//
// The broker owns the connections, their bounds and the question who asks
// (broker.PrincipalOf); an API is the Handler that it is given. Other routes
// are mounted beside these as API.Other.
package rest
