//go:build race

package bridge_test

const many = 1_000 // the race detector is slow, and not about numbers
