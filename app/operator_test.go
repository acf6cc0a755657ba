package app

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"aiagents/app/operator"
	"aiagents/internal/fault"
	"aiagents/internal/simulator/openai"
	"aiagents/internal/simulator/servicedesk"
)

func TestAnOperatorSeesWhatHappened(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withModel(openai.Options{Respond: repeatEvidence}))
	acme, other := h.tenant("acme", nil, nil), h.tenant("other", nil, nil)
	id := acme.file(servicedesk.Ticket{Subject: "VPN error 809", Description: "Cannot connect from home since this morning"})
	acme.note(id)
	acme.settled()
	s := h.p.system.operator

	o, err := s.Overview(t.Context(), operator.Hour)
	require.NoError(t, err)
	require.Len(t, o.Series, 60)
	require.Equal(t, 1, o.Counts.Received)
	require.InDelta(t, 1, *o.Rates.Success, 0)
	require.Positive(t, *o.Rates.P95Ms)
	require.Equal(t, 1, o.WorkersAlive)
	require.Empty(t, o.Problems)
	require.Len(t, o.Tenants, 2)
	require.Equal(t, operator.OK, o.Tenants[0].State, o.Tenants[0].Reason)

	page, err := s.Enhancements(t.Context(), operator.EnhancementFilter{TenantID: "acme"})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Empty(t, page.NextCursor)
	none, err := s.Enhancements(t.Context(), operator.EnhancementFilter{TenantID: other.id})
	require.NoError(t, err)
	require.Empty(t, none.Items)

	d, err := s.Enhancement(t.Context(), "", page.Items[0].ID)
	require.NoError(t, err)
	names := map[string]bool{}
	for _, step := range d.Timeline {
		names[step.Name] = true
	}
	for _, name := range []string{"received", "queue", "gather", "similar_tickets", "monitoring", "model", "post", "finished"} {
		require.True(t, names[name], "%s is missing in %v", name, d.Timeline)
	}
	_, err = s.Enhancement(t.Context(), other.id, page.Items[0].ID)
	require.True(t, fault.Is(err, fault.NotFound))
	_, err = s.Enhancement(t.Context(), "", uuid.New())
	require.True(t, fault.Is(err, fault.NotFound))

	require.NoError(t, s.Retry(t.Context(), "admin:192.0.2.7", "acme", page.Items[0].ID))
	acme.settled()
	audit, err := s.Audit(t.Context(), operator.AuditFilter{Actor: "admin"})
	require.NoError(t, err)
	require.Len(t, audit.Items, 1)
	require.Equal(t, "enhancement.retry", audit.Items[0].Action)
	require.Equal(t, "admin:192.0.2.7", audit.Items[0].Actor)

	costs, err := s.Costs(t.Context(), "", time.Time{}, time.Time{})
	require.NoError(t, err)
	for _, line := range costs.Lines {
		require.Equal(t, "acme", line.TenantID)
	}
	workers, err := s.Workers(t.Context())
	require.NoError(t, err)
	require.Len(t, workers, 1)
	queue, err := s.Queue(t.Context())
	require.NoError(t, err)
	require.Len(t, queue, 4)
	report, err := s.TestConnection(t.Context(), "acme")
	require.NoError(t, err)
	require.True(t, report.OK, report.Checks)
	status, err := s.TenantStatus(t.Context(), "acme", operator.Day)
	require.NoError(t, err)
	require.Len(t, status.Series, 60)
}
