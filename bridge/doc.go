// Package bridge reconciles the local shadows with those of an upstream shadow
// service, AWS IoT Core or another edgeshadow.
//
// There is no queue of requests. Of each shadow the store holds the local
// document, the base (the cloud's document as last agreed) and the request in
// flight, if any; the one next message is computed from them when the link and
// the pacing allow it. So coalescing, order, retry and restart need no code of
// their own: ten thousand offline writes are one difference, and a restart is a
// link that was lost.
//
// The nouns: a record is what is stored of a shadow beside its local document
// (record.go); an event is a message of the cloud, classified by its place on
// the shadow's one number line (classify.go); a step is one transaction that
// takes an event in (apply.go) or decides the next message (decide.go). The
// engine (engine.go) is one goroutine that owns all of it; DESIGN.md has the map
// and the reasons.
//
// A power cut loses nothing: the intent to send is durable before the PUBLISH,
// and an event is acknowledged to the cloud after the step that took it in.
package bridge
