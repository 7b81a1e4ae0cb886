package config

const notAvailable = "not available in this version"

// unavailable are the keys of the configuration, by shape, that a later
// version reads. They are refused and not skipped: who writes them counts on them.
var unavailable = map[string]bool{
	"things.*.template": true,
}
