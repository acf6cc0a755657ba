package operator

import (
	"context"
	"fmt"
	"time"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement"
	"aiagents/modules/notifier"
	"aiagents/modules/tenant"
)

// tenantPart is one tenant's share of an overview.
type tenantPart struct {
	line   TenantLine
	series []enhancement.Interval
	storms []Storm
}

// What makes a tenant failing: a share of failures among the finished runs, a last run that failed, or a run that waits for
// longer than any healthy one takes.
const (
	failingShare   = 0.1
	pendingTooLong = 10 * time.Minute
)

// TenantStatus is one tenant over a window. NotFound when there is no such tenant.
func (s *Service) TenantStatus(ctx context.Context, id string, w Window) (TenantStatus, error) {
	now := s.deps.Clock()
	since, until, _, err := w.span(now)
	if err != nil {
		return TenantStatus{}, err
	}
	t, err := s.deps.Tenants.Fresh(ctx, id)
	if err != nil {
		return TenantStatus{}, err
	}
	p := s.readTenant(ctx, tenant.Listing{
		ID: t.ID, Name: t.Name, Edition: t.Edition, ServiceDeskURL: t.ServiceDeskURL, DisabledAt: t.DisabledAt, HasAPIKey: t.APIKey.IsSet(),
	}, w, now)
	status := TenantStatus{TenantLine: p.line, Window: w, Since: since, Until: until, Storms: p.storms}
	status.Series, _, _ = points(p.series)
	return status, nil
}

// readTenant never fails: a tenant that cannot be read is shown as such.
func (s *Service) readTenant(ctx context.Context, l tenant.Listing, w Window, now time.Time) tenantPart {
	p := tenantPart{line: TenantLine{ID: l.ID, Name: l.Name, Edition: l.Edition}, storms: []Storm{}}
	since, until, step, err := w.span(now)
	var stats enhancement.Statistics
	var desk notifier.ConnectionState
	var storms []enhancement.StormGroup
	if err == nil {
		stats, err = s.deps.Figures.Statistics(ctx, l.ID, since, until, step)
	}
	if err == nil {
		desk, err = s.deps.Desks.ConnectionState(ctx, l.ID)
	}
	if err == nil && recently(stats, now) {
		storms, err = s.deps.Figures.Storms(ctx, l.ID)
	}
	if err != nil {
		p.line.State, p.line.Reason, p.line.Next = Unknown, "It cannot be read: "+publicText(err), "Try again; when it stays, run 'aiagents doctor'."
		return p
	}
	p.series = stats.Series
	_, p.line.Counts, p.line.Rates = points(stats.Series)
	p.line.Backlog, p.line.OldestPendingAt, p.line.LastNoteAt = stats.Pending, stats.OldestPending, stats.LastNoteAt
	for _, g := range storms {
		p.storms = append(p.storms, Storm{TenantID: l.ID, StormGroup: g})
	}
	p.line.State, p.line.Reason, p.line.Next = judge(l, stats, desk, p.line, now)
	return p
}

// recently spares tenants without new tickets the look for storms.
func recently(stats enhancement.Statistics, now time.Time) bool {
	for i := len(stats.Series) - 1; i >= 0; i-- {
		in := stats.Series[i]
		if len(in.Outcomes) > 0 {
			return true
		}
		if now.Sub(in.Start) > time.Hour {
			break
		}
	}
	return false
}

