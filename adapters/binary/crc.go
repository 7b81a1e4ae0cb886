package binary

// CRC16Modbus is the CRC-16 of Modbus (Modbus over serial line V1.02, appendix B).
func CRC16Modbus(data []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, b := range data {
		sum ^= uint16(b)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ 0xA001
			} else {
				sum >>= 1
			}
		}
	}
	return sum
}
