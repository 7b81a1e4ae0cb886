// Package access says who may do what. So far it holds the gateway's own
// certification authority: made at the first start, with no network, so that
// devices and the gateway can know each other by certificate.
//
// No certificate of this package depends on a right clock: a gateway has no
// battery-backed one, and boots in 1970 when the network is gone. Certificates
// are valid from a date before the first release on, and for so long that they
// outlive the hardware; what is to end earlier is revoked and not expired.
package access
