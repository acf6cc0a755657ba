package enhancement

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"golang.org/x/sync/errgroup"

	"aiagents/internal/fault"
	"aiagents/modules/enhancement/evidence"
)

// sourceNames are the gatherers, as reports, metrics and traces call them.
var sourceNames = []string{"similar_tickets", "knowledge", "inventory", "monitoring", "documentation"}

// source is one gatherer: what it is called, how long it may take, and how it looks. It fills only its own part of a
// bundle, so that a source that comes too late can be left behind with it.
type source struct {
	name  string
	limit time.Duration
	find  func(ctx context.Context) (part evidence.Bundle, found int, err error)
}

// gather asks every source side by side. It never fails: a source that does is reported as such, and the note says so.
func (m *Module) gather(ctx context.Context, tenantID string, t evidence.Ticket) evidence.Bundle {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.GatherTimeout)
	defer cancel()
	sources := m.sources(tenantID, t)
	parts := make([]evidence.Bundle, len(sources))
	reports := make([]evidence.SourceReport, len(sources))
	var group errgroup.Group
	for i, s := range sources {
		group.Go(func() error {
			parts[i], reports[i] = m.ask(ctx, s)
			return nil
		})
	}
	var storm *evidence.Storm
	group.Go(func() (err error) {
		ctx, span := m.deps.Tracer.Start(ctx, "gather recent_tickets")
		defer span.End()
		if storm, err = m.storm(ctx, tenantID, t); err != nil {
			m.deps.Logger.WarnContext(ctx, "recent tickets could not be compared", "error", err)
		}
		return nil
	})
	// Sources tell their faults in their reports; the group only waits.
	_ = group.Wait()
	b := evidence.Bundle{Ticket: t, Sources: reports, Storm: storm}
	for _, part := range parts {
		merge(&b, part)
	}
	return b
}

// sources lists the gatherers in the order in which the note reports them. Monitoring waits for the inventory, which
// tells it the hosts to look at.
func (m *Module) sources(tenantID string, t evidence.Ticket) []source {
	hosts := make(chan []evidence.System, 1)
	return []source{
		{name: "similar_tickets", limit: m.cfg.SearchTimeout, find: func(ctx context.Context) (evidence.Bundle, int, error) {
			found, err := m.deps.Similar.SimilarTickets(ctx, tenantID, t)
			return evidence.Bundle{Similar: found}, len(found), err
		}},
		{name: "knowledge", limit: m.cfg.SearchTimeout, find: func(ctx context.Context) (evidence.Bundle, int, error) {
			found, err := m.deps.Articles.Articles(ctx, tenantID, t)
			return evidence.Bundle{Articles: found}, len(found), err
		}},
		{name: "inventory", limit: m.cfg.SearchTimeout, find: func(ctx context.Context) (evidence.Bundle, int, error) {
			found, err := m.deps.Systems.Lookup(ctx, tenantID, t.Text())
			hosts <- found
			return evidence.Bundle{Systems: found}, len(found), err
		}},
		{name: "monitoring", limit: m.cfg.GatherTimeout, find: func(ctx context.Context) (evidence.Bundle, int, error) {
			found, err := m.observe(ctx, tenantID, t, hosts)
			return evidence.Bundle{Monitoring: found}, len(found), err
		}},
		{name: "documentation", limit: m.cfg.DocumentationTimeout, find: func(ctx context.Context) (evidence.Bundle, int, error) {
			found, err := m.deps.Documents.Documents(ctx, tenantID, t)
			return evidence.Bundle{Articles: found}, len(found), err
		}},
	}
}

func (m *Module) observe(ctx context.Context, tenantID string, t evidence.Ticket, hosts <-chan []evidence.System) ([]evidence.Observation, error) {
	var known []evidence.System
	select {
	case known = <-hosts:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, m.cfg.MonitoringTimeout)
	defer cancel()
	at := t.CreatedAt
	if at.IsZero() {
		at = m.deps.Clock()
	}
	return m.deps.Monitoring.Observe(ctx, tenantID, known, at)
}

// ask runs one source within its limit and writes its report. One that ignores its deadline is left behind: its part goes
// into a channel that nobody reads any more.
func (m *Module) ask(ctx context.Context, s source) (evidence.Bundle, evidence.SourceReport) {
	ctx, span := m.deps.Tracer.Start(ctx, "gather "+s.name)
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	type result struct {
		part  evidence.Bundle
		found int
		err   error
	}
	start := time.Now()
	done := make(chan result, 1)
	go func() {
		part, found, err := s.find(ctx)
		done <- result{part, found, err}
	}()
	var res result
	select {
	case res = <-done:
	case <-ctx.Done():
		res.err = ctx.Err()
	}
	report := evidence.SourceReport{Name: s.name, Found: res.found, Duration: time.Since(start)}
	report.Outcome, report.Reason = outcomeOf(res.found, res.err)
	if report.Outcome == evidence.Failed || report.Outcome == evidence.TimedOut {
		m.deps.Logger.WarnContext(ctx, "a source of context failed", "source", s.name, "outcome", string(report.Outcome), "error", res.err)
	}
	span.SetAttributes(attribute.String("outcome", string(report.Outcome)), attribute.Int("found", res.found))
	if report.Outcome == evidence.Failed || report.Outcome == evidence.TimedOut {
		span.SetStatus(codes.Error, string(report.Outcome))
	}
	m.metrics.source.WithLabelValues(s.name, string(report.Outcome)).Inc()
	m.metrics.stage.WithLabelValues("gather_" + s.name).Observe(report.Duration.Seconds())
	return res.part, report
}

// merge takes over the part that a source has filled.
func merge(into *evidence.Bundle, part evidence.Bundle) {
	if part.Similar != nil {
		into.Similar = part.Similar
	}
	// Two sources find articles: the tenant's own come first.
	into.Articles = append(into.Articles, part.Articles...)
	if part.Systems != nil {
		into.Systems = part.Systems
	}
	if part.Monitoring != nil {
		into.Monitoring = part.Monitoring
	}
}

func outcomeOf(found int, err error) (evidence.Outcome, string) {
	var f *fault.Error
	switch {
	case err == nil && found > 0:
		return evidence.Found, ""
	case err == nil:
		return evidence.Nothing, ""
	case errors.Is(err, ErrNotConfigured):
		return evidence.NotConfigured, ""
	case errors.Is(err, context.DeadlineExceeded):
		return evidence.TimedOut, "no answer within the time limit"
	case errors.As(err, &f):
		return evidence.Failed, f.Message
	}
	return evidence.Failed, "an internal error"
}
