package advert

// miButton is an event: two bytes of a button's number, one of what it did.
const miButton = 0x1001

var miButtons = map[byte]string{0: "press", 1: "double_press", 2: "long_press", 3: "triple_press"}

// miLayouts are the objects of MiBeacon by type.
var miLayouts = map[uint16][]field{
	0x0003: {{name: "motion", size: 1, kind: flag}},
	0x000F: {{name: "motion", size: 1, kind: flag}, {name: "illuminance", unit: "lx", size: 3}},
	0x1004: {{name: "temperature", unit: "°C", size: 2, kind: signed, scale: "0.1"}},
	0x1006: {{name: "humidity", unit: "%", size: 2, scale: "0.1"}},
	0x1007: {{name: "illuminance", unit: "lx", size: 3}},
	0x1008: {{name: "moisture", unit: "%", size: 1}},
	0x1009: {{name: "conductivity", unit: "µS/cm", size: 2}},
	0x100A: {{name: "battery", unit: "%", size: 1}},
	0x100D: {
		{name: "temperature", unit: "°C", size: 2, kind: signed, scale: "0.1"},
		{name: "humidity", unit: "%", at: 2, size: 2, scale: "0.1"},
	},
	0x1010: {{name: "formaldehyde", unit: "mg/m³", size: 2, scale: "0.01"}},
	0x1012: {{name: "power_on", size: 1, kind: flag}},
	0x1014: {{name: "moisture_detected", size: 1, kind: flag}},
	0x1015: {{name: "smoke", size: 1, kind: flag}},
	0x1018: {{name: "light", size: 1, kind: flag}},
	0x1019: {{name: "opening", size: 1, kind: unless1}}, // 0 open, 1 closed, 2 left open
	0x4803: {{name: "battery", unit: "%", size: 1}},
	0x4A01: {{name: "battery_low", size: 1, kind: flag}},
	0x4C01: {{name: "temperature", unit: "°C", size: 4, kind: float}},
	0x4C02: {{name: "humidity", unit: "%", size: 1}},
	0x4C03: {{name: "battery", unit: "%", size: 1}},
	0x4C08: {{name: "humidity", unit: "%", size: 4, kind: float}},
}
