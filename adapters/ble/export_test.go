package ble

// MaxSeen is how many devices are remembered.
const MaxSeen = maxSeen
