// Package sdk runs the clients of AWS, unmodified, against the real binary:
// device SDK v1 and v2 for JavaScript over mutual TLS and WebSocket, and the
// data plane of SDK v3 over HTTPS. "npm ci" in this folder installs them.
package sdk
