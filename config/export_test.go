package config

// ThingOf and LoadOptional are exported for the tests.
var ThingOf = thingOf

func LoadOptional(path string) (*Config, error) { return load(path, true) }
