// Package shadow is the pure algebra of device shadows: JSON values, documents,
// merge, delta, metadata, versions, the messages on the wire, topic names, and
// the three-way merge of two sides that both changed. It does no I/O and reads
// no clock. Rule ids (M2, D8, …) are those of the AWS IoT Device Shadow
// behaviour that it reproduces.
package shadow
