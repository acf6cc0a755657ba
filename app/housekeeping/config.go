package housekeeping

import "time"

// Config says how long things are kept that no module keeps by itself, and whether the canary sings.
type Config struct {
	// InventoryRetention is how long a retired host stays in the inventory and is said to be retired.
	InventoryRetention time.Duration `yaml:"inventory_retention"`
	// CompletedJobs, CancelledJobs and DiscardedJobs are how long River's own rows are kept. Our history does not need them.
	CompletedJobs time.Duration `yaml:"completed_jobs"`
	CancelledJobs time.Duration `yaml:"cancelled_jobs"`
	DiscardedJobs time.Duration `yaml:"discarded_jobs"`
	// Canary sends one synthetic webhook a minute through the whole system.
	Canary bool `yaml:"canary"`
}

// DefaultConfig keeps retired hosts for 180 days, completed and cancelled jobs for one, discarded ones for seven.
func DefaultConfig() Config {
	const day = 24 * time.Hour
	return Config{InventoryRetention: 180 * day, CompletedJobs: day, CancelledJobs: day, DiscardedJobs: 7 * day}
}

// Validate names every fault of the configuration.
func (c Config) Validate() []string {
	var faults []string
	least := func(name string, d, min time.Duration, text string) {
		if d < min {
			faults = append(faults, "housekeeping."+name+": must be "+text+" or more")
		}
	}
	least("inventory_retention", c.InventoryRetention, 24*time.Hour, "24h")
	least("completed_jobs", c.CompletedJobs, 10*time.Minute, "10m")
	least("cancelled_jobs", c.CancelledJobs, 10*time.Minute, "10m")
	least("discarded_jobs", c.DiscardedJobs, time.Hour, "1h")
	return faults
}
