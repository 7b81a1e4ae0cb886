// Package demo plays a whole site in one process, on free loopback ports and
// without hardware or an account: a "cloud" (a second edgeshadow), the gateway
// with an ordinary configuration, a simulated PLC that is a real Modbus TCP
// server, and a lamp, a wall panel and a cloud application that are real MQTT
// clients. It tells what happens as a timeline, cuts the uplink, heals it, and
// compares every shadow on both sides.
package demo
