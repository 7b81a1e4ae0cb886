// Package localshadow is the memory of the gateway: the shadow service and the
// one durable store under it.
//
// A Store is one Badger database behind a group committer: operations run one
// at a time in order of arrival, and one fsync serves all that wait. A Service
// keeps shadows in it as the AWS IoT Device Shadow service does (rule ids such
// as V7 or P4 are of that behaviour): versions, tombstones, the messages that
// follow a change. Observers are told of every committed change; the reconciler
// writes both sides of its sync record through Service.Sync.
//
// Everything exported may be used from many goroutines at once, but a Tx, a
// SyncTx and a Reader only inside the function that received them.
//
// What was answered (Update returned, acked was called, accepted was published)
// survives kill -9 and, with durability "sync", a power cut. With "1s" a power
// cut may lose the last second of it. A store that is damaged is renamed to
// store.bad-<n>, never deleted, and a fresh one takes its place.
package localshadow
