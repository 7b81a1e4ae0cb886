//go:build !race

package bridge_test

const many = 10_000 // shadows
