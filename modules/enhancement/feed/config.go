package feed

import (
	"fmt"
	"time"
)

// Config sets how fresh our copies are. An interval of 0 switches its feed off.
type Config struct {
	// ReconcileInterval is how often tickets are looked for whose webhook never came.
	ReconcileInterval time.Duration `yaml:"reconcile_interval"`
	// ReconcileWindow is how far behind the newest known ticket each look begins.
	ReconcileWindow time.Duration `yaml:"reconcile_window"`
	// ReconcileGrace is how old a ticket must be before its webhook is taken for lost.
	ReconcileGrace time.Duration `yaml:"reconcile_grace"`
	// ReconcileMaxAge is the age beyond which a ticket gets no note any more, however long we were away.
	ReconcileMaxAge time.Duration `yaml:"reconcile_max_age"`
	// TicketsInterval is how often solved tickets are fetched.
	TicketsInterval time.Duration `yaml:"tickets_interval"`
	// TicketsOverlap is how far behind the last known update each look begins: a desk may show changes late.
	TicketsOverlap time.Duration `yaml:"tickets_overlap"`
	// FirstSync is how far back the first look goes when nobody asked for more.
	FirstSync time.Duration `yaml:"first_sync"`
	// SolutionsInterval is how often the desk's articles are mirrored.
	SolutionsInterval time.Duration `yaml:"solutions_interval"`
	// AssetsInterval is how often the assets of desks are mirrored whose tenants want it.
	AssetsInterval time.Duration `yaml:"assets_interval"`
	// ParallelTenants is how many tenants are fed at once.
	ParallelTenants int `yaml:"parallel_tenants"`
}

// DefaultConfig reconciles every 2 minutes, fetches tickets every 15 minutes, from 90 days back at first, and solutions and
// assets every 6 hours.
func DefaultConfig() Config {
	return Config{
		ReconcileInterval: 2 * time.Minute, ReconcileWindow: 30 * time.Minute,
		ReconcileGrace: time.Minute, ReconcileMaxAge: 24 * time.Hour,
		TicketsInterval: 15 * time.Minute, TicketsOverlap: 10 * time.Minute, FirstSync: 90 * 24 * time.Hour,
		SolutionsInterval: 6 * time.Hour, AssetsInterval: 6 * time.Hour, ParallelTenants: 4,
	}
}

// Validate names every fault of the configuration.
func (c Config) Validate() []string {
	var faults []string
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, "feed."+fmt.Sprintf(format, args...))
		}
	}
	for name, interval := range map[string]time.Duration{
		"reconcile_interval": c.ReconcileInterval, "tickets_interval": c.TicketsInterval, "solutions_interval": c.SolutionsInterval,
		"assets_interval": c.AssetsInterval,
	} {
		need(interval == 0 || interval >= minInterval, "%s: must be 0 (off) or at least %s", name, minInterval)
	}
	need(c.ReconcileGrace >= 0, "reconcile_grace: must be 0 or more")
	// What is too young in one look must be in the next.
	need(c.ReconcileWindow >= c.ReconcileGrace+c.ReconcileInterval,
		"reconcile_window: must be at least reconcile_grace and reconcile_interval together")
	need(c.ReconcileMaxAge >= c.ReconcileWindow, "reconcile_max_age: must be at least reconcile_window")
	need(c.TicketsOverlap >= 0, "tickets_overlap: must be 0 or more")
	need(c.FirstSync > 0, "first_sync: must be more than 0")
	need(c.ParallelTenants >= 1 && c.ParallelTenants <= 64, "parallel_tenants: must be 1 to 64")
	return faults
}

// minInterval spares the desks.
const minInterval = 10 * time.Second
