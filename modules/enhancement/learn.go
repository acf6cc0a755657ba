package enhancement

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// learn keeps the fix of a ticket that the desk reports as resolved or closed, so that the next one like it finds it.
func (m *Module) learn(ctx context.Context, r *run, finish finisher) error {
	var err error
	if r.prefs, err = m.deps.Tenants.Preferences(ctx, r.id.tenant); err != nil {
		return fmt.Errorf("read preferences: %w", err)
	}
	if !r.prefs.CanFetch {
		return m.finish(ctx, r, finish, ending{outcome: "skipped", reason: "this system cannot be asked for the resolution: send it to /webhook/servicedesk/resolved-ticket"})
	}
	t, err := timed(m, r, "fetch", func() (DeskTicket, error) { return m.deps.Desk.Ticket(ctx, r.id.tenant, r.row.TicketID) })
	if err != nil {
		return fmt.Errorf("fetch resolved ticket: %w", err)
	}
	if strings.TrimSpace(t.Resolution) == "" {
		return m.finish(ctx, r, finish, ending{outcome: "skipped", reason: "the ticket was closed without a resolution"})
	}
	if t.ResolvedAt.IsZero() {
		t.ResolvedAt = r.row.CreatedAt
	}
	return m.finish(ctx, r, finish, ending{
		outcome: "recorded", reason: "the resolution was kept",
		recordTx: func(ctx context.Context, tx pgx.Tx) error {
			return m.deps.Resolutions.RecordTx(ctx, tx, r.id.tenant, t)
		},
	})
}
