// Package doctor examines the machine, the configuration and the way to the
// cloud, step by step, and says of each step whether it is well and what would
// cure it. It needs no running daemon, and disturbs one only when it is told to.
package doctor
