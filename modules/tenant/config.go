package tenant

import "time"

// MinAuditRetention is the shortest time that audit entries are kept; the table's own policy refuses to delete earlier.
const MinAuditRetention = 90 * 24 * time.Hour

// Config is the operator's part of the configuration.
type Config struct {
	// AllowHTTP lets a service desk's URL be plain http. It follows the environment: production refuses it.
	AllowHTTP bool `yaml:"-"`
	// CacheTTL is how long a tenant's configuration is kept in memory when nothing changes.
	CacheTTL time.Duration `yaml:"cache_ttl"`
	// AuditRetention is how long audit entries are kept, 90 days or more.
	AuditRetention time.Duration `yaml:"audit_retention"`
}

// DefaultConfig is https only, 5 minutes of cache and 90 days of audit log.
func DefaultConfig() Config {
	return Config{CacheTTL: 5 * time.Minute, AuditRetention: MinAuditRetention}
}

// Validate names every fault of the configuration.
func (c Config) Validate() []string {
	var faults []string
	if c.CacheTTL <= 0 || c.CacheTTL > time.Hour {
		faults = append(faults, "tenant.cache_ttl: must be more than 0 and at most 1h")
	}
	if c.AuditRetention < MinAuditRetention {
		faults = append(faults, "tenant.audit_retention: must be 2160h (90 days) or more")
	}
	return faults
}
