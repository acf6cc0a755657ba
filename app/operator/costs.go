package operator

import (
	"context"
	"time"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement"
)

// CostLine is what one tenant used one model for on one day (UTC).
type CostLine struct {
	TenantID string `json:"tenant_id"`
	enhancement.CostLine
}

// Costs is what models were used for.
type Costs struct {
	Since   time.Time  `json:"since"`
	Until   time.Time  `json:"until"`
	CostUSD float64    `json:"cost_usd" doc:"Sum of the lines, in US dollars at the prices of the day of each call"`
	Tokens  int64      `json:"tokens" doc:"Prompt and completion tokens of all lines"`
	Lines   []CostLine `json:"lines" doc:"By tenant, day (UTC) and model"`
}

// maxCostDays bounds the span: older calls went with their history.
const maxCostDays = 366

// Costs adds up the model calls of one tenant, or of all for an empty id. A zero since takes the last 30 days, a zero until now.
func (s *Service) Costs(ctx context.Context, tenantID string, since, until time.Time) (Costs, error) {
	now := s.deps.Clock().UTC()
	if until.IsZero() {
		until = now
	}
	if since.IsZero() {
		since = until.AddDate(0, 0, -29).Truncate(24 * time.Hour)
	}
	if !since.Before(until) || until.Sub(since) > maxCostDays*24*time.Hour {
		return Costs{}, fault.New(fault.Invalid, "the costs cannot be read as asked").
			WithDetails(map[string]string{"since": "must be before until, by at most 366 days"})
	}
	ids, err := s.chosen(ctx, tenantID, s.deps.Tenants.IDs)
	if err != nil {
		return Costs{}, err
	}
	lists, err := eachTenant(ctx, s, ids, func(ctx context.Context, id string) ([]enhancement.CostLine, error) {
		return s.deps.Figures.Costs(ctx, id, since, until)
	})
	if err != nil {
		return Costs{}, err
	}
	c := Costs{Since: since.UTC(), Until: until.UTC(), Lines: []CostLine{}}
	for i, list := range lists {
		for _, line := range list {
			line.Day = line.Day.UTC()
			c.Lines = append(c.Lines, CostLine{TenantID: ids[i], CostLine: line})
			c.CostUSD += line.CostUSD
			c.Tokens += line.PromptTokens + line.CompletionTokens
		}
	}
	return c, nil
}
