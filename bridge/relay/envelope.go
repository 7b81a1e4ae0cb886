package relay

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// Origin says which gateway an envelope comes from.
type Origin struct {
	Gateway string // the thing
	Boot    uint64 // counts the starts of the daemon
}

// wrap puts a payload into its envelope:
//
//	{"gateway":"gw-1","boot":7,"class":"event","seq":1234,"payload":{…}}
//
// A payload that is no JSON stands in "payload_base64" instead. Of one gateway,
// boot and seq of a class order its messages without any clock; a message that
// comes twice has the same seq twice.
func (o Origin) wrap(class string, seq uint64, payload []byte) []byte {
	dst := make([]byte, 0, len(payload)+len(o.Gateway)+len(class)+96)
	dst = append(dst, `{"gateway":`...)
	dst = strconv.AppendQuote(dst, o.Gateway) // names of things and classes: nothing to escape
	dst = append(dst, `,"boot":`...)
	dst = strconv.AppendUint(dst, o.Boot, 10)
	dst = append(dst, `,"class":`...)
	dst = strconv.AppendQuote(dst, class)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	if json.Valid(payload) {
		dst = append(dst, `,"payload":`...)
		dst = append(dst, payload...)
		return append(dst, '}')
	}
	dst = append(dst, `,"payload_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, payload)
	return append(dst, `"}`...)
}
