package advert_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"edgeshadow/adapters/ble/advert"
)

func mustHex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// The packet vectors of RFC 3610, section 8: M = 8 and M = 10, headers of 8 and
// 12 bytes, texts that end at a block's end, before it and behind it.
func TestCCM_RFC3610(t *testing.T) {
	const sent = "C0C1C2C3C4C5C6C7C8C9CACBCCCDCECF"
	for name, v := range map[string]struct {
		nonce, header, text, sealed string
		tag                         int
	}{
		"1": {"00000003020100A0A1A2A3A4A5", "0001020304050607", "08090A0B0C0D0E0F101112131415161718191A1B1C1D1E",
			"588C979A61C663D2F066D0C2C0F989806D5F6B61DAC38417E8D12CFDF926E0", 8},
		"2": {"00000004030201A0A1A2A3A4A5", "0001020304050607", "08090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
			"72C91A36E135F8CF291CA894085C87E3CC15C439C9E43A3BA091D56E10400916", 8},
		"3": {"00000005040302A0A1A2A3A4A5", "0001020304050607", "08090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F20",
			"51B1E5F44A197D1DA46B0F8E2D282AE871E838BB64DA8596574ADAA76FBD9FB0C5", 8},
		"4": {"00000006050403A0A1A2A3A4A5", "000102030405060708090A0B", "0C0D0E0F101112131415161718191A1B1C1D1E",
			"A28C6865939A9A79FAAA5C4C2A9D4A91CDAC8C96C861B9C9E61EF1", 8},
		"7": {"00000009080706A0A1A2A3A4A5", "0001020304050607", "08090A0B0C0D0E0F101112131415161718191A1B1C1D1E",
			"0135D1B2C95F41D5D1D4FEC185D166B8094E999DFED96C048C56602C97ACBB7490", 10},
	} {
		got, err := advert.Open(mustHex(t, sent), mustHex(t, v.nonce), mustHex(t, v.header), mustHex(t, v.sealed), v.tag)
		if err != nil || !bytes.Equal(got, mustHex(t, v.text)) {
			t.Errorf("vector %s: %x, %v; want %s", name, got, err, v.text)
		}
		for i := range len(v.sealed) / 2 {
			bad := mustHex(t, v.sealed)
			bad[i] ^= 1
			if _, err := advert.Open(mustHex(t, sent), mustHex(t, v.nonce), mustHex(t, v.header), bad, v.tag); err == nil {
				t.Errorf("vector %s: one bit of byte %d is another, and nobody noticed", name, i)
			}
		}
	}
}
