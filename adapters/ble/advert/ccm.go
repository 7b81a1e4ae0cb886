package advert

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
)

// errCCM is a message that was not made with this key, nonce and header.
var errCCM = errors.New("authentication failed")

// open decrypts and verifies a message of AES-CCM (RFC 3610). The last tag
// bytes of sealed are its authentication value, 4 to 16 and even; the nonce has
// 7 to 13 bytes, the key 16, the header at most 65279.
func open(key, nonce, header, sealed []byte, tag int) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil || len(sealed) < tag || len(nonce) < 7 || len(nonce) > 13 {
		return nil, errCCM
	}
	text := make([]byte, len(sealed)-tag)

	// A_i: flags, nonce, counter. A_0 hides the tag, A_1 and on the text.
	var counter, pad [aes.BlockSize]byte
	counter[0] = byte(14 - len(nonce))
	copy(counter[1:], nonce)
	block.Encrypt(pad[:], counter[:])
	given := make([]byte, tag)
	subtle.XORBytes(given, sealed[len(text):], pad[:tag])
	for at := 0; at < len(text); at += aes.BlockSize {
		for i := len(counter) - 1; i > len(nonce); i-- {
			if counter[i]++; counter[i] != 0 {
				break
			}
		}
		block.Encrypt(pad[:], counter[:])
		subtle.XORBytes(text[at:], sealed[at:len(text)], pad[:])
	}

	// B_0: flags, nonce, length; then the header and the text, CBC-MAC.
	var mac [aes.BlockSize]byte
	mac[0] = byte(tag-2)/2<<3 | byte(14-len(nonce))
	if len(header) > 0 {
		mac[0] |= 0x40
	}
	copy(mac[1:], nonce)
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(text)))
	copy(mac[1+len(nonce):], length[8-(15-len(nonce)):])
	block.Encrypt(mac[:], mac[:])
	if len(header) > 0 {
		absorb(block.Encrypt, &mac, append(binary.BigEndian.AppendUint16(nil, uint16(len(header))), header...))
	}
	absorb(block.Encrypt, &mac, text)
	if subtle.ConstantTimeCompare(given, mac[:tag]) != 1 {
		return nil, errCCM
	}
	return text, nil
}

// absorb takes data, padded with zeros to whole blocks, into a CBC-MAC.
func absorb(encrypt func(dst, src []byte), mac *[aes.BlockSize]byte, data []byte) {
	for len(data) > 0 {
		n := subtle.XORBytes(mac[:], mac[:], data)
		data = data[n:]
		encrypt(mac[:], mac[:])
	}
}
