package serial

import (
	"encoding/hex"
	"fmt"
)

// unescape is text with \r \n \t \0 \\ and \xNN as the bytes that they mean, so
// that what is written in single quotes is what is meant.
func unescape(text string) ([]byte, error) {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		if i++; i == len(text) {
			return nil, fmt.Errorf(`a \ at the end; write \\ for one`)
		}
		switch text[i] {
		case 'r':
			out = append(out, '\r')
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case '0':
			out = append(out, 0)
		case '\\':
			out = append(out, '\\')
		case 'x':
			if i+2 >= len(text) {
				return nil, fmt.Errorf(`\x wants two hexadecimal digits`)
			}
			b, err := hex.DecodeString(text[i+1 : i+3])
			if err != nil {
				return nil, fmt.Errorf(`\x%s is no byte`, text[i+1:i+3])
			}
			out = append(out, b...)
			i += 2
		default:
			return nil, fmt.Errorf(`\%c is no escape; there are \r \n \t \0 \\ \xNN`, text[i])
		}
	}
	return out, nil
}
