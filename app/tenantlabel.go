package app

import "sync"

// otherTenants is the label of all tenants beyond the limit.
const otherTenants = "other"

// tenantLabels decides which tenants metrics may name. The label is off unless the operator switches it on, and bounded
// then: each series costs memory here and in Prometheus, and a label value never goes away before a restart.
type tenantLabels struct {
	on    bool
	limit int

	mu    sync.Mutex
	named map[string]bool
}

func newTenantLabels(cfg TelemetryConfig) *tenantLabels {
	return &tenantLabels{on: cfg.TenantLabel, limit: cfg.TenantLimit, named: map[string]bool{}}
}

// label returns what to call a tenant, and false where tenants are not to be told apart. The first ones that a process meets
// get their names.
func (l *tenantLabels) label(tenantID string) (string, bool) {
	if !l.on {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.named[tenantID] {
		if len(l.named) >= l.limit {
			return otherTenants, true
		}
		l.named[tenantID] = true
	}
	return tenantID, true
}
