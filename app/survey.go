package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aiagents/modules/notifier"
)

// surveyEvery is how often the tenants are gone through.
const surveyEvery = time.Minute

var (
	surveyedAt = prometheus.NewDesc("aiagents_survey_last_success_timestamp_seconds",
		"When all tenants were last gone through, for their number, budgets, paused desks and unsettled notes. One worker does it for all.", nil, nil)
	tenantsKnown     = prometheus.NewDesc("aiagents_tenants", "Tenants by state (enabled, disabled).", []string{"state"}, nil)
	notesUnsettled   = prometheus.NewDesc("aiagents_notes_unsettled", "Notes of the last day of which nobody knows whether the desk has them, although their request must be over.", nil, nil)
	notesUnsettledAt = prometheus.NewDesc("aiagents_notes_unsettled_oldest_age_seconds", "Age of the oldest note of unknown fate; 0 when there is none.", nil, nil)
	desksPaused      = prometheus.NewDesc("aiagents_desks_paused", "Tenants whose desk refused our credentials, so that their notes wait.", nil, nil)
	budgetsExceeded  = prometheus.NewDesc("aiagents_budget_exceeded_tenants", "Tenants that have used up their daily tokens, so that their notes are facts-only.", nil, nil)
	budgetHighest    = prometheus.NewDesc("aiagents_budget_highest_used_ratio", "Share of its daily tokens that the busiest tenant with a budget has used.", nil, nil)
	tenantBudget     = prometheus.NewDesc("aiagents_tenant_budget_used_ratio", "Share of its daily tokens that a tenant has used. Needs telemetry.tenant_label.", []string{"tenant_id"}, nil)
	tenantPaused     = prometheus.NewDesc("aiagents_tenant_desk_paused", "1 while the tenant's desk refuses our credentials. Needs telemetry.tenant_label.", []string{"tenant_id"}, nil)
)

// survey reports what only a look at every tenant can tell. The tenants are separated in the database, so it is one small
// transaction a tenant; one worker does it for all, the first by name of those alive, and a scrape never waits for it.
type survey struct {
	system *system
	leads  func() bool
	labels *tenantLabels
	logger *slog.Logger

	mu   sync.Mutex
	last *surveyed // nil while another worker leads
}

// surveyed is the result of one look at all tenants.
type surveyed struct {
	at                time.Time
	enabled, disabled int
	paused, exceeded  int
	highest           float64
	unsettled         notifier.Unsettled
	budgets, pauses   map[string]float64 // by label
}

// run surveys until ctx ends, for the first time once the heartbeat can have told who leads.
func (s *survey) run(ctx context.Context, first time.Duration) {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "tenants could not be surveyed", "error", err)
		}
		timer.Reset(surveyEvery)
	}
}

// look goes through the tenants if this worker leads. A tenant that cannot be read leaves the last result standing, whose
// age tells.
func (s *survey) look(ctx context.Context) error {
	if !s.leads() {
		s.keep(nil)
		return nil
	}
	ids, err := s.system.tenants.IDs(ctx)
	if err != nil {
		return fmt.Errorf("list tenants: %w", err)
	}
	r := &surveyed{at: time.Now(), budgets: map[string]float64{}, pauses: map[string]float64{}}
	var all error
	for _, id := range ids {
		if err := s.tenant(ctx, id, r); err != nil {
			all = errors.Join(all, fmt.Errorf("survey %s: %w", id, err))
		}
	}
	if all == nil {
		s.keep(r)
	}
	return all
}

func (s *survey) tenant(ctx context.Context, id string, r *surveyed) error {
	t, err := s.system.tenants.Get(ctx, id)
	if err != nil {
		return err
	}
	if t.Disabled() {
		r.disabled++
		return nil
	}
	r.enabled++
	unsettled, err := s.system.notes.Unsettled(ctx, id)
	if err != nil {
		return err
	}
	r.unsettled.Notes += unsettled.Notes
	r.unsettled.Oldest = max(r.unsettled.Oldest, unsettled.Oldest)
	connection, err := s.system.notes.ConnectionState(ctx, id)
	if err != nil {
		return err
	}
	if connection.Paused {
		r.paused++
	}
	used := 0.0
	if budget := t.Preferences.DailyTokenBudget; budget > 0 {
		tokens, err := s.system.enhancements.TokensToday(ctx, id)
		if err != nil {
			return err
		}
		if used = float64(tokens) / float64(budget); used >= 1 {
			r.exceeded++
		}
		r.highest = max(r.highest, used)
	}
	if label, on := s.labels.label(id); on {
		r.budgets[label] = max(r.budgets[label], used)
		r.pauses[label] = max(r.pauses[label], is(connection.Paused))
	}
	return nil
}

func (s *survey) keep(r *surveyed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = r
}

// Describe implements prometheus.Collector.
func (s *survey) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		surveyedAt, tenantsKnown, notesUnsettled, notesUnsettledAt, desksPaused, budgetsExceeded, budgetHighest, tenantBudget, tenantPaused,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *survey) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	r := s.last
	s.mu.Unlock()
	if r == nil {
		return
	}
	gauge(ch, surveyedAt, float64(r.at.Unix()))
	gauge(ch, tenantsKnown, float64(r.enabled), "enabled")
	gauge(ch, tenantsKnown, float64(r.disabled), "disabled")
	gauge(ch, notesUnsettled, float64(r.unsettled.Notes))
	gauge(ch, notesUnsettledAt, r.unsettled.Oldest.Seconds())
	gauge(ch, desksPaused, float64(r.paused))
	gauge(ch, budgetsExceeded, float64(r.exceeded))
	gauge(ch, budgetHighest, r.highest)
	for label, used := range r.budgets {
		gauge(ch, tenantBudget, used, label)
	}
	for label, paused := range r.pauses {
		gauge(ch, tenantPaused, paused, label)
	}
}
