package shadow

// What the real service does in these cases is not known. Each choice stands
// here alone, so that it can be switched when a capture shows it.
const (
	// Text after a complete request document is ignored, as one report of 2018
	// shows ({..}},"version":1} was accepted and the version ignored).
	ignoreTrailing = true
	// An object all of whose members are null is not inserted (M3b).
	insertEmptied = false
)
