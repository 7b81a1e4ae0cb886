package advert

// The objects of BTHome that are no fields of a fixed length.
const (
	bthomePacket = 0x00
	bthomeButton = 0x3A
	bthomeDimmer = 0x3C
	bthomeText   = 0x53
	bthomeRaw    = 0x54
)

// bthomeButtons and bthomeDimmers are events; 0 is none.
var (
	bthomeButtons = map[byte]string{
		1: "press", 2: "double_press", 3: "triple_press", 4: "long_press",
		5: "long_double_press", 6: "long_triple_press", 0x80: "hold_press",
	}
	bthomeDimmers = map[byte]string{1: "rotate_left", 2: "rotate_right"}
)

// bthomeObjects are the objects of BTHome v2 by id (bthome.io/format). Two of
// one quantity in different units are given in one: kg, m, L.
var bthomeObjects = map[byte]field{
	0x01: {name: "battery", unit: "%", size: 1},
	0x02: {name: "temperature", unit: "°C", size: 2, kind: signed, scale: "0.01"},
	0x03: {name: "humidity", unit: "%", size: 2, scale: "0.01"},
	0x04: {name: "pressure", unit: "hPa", size: 3, scale: "0.01"},
	0x05: {name: "illuminance", unit: "lx", size: 3, scale: "0.01"},
	0x06: {name: "mass", unit: "kg", size: 2, scale: "0.01"},
	0x07: {name: "mass", unit: "kg", size: 2, scale: "0.0045359237"}, // 0.01 lb
	0x08: {name: "dewpoint", unit: "°C", size: 2, kind: signed, scale: "0.01"},
	0x09: {name: "count", size: 1},
	0x0A: {name: "energy", unit: "kWh", size: 3, scale: "0.001"},
	0x0B: {name: "power", unit: "W", size: 3, scale: "0.01"},
	0x0C: {name: "voltage", unit: "V", size: 2, scale: "0.001"},
	0x0D: {name: "pm2_5", unit: "µg/m³", size: 2},
	0x0E: {name: "pm10", unit: "µg/m³", size: 2},
	0x0F: {name: "generic_boolean", size: 1, kind: flag},
	0x10: {name: "power_on", size: 1, kind: flag},
	0x11: {name: "opening", size: 1, kind: flag},
	0x12: {name: "co2", unit: "ppm", size: 2},
	0x13: {name: "tvoc", unit: "µg/m³", size: 2},
	0x14: {name: "moisture", unit: "%", size: 2, scale: "0.01"},
	0x15: {name: "battery_low", size: 1, kind: flag},
	0x16: {name: "battery_charging", size: 1, kind: flag},
	0x17: {name: "carbon_monoxide", size: 1, kind: flag},
	0x18: {name: "cold", size: 1, kind: flag},
	0x19: {name: "connectivity", size: 1, kind: flag},
	0x1A: {name: "door", size: 1, kind: flag},
	0x1B: {name: "garage_door", size: 1, kind: flag},
	0x1C: {name: "gas_detected", size: 1, kind: flag},
	0x1D: {name: "heat", size: 1, kind: flag},
	0x1E: {name: "light", size: 1, kind: flag},
	0x1F: {name: "lock", size: 1, kind: flag},
	0x20: {name: "moisture_detected", size: 1, kind: flag},
	0x21: {name: "motion", size: 1, kind: flag},
	0x22: {name: "moving", size: 1, kind: flag},
	0x23: {name: "occupancy", size: 1, kind: flag},
	0x24: {name: "plug", size: 1, kind: flag},
	0x25: {name: "presence", size: 1, kind: flag},
	0x26: {name: "problem", size: 1, kind: flag},
	0x27: {name: "running", size: 1, kind: flag},
	0x28: {name: "safety", size: 1, kind: flag},
	0x29: {name: "smoke", size: 1, kind: flag},
	0x2A: {name: "sound", size: 1, kind: flag},
	0x2B: {name: "tamper", size: 1, kind: flag},
	0x2C: {name: "vibration", size: 1, kind: flag},
	0x2D: {name: "window", size: 1, kind: flag},
	0x2E: {name: "humidity", unit: "%", size: 1},
	0x2F: {name: "moisture", unit: "%", size: 1},
	0x3D: {name: "count", size: 2},
	0x3E: {name: "count", size: 4},
	0x3F: {name: "rotation", unit: "°", size: 2, kind: signed, scale: "0.1"},
	0x40: {name: "distance", unit: "m", size: 2, scale: "0.001"},
	0x41: {name: "distance", unit: "m", size: 2, scale: "0.1"},
	0x42: {name: "duration", unit: "s", size: 3, scale: "0.001"},
	0x43: {name: "current", unit: "A", size: 2, scale: "0.001"},
	0x44: {name: "speed", unit: "m/s", size: 2, scale: "0.01"},
	0x45: {name: "temperature", unit: "°C", size: 2, kind: signed, scale: "0.1"},
	0x46: {name: "uv_index", size: 1, scale: "0.1"},
	0x47: {name: "volume", unit: "L", size: 2, scale: "0.1"},
	0x48: {name: "volume", unit: "L", size: 2, scale: "0.001"},
	0x49: {name: "volume_flow_rate", unit: "m³/h", size: 2, scale: "0.001"},
	0x4A: {name: "voltage", unit: "V", size: 2, scale: "0.1"},
	0x4B: {name: "gas", unit: "m³", size: 3, scale: "0.001"},
	0x4C: {name: "gas", unit: "m³", size: 4, scale: "0.001"},
	0x4D: {name: "energy", unit: "kWh", size: 4, scale: "0.001"},
	0x4E: {name: "volume", unit: "L", size: 4, scale: "0.001"},
	0x4F: {name: "water", unit: "L", size: 4, scale: "0.001"},
	0x50: {name: "timestamp", unit: "s", size: 4},
	0x51: {name: "acceleration", unit: "m/s²", size: 2, scale: "0.001"},
	0x52: {name: "gyroscope", unit: "°/s", size: 2, scale: "0.001"},
	0x55: {name: "volume_storage", unit: "L", size: 4, scale: "0.001"},
	0x56: {name: "conductivity", unit: "µS/cm", size: 2},
	0x57: {name: "temperature", unit: "°C", size: 1, kind: signed},
	0x58: {name: "temperature", unit: "°C", size: 1, kind: signed, scale: "0.35"},
	0x59: {name: "count", size: 1, kind: signed},
	0x5A: {name: "count", size: 2, kind: signed},
	0x5B: {name: "count", size: 4, kind: signed},
	0x5C: {name: "power", unit: "W", size: 4, kind: signed, scale: "0.01"},
	0x5D: {name: "current", unit: "A", size: 2, kind: signed, scale: "0.001"},
	0x5E: {name: "direction", unit: "°", size: 2, scale: "0.01"},
	0x5F: {name: "precipitation", unit: "mm", size: 2, scale: "0.1"},
	0x60: {name: "channel", size: 1},
	0x61: {name: "rotational_speed", unit: "rpm", size: 2},
	0x62: {name: "speed", unit: "m/s", size: 4, kind: signed, scale: "0.000001"},
	0x63: {name: "acceleration", unit: "m/s²", size: 4, kind: signed, scale: "0.000001"},
	0x64: {name: "light_level", size: 1},
	0xF0: {name: "device_type", size: 2, quiet: true},
	0xF1: {name: "firmware_version", size: 4, kind: version},
	0xF2: {name: "firmware_version", size: 3, kind: version},
}
