package webhook

import "time"

// Config bounds what a sender may ask of us.
type Config struct {
	// MaxBodyBytes is the largest body that is read; a larger one answers 413.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// AddressPerSecond and AddressBurst bound all requests of one client address, before any work is done for them.
	AddressPerSecond float64 `yaml:"address_per_second"`
	AddressBurst     int     `yaml:"address_burst"`
	// FailureCost is how many requests a refused credential counts for, so that guessing runs dry first.
	FailureCost int `yaml:"failure_cost"`
	// TenantPerSecond and TenantBurst bound the authentic requests of one tenant.
	TenantPerSecond float64 `yaml:"tenant_per_second"`
	TenantBurst     int     `yaml:"tenant_burst"`
	// TimestampTolerance is how far a Standard Webhooks timestamp may be off, either way.
	TimestampTolerance time.Duration `yaml:"timestamp_tolerance"`
}

// DefaultConfig takes ten times the peak of a large MSP without refusing anything.
func DefaultConfig() Config {
	return Config{
		MaxBodyBytes:       64 << 10,
		AddressPerSecond:   1000,
		AddressBurst:       10000,
		FailureCost:        2,
		TenantPerSecond:    1000,
		TenantBurst:        10000,
		TimestampTolerance: 5 * time.Minute,
	}
}

// Validate names every fault of the configuration.
func (c Config) Validate() []string {
	var faults []string
	if c.MaxBodyBytes < 1<<10 || c.MaxBodyBytes > 1<<20 {
		faults = append(faults, "webhook.max_body_bytes: must be between 1024 and 1048576")
	}
	if c.AddressPerSecond <= 0 || c.AddressBurst < 1 {
		faults = append(faults, "webhook.address_per_second and webhook.address_burst: must be above 0")
	}
	if c.TenantPerSecond <= 0 || c.TenantBurst < 1 {
		faults = append(faults, "webhook.tenant_per_second and webhook.tenant_burst: must be above 0")
	}
	if c.FailureCost < 1 {
		faults = append(faults, "webhook.failure_cost: must be 1 or more")
	}
	if c.TimestampTolerance < time.Second || c.TimestampTolerance > time.Hour {
		faults = append(faults, "webhook.timestamp_tolerance: must be between 1s and 1h")
	}
	return faults
}