// judge says how a tenant stands, why, and what to do, the cause before its effects.
func judge(l tenant.Listing, stats enhancement.Statistics, desk notifier.ConnectionState, line TenantLine, now time.Time) (state State, reason, next string) {
	retry := fmt.Sprintf("See 'aiagents enhancement list --tenant %s --status failed'; run them again when the cause is gone.", l.ID)
	switch {
	case l.DisabledAt != nil:
		return Disabled, "Disabled since " + stamp(*l.DisabledAt) + ": its webhooks are refused.", "Enable it when it shall be served again."
	case !l.HasAPIKey:
		return Failing, "It has no key for its service desk yet, so no note can be written.", "Set the key, then test the connection."
	case desk.Paused:
		return Paused, "Paused since " + stamp(desk.Since) + ": " + desk.Reason + ". Its notes wait.", Advice("DESK_UNAUTHORIZED")
	}
	if stats.OldestPending != nil && now.Sub(*stats.OldestPending) > pendingTooLong {
		reason = fmt.Sprintf("A ticket waits for its note since %s", stamp(*stats.OldestPending))
		if stats.PendingError != "" {
			return Failing, reason + ": " + stats.PendingError + ".", "See the run, and what it waits for."
		}
		return Failing, reason + ".", "See whether workers are alive and keep up."
	}
	c := line.Counts
	finished := c.Note + c.FactsOnly + c.Failed
	lastFailed := stats.Last != nil && stats.Last.Outcome == "failed"
	if c.Failed > 0 && (lastFailed || float64(c.Failed) >= failingShare*float64(finished)) {
		reason = fmt.Sprintf("%d of %d runs failed", c.Failed, finished)
		if lastFailed {
			if advice := Advice(stats.Last.ErrorCode); advice != "" {
				retry = advice
			}
			return Failing, reason + "; the last one: " + stats.Last.Error + ".", retry
		}
		return Failing, reason + ".", retry
	}
	return OK, "", ""
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// publicText is the part of an error that may be shown.
func publicText(err error) string {
	if f, ok := asFault(err); ok && f.Kind != fault.Internal {
		return f.Message
	}
	return "an internal error"
}

// points turns intervals into what is shown, with the sum of all.
func points(series []enhancement.Interval) ([]Point, Counts, Rates) {
	list := make([]Point, len(series))
	var total Counts
	all := enhancement.Durations{}
	for i, in := range series {
		c := countsOf(in)
		list[i] = Point{Start: in.Start, Counts: c, Rates: ratesOf(c, in.Durations)}
		total = total.plus(c)
		all.Add(in.Durations)
	}
	return list, total, ratesOf(total, all)
}

func countsOf(in enhancement.Interval) Counts {
	o := in.Outcomes
	c := Counts{
		Note: o["note"], FactsOnly: o["facts_only"], Skipped: o["skipped"], Failed: o["failed"], Pending: o[""],
	}
	c.Received = c.Note + c.FactsOnly + c.Skipped + c.Failed + c.Pending
	return c
}

func (c Counts) plus(d Counts) Counts {
	return Counts{
		Received: c.Received + d.Received, Note: c.Note + d.Note, FactsOnly: c.FactsOnly + d.FactsOnly, Skipped: c.Skipped + d.Skipped,
		Failed: c.Failed + d.Failed, Pending: c.Pending + d.Pending,
	}
}

func ratesOf(c Counts, d enhancement.Durations) (r Rates) {
	if finished := c.Note + c.FactsOnly + c.Failed; finished > 0 {
		share := float64(c.Note+c.FactsOnly) / float64(finished)
		r.Success = &share
	}
	if d.Count() > 0 {
		p50, p95 := d.Percentile(0.5).Milliseconds(), d.Percentile(0.95).Milliseconds()
		r.P50Ms, r.P95Ms = &p50, &p95
	}
	return r
}

func emptySeries(since, until time.Time, step time.Duration) (series []enhancement.Interval) {
	for at := since; at.Before(until); at = at.Add(step) {
		series = append(series, enhancement.Interval{Start: at, Outcomes: map[string]int{}, Durations: enhancement.Durations{}})
	}
	return series
}

// addIntervals adds a tenant's series to one with the same intervals.
func addIntervals(total, part []enhancement.Interval) {
	for i, in := range part {
		for outcome, n := range in.Outcomes {
			total[i].Outcomes[outcome] += n
		}
		total[i].Durations.Add(in.Durations)
	}
}
