package config

import "edgeshadow/bridge/relay"

// Size is a number of bytes, written with its unit: 64MiB. One reading serves
// every section.
type Size = relay.Size
