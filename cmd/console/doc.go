// Package console is the operator's window: an HTTP API on a Unix socket, with
// /metrics and /healthz, and the Client of it that the commands use. It looks at
// a Gateway, which is the consumer's view of cmd/gateway, and changes shadows,
// the registry, and who may come in.
package console
