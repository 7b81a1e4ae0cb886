// Package access says who may do what, with no network.
//
// A Principal is one client as long as it is connected, or one request: a
// certificate, of the gateway's own CA or of another that a listener names, a
// user with a password, an access key, or anybody on a listener that asks
// nobody. A Policy is a policy document of AWS IoT, compiled once. An Access
// holds both and the rest: keys, tokens, what was issued and revoked, and what
// was refused.
//
// When a principal appears, its policies are bound to what their variables stand
// for, and conditions are decided: nothing that they ask about changes while a
// connection lasts. What is left of a decision is to compare text, for each
// message that is delivered too. What an Access decides by is one value that is
// replaced as a whole (state); a principal that sees another binds anew, so that
// every change reaches live connections at once.
//
// Records of the store below a/ hold what was issued, keys, hashes of tokens and
// policies that were put. Revocations are a file beside the CA: a store that is
// damaged and set aside must not bring a revoked device back. All of it is
// durable when the call that changed it returns; a power cut loses the list of
// what was refused, and up to ten minutes of the count of time.
//
// No certificate of this package depends on a right clock: a gateway has no
// battery-backed one, and boots in 1970 when the network is gone. Certificates
// are valid from a date before the first release on, and for so long that they
// outlive the hardware; what is to end earlier is revoked and not expired. Those
// of others are checked at the last good time while the clock is not set. What
// ends after a time, a key or a token, does so by the age of the store.
package access
