package config

import (
	"edgeshadow/bridge"
	"edgeshadow/bridge/upstream"
)

// Cloud is the uplink: the connection, and what it may cost.
type Cloud struct {
	upstream.Config `yaml:",inline"`
	Budget          Budget `yaml:"budget"`
}

// Budget is what the uplink may cost in a day; 0: as much as it likes.
type Budget struct {
	// PerDay is bytes of MQTT, both ways.
	PerDay Size `yaml:"per_day"`
	// ShadowOpsPerDay is requests of the reconciler.
	ShadowOpsPerDay int64 `yaml:"shadow_ops_per_day"`
}

func (c *Cloud) validate() []error {
	faults := c.Config.Validate()
	for _, err := range c.Budget.bridge().Validate() {
		faults = append(faults, located("budget", err))
	}
	return faults
}

func (b Budget) bridge() bridge.Budget {
	return bridge.Budget{BytesPerDay: int64(b.PerDay), OpsPerDay: b.ShadowOpsPerDay}
}

// Reconciler is what the reconciler needs: its section, and the budget of the
// connection.
func (c *Config) Reconciler() bridge.Config {
	out := c.Sync
	if c.Cloud != nil {
		out.Budget = c.Cloud.Budget.bridge()
	}
	return out
}
