// Package bench holds benchmarks that compare parts of the gateway with the
// bare libraries under them, in one run and from one load generator: absolute
// figures are the machine's, ratios are ours.
package bench
