package config

func (c *Config) faults() []Fault { return nil }
