package enhancement

import "time"

// Config bounds a run.
type Config struct {
	// GatherTimeout is the budget of all sources together; each source has its own limit inside it.
	GatherTimeout time.Duration `yaml:"gather_timeout"`
	// SearchTimeout limits similar tickets, articles and the inventory, each.
	SearchTimeout time.Duration `yaml:"search_timeout"`
	// MonitoringTimeout limits the look at monitoring.
	MonitoringTimeout time.Duration `yaml:"monitoring_timeout"`
	// DocumentationTimeout limits the search in remote documentation.
	DocumentationTimeout time.Duration `yaml:"documentation_timeout"`
	// JobTimeout ends one attempt of a job. The product promises a note within 120 s where the other side answers in
	// time, so an attempt must not outlast that.
	JobTimeout time.Duration `yaml:"job_timeout"`
	// MaxAttempts is how often a run is tried before it fails visibly.
	MaxAttempts int `yaml:"max_attempts"`
	// GiveUpAfter is how long a run may wait for a desk or a limit before it fails visibly.
	GiveUpAfter time.Duration `yaml:"give_up_after"`
	// OrphanAfter is how old a pending row may be before it is checked for a living job.
	OrphanAfter time.Duration `yaml:"orphan_after"`
	// HistoryRetention is how long finished rows are kept, and with them the memory of their deliveries.
	HistoryRetention time.Duration `yaml:"history_retention"`
}

// DefaultConfig follows the product's promise of a note within 120 s.
func DefaultConfig() Config {
	return Config{
		GatherTimeout:     30 * time.Second,
		SearchTimeout:     10 * time.Second,
		MonitoringTimeout: 15 * time.Second,

		DocumentationTimeout: 10 * time.Second,
		JobTimeout:           115 * time.Second,
		MaxAttempts:          10,
		GiveUpAfter:          24 * time.Hour,
		OrphanAfter:          30 * time.Second,
		HistoryRetention:     90 * 24 * time.Hour,
	}
}

// Validate names every fault of the configuration.
func (c Config) Validate() []string {
	var faults []string
	positive := func(name string, d time.Duration) {
		if d <= 0 {
			faults = append(faults, "enhancement."+name+": must be above 0")
		}
	}
	positive("gather_timeout", c.GatherTimeout)
	positive("search_timeout", c.SearchTimeout)
	positive("monitoring_timeout", c.MonitoringTimeout)
	positive("documentation_timeout", c.DocumentationTimeout)
	positive("give_up_after", c.GiveUpAfter)
	positive("orphan_after", c.OrphanAfter)
	if c.HistoryRetention < 24*time.Hour {
		faults = append(faults, "enhancement.history_retention: must be 24h or more, it is the memory for duplicates")
	}
	if c.JobTimeout < c.GatherTimeout || c.JobTimeout > 10*time.Minute {
		faults = append(faults, "enhancement.job_timeout: must be between enhancement.gather_timeout and 10m")
	}
	if c.MaxAttempts < 1 || c.MaxAttempts > 100 {
		faults = append(faults, "enhancement.max_attempts: must be between 1 and 100")
	}
	return faults
}
