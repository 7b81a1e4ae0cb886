// Package relay takes messages on ordinary topics from the local broker to the
// cloud and back, by rules, one direction each.
//
// Upwards every message goes through a journal on disk, one for each class:
//
//	Take → journal (fsync, one for all that wait) → acknowledged locally
//	     → sent in order → PUBACK of the cloud → forgotten
//
// What Take acknowledged is sent at least once, in the order of its topic,
// through any loss of the link, kill or power cut, unless the class had to drop
// it, which is counted. A power cut may repeat messages: what the cloud
// acknowledged is noted without an fsync of its own. New messages may overtake
// older ones of other topics, so that what happens now is not behind the
// backlog of an outage.
//
// Downwards there is no journal: the cloud keeps a message until it was handed
// to the local broker.
//
// A journal is bounded in bytes and in age. Its clock is the time that it was
// open, summed over restarts: no wall clock decides what is too old, and a time
// without power makes nothing older.
//
// Take, Up, Down, Message, Stats and Prepare may be called at any time, from
// many goroutines.
package relay
